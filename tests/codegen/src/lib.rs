//! Makes the committed generated code from the protocol files, without protoc:
//! protox parses them, tonic-prost-build writes Rust. It depends on no other crate of
//! the workspace, so it works while generated code is missing or broken.

use std::path::{Path, PathBuf};

use prost::Message as _;

/// One file to be committed.
#[derive(Debug)]
pub struct Generated {
    /// Path below the project's root.
    pub path: PathBuf,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why no code was made.
#[derive(Debug, thiserror::Error)]
pub enum CodegenError {
    /// A protocol file does not parse.
    #[error("protocol file does not parse: {0}")]
    Protocol(#[from] protox::Error),
    /// Writing or reading the made files failed.
    #[error("generated file cannot be handled: {0}")]
    File(#[from] std::io::Error),
}

/// Makes every generated file, from the protocol files below `root`.
pub fn generate(root: &Path) -> Result<Vec<Generated>, CodegenError> {
    let mut files = one(
        &root.join("proto"),
        &[
            "nodeward/v1/conntrack.proto",
            "nodeward/v1/filesystem.proto",
            "nodeward/v1/pressure.proto",
            "nodeward/v1/process_limits.proto",
            "nodeward/v1/swap_and_hugepages.proto",
            "nodeward/v1/facts.proto",
            "nodeward/v1/report.proto",
            "nodeward/v1/plan.proto",
            "nodeward/v1/turn.proto",
            "nodeward/v1/fixes.proto",
            "nodeward/v1/scan.proto",
            "nodeward/v1/documents.proto",
            "nodeward/v1/query.proto",
            "nodeward/v1/admin.proto",
            "nodeward/v1/enrol.proto",
        ],
        "nodeward.v1",
        "proto/src/gen",
        true,
    )?;
    for (proto, package) in [
        ("cri.proto", "runtime.v1"),
        ("containerd_version.proto", "containerd.services.version.v1"),
        ("containerd_introspection.proto", "containerd.services.introspection.v1"),
    ] {
        files.extend(one(&root.join("agent/proto"), &[proto], package, "agent/src/gen", false)?);
    }
    // What the agent must never call: it is made for the tests alone.
    files.extend(one(
        &root.join("tests/proto"),
        &["cri_pods.proto"],
        "runtime.v1",
        "tests/src/gen",
        false,
    )?);
    Ok(files)
}

/// One package: its Rust code and, where a server reflects on it, its descriptor set.
fn one(
    include: &Path,
    protos: &[&str],
    package: &str,
    target: &str,
    server: bool,
) -> Result<Vec<Generated>, CodegenError> {
    let descriptors = protox::compile(protos, [include])?;
    let out = tempfile::tempdir()?;
    let mut encoded = descriptors.clone();
    for file in &mut encoded.file {
        // Positions and comments are not part of the contract.
        file.source_code_info = None;
    }
    tonic_prost_build::configure()
        .build_server(server)
        .out_dir(out.path())
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    let code = std::fs::read(out.path().join(format!("{package}.rs")))?;
    let target = Path::new(target);
    let mut files = vec![Generated { path: target.join(format!("{package}.rs")), bytes: code }];
    if server {
        files.push(Generated {
            path: target.join(format!("{package}.binpb")),
            bytes: encoded.encode_to_vec(),
        });
    }
    Ok(files)
}
