//! Facts of `packages`: what the distribution's package manager says is installed,
//! by source package, because that is what vendors' advisories name.

use serde::Serialize;

use super::Headline;

/// The installed packages of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Packages {
    /// Whose database was read.
    pub manager: PackageManager,
    /// The database that was read.
    pub path: String,
    /// Packages that are unpacked and configured, sorted by name and architecture.
    pub installed: Vec<Package>,
    /// Packages that an installation left half done, sorted by name and architecture.
    pub unfinished: Vec<UnfinishedPackage>,
    /// Whether a package manager is at work; asked where packages are unfinished.
    pub lock: DatabaseLock,
}

/// The lock that a package manager holds for as long as it works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseLock {
    /// Nobody holds it, or nobody asked.
    #[default]
    Free,
    /// A program holds it: the path of the lock.
    Held(String),
    /// Why it is not known.
    Unreadable(String),
}

/// A package manager whose database Nodeward reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageManager {
    /// dpkg: Debian, Ubuntu.
    Dpkg,
    /// rpm: Azure Linux, Fedora and what is made from it.
    Rpm,
}

impl PackageManager {
    /// The manager's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dpkg => "dpkg",
            Self::Rpm => "rpm",
        }
    }
}

/// The packages of rpm's distributions that hold the image of a kernel, by name: one or,
/// with `-core`, two per flavour. All else with `kernel` in its name goes along with one.
pub const RPM_KERNELS: [&str; 14] = [
    "kernel",
    "kernel-64k",
    "kernel-64k-core",
    "kernel-azure",
    "kernel-core",
    "kernel-debug-core",
    "kernel-hwe",
    "kernel-hwe-64k",
    "kernel-ipe",
    "kernel-lpg-innovate",
    "kernel-mshv",
    "kernel-rt",
    "kernel-rt-core",
    "kernel-uek-core",
];

/// One installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Package {
    /// Binary package name.
    pub name: String,
    /// Architecture, such as `amd64` or `all`.
    pub architecture: String,
    /// Version of the binary package, in the distribution's own form: of rpm
    /// `epoch:version-release`, without the epoch where it has none.
    pub version: String,
    /// Source package that it was built from; itself where the database names none.
    pub source: String,
    /// Version of that source package. From rpm it lacks an epoch where the binary has a
    /// version of its own: what the source's is, the database does not say.
    pub source_version: String,
    /// An operator asked that it never be changed.
    pub held: bool,
    /// Who it comes from, in the database's own words: rpm's vendor, the `Origin` of
    /// deb-control(5). Often empty with dpkg.
    pub origin: String,
}

/// A package that the package manager has begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnfinishedPackage {
    /// Binary package name.
    pub name: String,
    /// Architecture.
    pub architecture: String,
    /// Version, in the distribution's own form; may be empty.
    pub version: String,
    /// The package manager's own words, such as `install ok half-configured`.
    pub status: String,
}

impl Headline for Packages {
    fn headline(&self) -> String {
        let mut line = format!("{} packages ({})", self.installed.len(), self.manager.name());
        let held = self.installed.iter().filter(|package| package.held).count();
        if held > 0 {
            line.push_str(&format!(", {held} held"));
        }
        if !self.unfinished.is_empty() {
            line.push_str(&format!(", {} half done", self.unfinished.len()));
        }
        line
    }
}
