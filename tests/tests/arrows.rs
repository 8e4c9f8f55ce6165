//! Which crate may depend on which: the arrows of docs/ARCHITECTURE.md, held against
//! what cargo says of the workspace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use nodeward_tests::project;

/// Crate → workspace crates that it may depend on. Tests may depend on everything.
const ARROWS: [(&str, &[&str]); 8] = [
    ("nodeward-domain", &[]),
    ("nodeward-feeds", &["nodeward-domain"]),
    ("nodeward-proto", &["nodeward-domain"]),
    ("nodeward-agent", &["nodeward-domain", "nodeward-proto"]),
    ("nodeward-aggregator", &["nodeward-domain", "nodeward-feeds", "nodeward-proto"]),
    ("nodeward-cli", &["nodeward-agent", "nodeward-domain", "nodeward-feeds", "nodeward-proto"]),
    ("nodeward-codegen", &[]),
    (
        "nodeward-fuzz-targets",
        &["nodeward-agent", "nodeward-domain", "nodeward-feeds", "nodeward-proto"],
    ),
];

/// What the domain may use: nothing that reads a clock, a file or a socket.
const DOMAIN_USES: [&str; 4] = ["jiff", "serde", "thiserror", "toml"];

type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// The normal and build dependencies of each crate of the workspace.
fn dependencies() -> Dependencies {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(project::root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .map(|package| {
            let uses = package["dependencies"]
                .as_array()
                .expect("a list of dependencies")
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| dependency["name"].as_str().expect("a name").to_owned())
                .collect();
            (package["name"].as_str().expect("a name").to_owned(), uses)
        })
        .collect()
}

/// The arrows that should not be there.
fn forbidden(dependencies: &Dependencies) -> Vec<String> {
    let ours: BTreeSet<&String> = dependencies.keys().collect();
    let mut forbidden = Vec::new();
    for (from, uses) in dependencies.iter().filter(|(from, _)| *from != "nodeward-tests") {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == from) else {
            forbidden.push(format!("{from} has no place among the arrows"));
            continue;
        };
        for to in uses.iter().filter(|to| ours.contains(to) && !allowed.contains(&to.as_str())) {
            forbidden.push(format!("{from} → {to}"));
        }
    }
    let domain = dependencies.get("nodeward-domain").expect("the domain is in the workspace");
    for to in domain.iter().filter(|to| !DOMAIN_USES.contains(&to.as_str())) {
        forbidden.push(format!("nodeward-domain → {to}"));
    }
    forbidden
}

#[test]
fn crates_depend_along_the_arrows_only() {
    assert_eq!(forbidden(&dependencies()), Vec::<String>::new());
}

#[test]
fn an_arrow_that_should_not_be_there_is_seen() {
    let mut dependencies = dependencies();
    let add = |dependencies: &mut Dependencies, from: &str, to: &str| {
        dependencies.get_mut(from).expect("a crate of ours").insert(to.to_owned());
    };
    add(&mut dependencies, "nodeward-domain", "tokio");
    add(&mut dependencies, "nodeward-agent", "nodeward-aggregator");
    assert_eq!(
        forbidden(&dependencies),
        ["nodeward-agent → nodeward-aggregator", "nodeward-domain → tokio"]
    );
}
