//! Feeds that tests write, and their import into a running aggregator.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::programs;

/// A notice on Ubuntu 22.04 that no node of the tests lacks, in OSV's form.
pub const NOTICE: &str = r#"{"schema_version": "1.7.0", "id": "USN-9901-1",
 "published": "2026-11-01T10:00:00Z", "modified": "2026-11-01T10:00:00Z",
 "upstream": ["UBUNTU-CVE-2026-99001"],
 "affected": [{"package": {"ecosystem": "Ubuntu:22.04:LTS", "name": "openssl"},
  "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.2-0ubuntu1"}]}]}]}"#;

/// Imports a file or folder, as of this very moment.
///
/// # Panics
/// When the program cannot be started.
#[must_use]
pub fn import(socket: &Path, path: &Path, more: &[&str]) -> Output {
    Command::new(programs::nodeward())
        .args(["feed", "import", "--as-of", &jiff::Timestamp::now().to_string(), "--admin-socket"])
        .arg(socket)
        .arg(path)
        .args(more)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs")
}
