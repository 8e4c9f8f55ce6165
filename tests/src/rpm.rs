//! A real rpm database on a folder of its own, for tests that fill it as rpm does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use nodeward_agent::collect::{COLLECTORS, Collected};
use nodeward_agent::host::{Host, HostRoot};
use nodeward_agent::probe::Probes;
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, Package, Packages};
use nodeward_domain::observed::{State, Unavailable};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use crate::programs::installed;
use crate::service::PATIENCE;

/// Where the database is on the host.
pub const FOLDER: &str = "/var/lib/rpm";

/// Enters packages without installing anything.
pub const ENTER: [&str; 5] = ["-i", "--justdb", "--nodeps", "--force", "--force-debian"];

/// A host root with nothing but an rpm database.
#[derive(Debug)]
pub struct RpmRoot {
    folder: TempDir,
    work: TempDir,
}

/// An empty package to be built.
#[derive(Debug, Clone, Copy)]
pub struct Built<'a> {
    /// Its name.
    pub name: &'a str,
    /// `[epoch:]version-release`.
    pub version: &'a str,
    /// Lines of its spec besides, such as `Vendor: …`.
    pub tags: &'a str,
    /// What stands behind its own description, such as packages beside it.
    pub rest: &'a str,
}

impl<'a> Built<'a> {
    /// A package without anything else.
    #[must_use]
    pub const fn plain(name: &'a str, version: &'a str) -> Self {
        Self { name, version, tags: "", rest: "" }
    }

    fn spec(&self) -> String {
        let (epoch, version) = self.version.split_once(':').unwrap_or(("", self.version));
        let (version, release) = version.rsplit_once('-').expect("version-release");
        let epoch = if epoch.is_empty() { String::new() } else { format!("Epoch: {epoch}\n") };
        format!(
            "Name: {}\nVersion: {version}\nRelease: {release}\n{epoch}Summary: Empty\nLicense: MIT\n\
             BuildArch: noarch\n{}\n%description\nEmpty.\n%files\n{}\n",
            self.name, self.tags, self.rest
        )
    }
}

impl RpmRoot {
    /// An empty database.
    ///
    /// # Panics
    /// When rpm cannot make it.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let work = tempfile::tempdir().expect("a folder");
        let root = Self { folder, work };
        std::fs::create_dir_all(root.database()).expect("made");
        root.rpm(&["--initdb"]);
        root
    }

    /// The host root.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.folder.path().join(FOLDER.trim_start_matches('/'))
    }

    /// Builds a package and those beside it, and enters all into the database.
    ///
    /// # Panics
    /// When they cannot be built or entered.
    pub fn install(&self, built: Built<'_>) {
        self.enter(&self.build(built));
    }

    /// Builds a package and those beside it.
    ///
    /// # Panics
    /// When they cannot be built.
    #[must_use]
    pub fn build(&self, built: Built<'_>) -> Vec<PathBuf> {
        let work = tempfile::tempdir_in(self.work.path()).expect("a folder").keep();
        let spec = work.join("p.spec");
        std::fs::write(&spec, built.spec()).expect("written");
        let output = Command::new(installed("rpmbuild"))
            .args(["--quiet", "-bb", "--nodeps", "--define"])
            .arg(format!("_topdir {}", work.display()))
            .args(["--define", "_rpmfilename %%{NAME}.rpm"])
            .arg(&spec)
            .output()
            .expect("rpmbuild runs");
        succeeded(&output, "rpmbuild");
        std::fs::read_dir(work.join("RPMS"))
            .expect("packages")
            .map(|entry| entry.expect("readable").path())
            .collect()
    }

    /// Enters packages into the database, without installing anything.
    ///
    /// # Panics
    /// When rpm refuses.
    pub fn enter(&self, packages: &[PathBuf]) {
        let mut arguments = ENTER.to_vec();
        arguments.extend(packages.iter().map(|path| path.to_str().expect("a path")));
        self.rpm(&arguments);
    }

    /// Runs rpm on the database and tells what it prints.
    ///
    /// # Panics
    /// When rpm fails.
    pub fn rpm(&self, arguments: &[&str]) -> String {
        let output = Command::new(installed("rpm"))
            .arg("--dbpath")
            .arg(self.database())
            .args(arguments)
            .output()
            .expect("rpm runs");
        succeeded(&output, "rpm");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs rpm on the database and kills it once its transaction is committed: then the
    /// transaction stands in the log alone. `reader` must have begun to read, or else rpm
    /// brings it into the database too soon.
    ///
    /// # Panics
    /// When rpm does not run, or changes no package.
    pub fn rpm_killed(&self, arguments: &[&str], reader: &Connection) {
        let count = |connection: &Connection| -> u32 {
            let sql = "SELECT count(*) FROM Packages";
            connection.query_row(sql, [], |row| row.get(0)).expect("a number")
        };
        let fresh = self.connect();
        let before = count(&fresh);
        assert!(!reader.is_autocommit(), "the reader reads");
        let mut rpm = Command::new(installed("rpm"))
            .arg("--dbpath")
            .arg(self.database())
            .args(arguments)
            .stderr(Stdio::null())
            .spawn()
            .expect("rpm runs");
        let deadline = Instant::now() + PATIENCE;
        while count(&fresh) == before {
            assert!(Instant::now() < deadline, "rpm commits nothing");
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = rpm.kill();
        let _ = rpm.wait();
    }

    /// SQLite on the database, to read.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[must_use]
    pub fn connect(&self) -> Connection {
        let path = self.database().join("rpmdb.sqlite");
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("opened")
    }

    /// What rpm says is installed: a line per package, with everything that we report.
    ///
    /// # Panics
    /// When rpm fails.
    #[must_use]
    pub fn told_by_rpm(&self) -> Vec<String> {
        let form =
            "%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE} %{ARCH} %{SOURCERPM} %{VENDOR}\n";
        let mut lines: Vec<String> = self
            .rpm(&["-qa", "--qf", form])
            .lines()
            .filter(|line| !line.starts_with("gpg-pubkey "))
            .map(ToOwned::to_owned)
            .collect();
        lines.sort();
        lines
    }
}

impl Default for RpmRoot {
    fn default() -> Self {
        Self::new()
    }
}

/// What the agent collects of the packages below a host root.
///
/// # Panics
/// When the folder is not there.
#[must_use]
pub fn collect(root: &Path) -> Collected {
    let host = Host::new(
        HostRoot::open(root).expect("a folder"),
        Probes::Off("there is no machine".to_owned()),
    );
    let mut collectors = COLLECTORS.into_iter();
    let packages = collectors.find(|one| one.component == Component::Packages);
    (packages.expect("a collector").collect)(&host)
}

/// The packages below a host root, or why they are not known.
///
/// # Errors
/// When the collector could not read them.
///
/// # Panics
/// When it takes them for absent.
pub fn packages(root: &Path) -> Result<Packages, Unavailable> {
    match collect(root).state {
        ComponentState::Packages(State::Present(packages)) => Ok((*packages).clone()),
        ComponentState::Packages(State::Unavailable(unavailable)) => Err(unavailable),
        other => panic!("{other:?}"),
    }
}

/// A package as [`RpmRoot::told_by_rpm`] writes it.
#[must_use]
pub fn line(package: &Package) -> String {
    // What rpm was not told it writes in brackets; its source packages have no epoch.
    let or_none = |text: &str| if text.is_empty() { "(none)".to_owned() } else { text.to_owned() };
    let source_version = package
        .source_version
        .split_once(':')
        .map_or(package.source_version.as_str(), |(_, version)| version);
    format!(
        "{} {} {} {}-{source_version}.src.rpm {}",
        package.name,
        package.version,
        or_none(&package.architecture),
        package.source,
        or_none(&package.origin)
    )
}

fn succeeded(output: &Output, program: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
}
