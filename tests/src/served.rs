//! An aggregator with an administrators' socket on a store of the test, and the command that
//! asks it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::service::Aggregator;
use crate::{feeds, programs};

/// An aggregator with an administrators' socket, and the folder of both.
#[derive(Debug)]
pub struct Served {
    /// Where store and socket are.
    pub folder: tempfile::TempDir,
    /// The aggregator.
    pub aggregator: Aggregator,
}

impl Served {
    /// A new one on an empty store.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let aggregator = Self::serve(folder.path());
        Self { folder, aggregator }
    }

    fn serve(folder: &Path) -> Aggregator {
        Aggregator::start_with_admin(&folder.join("store.db"), &folder.join("admin.sock"))
    }

    /// The same store, by another process, after the first was killed.
    #[must_use]
    pub fn again(self) -> Self {
        self.again_after(|_| {})
    }

    /// The same, after something was done to the store meanwhile.
    #[must_use]
    pub fn again_after(self, change: impl FnOnce(&Path)) -> Self {
        let Self { folder, aggregator } = self;
        aggregator.program.kill();
        change(&folder.path().join("store.db"));
        let aggregator = Self::serve(folder.path());
        Self { folder, aggregator }
    }

    /// The administrators' socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    /// Writes a file beside the store.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    /// Imports feeds.
    #[must_use]
    pub fn import(&self, path: &Path, more: &[&str]) -> Output {
        feeds::import(&self.socket(), path, more)
    }

    /// Runs a command against it.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn ask(&self, line: &str) -> Output {
        Command::new(programs::nodeward())
            .args(line.split_whitespace())
            .env("NODEWARD_AGGREGATOR", self.aggregator.url())
            .env("NODEWARD_ADMIN_SOCKET", self.socket())
            .stdin(Stdio::null())
            .output()
            .expect("the program runs")
    }

    /// What a command answers as JSON.
    ///
    /// # Panics
    /// When it answers none.
    #[must_use]
    pub fn asked(&self, line: &str) -> serde_json::Value {
        let output = self.ask(&format!("{line} -o json"));
        serde_json::from_str(&out(&output)).unwrap_or_else(|error| {
            panic!("{line}: {error}: {}{}", out(&output), said(&output));
        })
    }
}

/// Standard output.
///
/// # Panics
/// When it is no text.
#[must_use]
pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Standard error.
#[must_use]
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
