//! The project's own programs as users run them, built when they are not up to date,
//! and other programs of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// `nodeward-agent`.
#[must_use]
pub fn agent() -> PathBuf {
    built("nodeward-agent")
}

/// `nodeward-agent` as it is shipped, by the profile of that name; NODEWARD_BENCH_AGENT names
/// another build to compare it with.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn shipped_agent() -> PathBuf {
    if let Some(other) = std::env::var_os("NODEWARD_BENCH_AGENT") {
        return other.into();
    }
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile", "agent", "--package", "nodeward-agent"]);
    let status = build.arg("--target-dir").arg(target()).status();
    let status = status.expect("cargo is there, it built this test");
    assert!(status.success(), "the agent could not be built");
    target().join("agent/nodeward-agent")
}

/// `nodeward-aggregator`.
#[must_use]
pub fn aggregator() -> PathBuf {
    built("nodeward-aggregator")
}

/// `nodeward`.
#[must_use]
pub fn nodeward() -> PathBuf {
    built("nodeward")
}

/// A program from the machine's packages.
///
/// # Panics
/// When it is not installed: tests that need it are left out by name before they run,
/// so that here absence is a failure.
#[must_use]
pub fn installed(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{program} is not installed; make test-deps installs it"))
}

/// The folder that this very test was built into, `target`.
///
/// # Panics
/// When it was not built by cargo.
#[must_use]
pub fn target() -> PathBuf {
    folder().parent().expect("target/PROFILE").to_owned()
}

fn folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    test.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST").to_owned()
}

fn built(program: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build).join(program)
}

/// Builds the programs into the folder that this very test was built into.
fn build() -> PathBuf {
    let folder = folder();
    let mut build = cargo();
    build.args(["build", "--quiet", "--workspace", "--bins", "--target-dir"]).arg(target());
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let status = build.status().expect("cargo is there, it built this test");
    assert!(status.success(), "the programs could not be built");
    folder
}

/// cargo, in the project's folder.
fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(super::project::root());
    as_from_a_shell(&mut command);
    command
}

/// Takes away what cargo tells a test of its own package. Some build scripts, such as ring's,
/// are run again when these differ, and with them half of the workspace: here, and once more
/// with the next build from a shell.
pub(crate) fn as_from_a_shell(command: &mut Command) {
    let told = |name: &str| {
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        of_package.iter().any(|prefix| name.starts_with(prefix))
            || ["CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&name)
    };
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(told) {
            command.env_remove(name);
        }
    }
}
