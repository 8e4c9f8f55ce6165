//! What the programs say of arguments that they cannot use: no password of an address is
//! repeated, and a value may follow in either form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nodeward_tests::programs;

/// What a program says and how it ends, with nothing of ours in its environment.
fn run(program: &Path, line: &[&str]) -> Output {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("NODEWARD_")) {
        command.env_remove(name);
    }
    command.args(line).stdin(Stdio::null()).output().expect("it can be started")
}

fn said(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

#[test]
fn no_password_of_an_address_is_repeated() {
    const URL: &str = "http://user:s3cret@host.example:1";
    const FEED: &str = "https://user:s3cret@host.example/feed.tar.xz?sig=s3cret";
    let (agent, aggregator) = (programs::agent(), programs::aggregator());
    let nodeward = programs::nodeward();
    let attached = format!("--aggregator={URL}");
    let mistyped = format!("--agregator={URL}");
    let short = format!("-x{URL}");
    let store = "postgres://user:s3cret@host.example/nodeward";
    let lines: Vec<(&PathBuf, Vec<&str>)> = vec![
        (&aggregator, vec!["serve", "--grpc-listen", URL]),
        (&aggregator, vec!["serve", "--http-listen", URL]),
        (&aggregator, vec!["serve", "--tls-listen", "user:s3cret@host.example:1"]),
        (&aggregator, vec!["serve", "--store", store, "--insecure-loopback"]),
        (
            &aggregator,
            vec!["serve", "--store", "sqlite:/none/db", "--insecure-loopback", "--feed", FEED],
        ),
        (&aggregator, vec!["serve", &mistyped]),
        (&aggregator, vec!["serve", URL]),
        (&aggregator, vec![URL]),
        (&agent, vec!["run", "--aggregator", URL]),
        (&agent, vec!["run", "--aggregator", "http://user:s3cret@127.0.0.1:1"]),
        (&agent, vec!["run", "--aggregator", "user:s3cret@127.0.0.1:1"]),
        (&agent, vec!["run", "--egress=http://user:s3cret@host.example"]),
        (&agent, vec!["run", &mistyped]),
        (&agent, vec!["run", URL]),
        (&agent, vec![URL]),
        (&nodeward, vec!["nodes", "--aggregator", URL]),
        (&nodeward, vec!["nodes", &attached]),
        (&nodeward, vec!["nodes", "--aggregator", "http://user:s3cret@"]),
        (&nodeward, vec!["nodes", &mistyped]),
        (&nodeward, vec!["nodes", &short]),
        (&nodeward, vec!["nodes", "--", URL]),
        (&nodeward, vec!["nodes", URL]),
        (&nodeward, vec!["nodes", "-o", URL]),
        (&nodeward, vec!["nodes", "--width", URL]),
        (&nodeward, vec!["nodes", "--standing", URL]),
        (&nodeward, vec![URL]),
    ];
    for (program, line) in lines {
        let output = run(program, &line);
        let said = said(&output);
        let of = format!("{} {line:?}: {said}", program.display());
        assert_eq!(output.status.code(), Some(2), "{of}");
        assert!(!said.contains("s3cret") && !said.contains("user:"), "{of}");
        assert!(said.contains("error") || said.contains("ERROR"), "{of}");
    }
    // What else is wrong is told as it was given.
    let listen = said(&run(&aggregator, &["serve", "--grpc-listen", "nonsense"]));
    assert!(listen.contains("'nonsense'") && listen.contains("--grpc-listen"), "{listen}");
    let host = said(&run(&aggregator, &["serve", "--grpc-listen", URL]));
    assert!(host.contains("'http://…@host.example:1'"), "{host}");
}

#[test]
fn help_and_version_are_no_mistakes() {
    for program in [programs::agent(), programs::aggregator(), programs::nodeward()] {
        for flag in ["--help", "--version"] {
            let output = run(&program, &[flag]);
            assert_eq!(output.status.code(), Some(0), "{} {flag}", program.display());
            assert!(output.stdout.starts_with(b"nodeward") || flag == "--help");
        }
    }
}

/// A list that there is not is told of in the one form as in the other, and so was taken.
#[test]
fn what_is_looked_at_outside_may_follow_behind_a_blank_or_an_equals_sign() {
    for line in [
        &["run", "--egress", "nothing-such"][..],
        &["run", "--egress=nothing-such"],
        &["run", "--egress", "aks-public,nothing-such"],
    ] {
        let output = run(&programs::agent(), line);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{line:?}: {said}");
        assert!(said.contains("--egress") && said.contains("neither a list"), "{line:?}: {said}");
    }
    let inspect = ["inspect", "--host-root", "/nothing/such", "--egress", "nothing-such"];
    let told = said(&run(&programs::nodeward(), &inspect));
    assert!(!told.contains("unexpected argument"), "{told}");
    // Without a value the first list is meant, also before another setting.
    let plain = ["run", "--egress", "--aggregator", "ftp://a"];
    let told = said(&run(&programs::agent(), &plain));
    assert!(told.contains("must begin with https://"), "{told}");
}
