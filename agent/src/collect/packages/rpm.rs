//! Packages from rpm's database, rpm(8), in its form of since rpm 4.16: SQLite, one
//! header per package. It is read as it lies: no lock is taken and nothing is executed.

mod header;
mod holds;

use std::sync::Arc;

use nodeward_domain::facts::{DatabaseLock, Package, PackageManager, Packages, RPM_KERNELS};

use super::PackageList;
use crate::host::sqlite::{Database, Value};
use crate::host::{HostError, HostRoot};
use header::{Header, Tag};
use holds::Holds;

/// Where rpm keeps its database. The first is of newer distributions, which leave a link
/// to it, or what it was before, in the second.
const FOLDERS: [&str; 2] = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];

const DATABASE: &str = "rpmdb.sqlite";

/// Distributions that are never without it, by os-release(5).
pub(super) const FAMILIES: [&str; 8] =
    ["azurelinux", "mariner", "fedora", "rhel", "centos", "suse", "opensuse", "amzn"];

/// The databases of other forms, which are not read.
const OTHER_FORMS: [(&str, &str); 2] = [("Packages", "Berkeley DB"), ("Packages.db", "ndb")];

/// As many as are accepted in a report: some ten times what a desktop has.
const PACKAGES: usize = 50_000;

/// Besides the kernel, what takes effect at boot alone: the list of `needs-restarting -r`,
/// which is what asks for reboots on these distributions.
const BOOT_PACKAGES: [&str; 7] =
    ["dbus", "dbus-broker", "dbus-daemon", "glibc", "linux-firmware", "microcode_ctl", "systemd"];

/// What headers say, package by package.
#[derive(Debug)]
struct Headers {
    packages: Packages,
    boot_packages_installed_at_seconds: Option<u64>,
}

/// What rpm's database says; none when there is no trace of one.
pub(super) fn read(root: &HostRoot) -> Result<Option<PackageList>, HostError> {
    let Some(path) = database(root)? else {
        return Ok(None);
    };
    let mut headers = Database::read(root, &path, |database| {
        let mut headers = Headers::empty(&path);
        database.rows("Packages", |number, record| {
            let [_, Value::Blob(blob)] = record.values()? else {
                return Err(format!("package {number}: is no header"));
            };
            headers.add(blob).map_err(|why| format!("package {number}: {why}"))
        })?;
        Ok(headers)
    })?;
    let installed = &mut headers.packages.installed;
    if installed.is_empty() {
        let why = "names no installed package".to_owned();
        return Err(HostError::Malformed { path, why });
    }
    installed.sort_unstable();
    Ok(Some(PackageList {
        packages: Arc::new(headers.packages),
        boot_packages_installed_at_seconds: headers.boot_packages_installed_at_seconds,
    }))
}

/// The packages, each with whether it is held: files of their own say that.
pub(super) fn with_holds(
    root: &HostRoot,
    mut packages: Arc<Packages>,
) -> Result<Arc<Packages>, HostError> {
    let holds = Holds::read(root)?;
    let is_held = |package: &Package| holds.hold(&package.name);
    if packages.installed.iter().any(is_held) {
        for package in &mut Arc::make_mut(&mut packages).installed {
            package.held = is_held(package);
        }
    }
    Ok(packages)
}

/// Where the database usually is.
pub(super) fn usual_database() -> String {
    format!("{}/{DATABASE}", FOLDERS[1])
}

/// The path of the database; none when there is no trace of rpm.
fn database(root: &HostRoot) -> Result<Option<String>, HostError> {
    for folder in FOLDERS {
        let path = format!("{folder}/{DATABASE}");
        if root.exists(&path)? {
            return Ok(Some(path));
        }
    }
    for folder in FOLDERS {
        for (name, form) in OTHER_FORMS {
            let path = format!("{folder}/{name}");
            if root.exists(&path)? {
                let why = format!("is rpm's database in the form of {form}, which is not read");
                return Err(HostError::Malformed { path, why });
            }
        }
    }
    match root.existing(&FOLDERS)?.first() {
        Some(folder) => Err(HostError::Missing { path: format!("{folder}/{DATABASE}") }),
        None => Ok(None),
    }
}

impl Headers {
    fn empty(path: &str) -> Self {
        Self {
            packages: Packages {
                manager: PackageManager::Rpm,
                path: path.to_owned(),
                installed: Vec::new(),
                // A package is in the database when its files are in place.
                unfinished: Vec::new(),
                lock: DatabaseLock::Free,
            },
            boot_packages_installed_at_seconds: None,
        }
    }

    fn add(&mut self, blob: &[u8]) -> Result<(), String> {
        let header = Header::parse(blob)?;
        let package = package(&header)?;
        // A key that signatures are held against, kept as if it were a package.
        if package.name == "gpg-pubkey" {
            return Ok(());
        }
        let name = package.name.as_str();
        if BOOT_PACKAGES.contains(&name) || RPM_KERNELS.contains(&name) {
            let installed_at = header.number(Tag::InstallTime)?.map(u64::from);
            self.boot_packages_installed_at_seconds =
                self.boot_packages_installed_at_seconds.max(installed_at);
        }
        if self.packages.installed.len() == PACKAGES {
            return Err(format!("one of more than {PACKAGES}"));
        }
        self.packages.installed.push(package);
        Ok(())
    }
}

fn package(header: &Header<'_>) -> Result<Package, String> {
    let needed = |tag| match header.text(tag)? {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(format!("has no {}", tag.word())),
    };
    let name = needed(Tag::Name)?;
    let build = format!("{}-{}", needed(Tag::Version)?, needed(Tag::Release)?);
    let version = match header.number(Tag::Epoch)? {
        Some(epoch) => format!("{epoch}:{build}"),
        None => build.clone(),
    };
    let (source, source_version) = match header.text(Tag::SourceRpm)?.and_then(source) {
        // The name of a source package lacks its epoch, which is that of every binary
        // with its version: a binary with an epoch of its own has a version of its own.
        Some((source, source_version)) if source_version == build => (source, version.as_str()),
        Some(other) => other,
        None => (name, version.as_str()),
    };
    Ok(Package {
        name: name.to_owned(),
        architecture: header.text(Tag::Architecture)?.unwrap_or_default().to_owned(),
        source: source.to_owned(),
        source_version: source_version.to_owned(),
        held: false,
        origin: header.loose_text(Tag::Vendor)?.into_owned(),
        version,
    })
}

/// Name and version of a source package from the name of its file,
/// `name-version-release.src.rpm`.
fn source(file: &str) -> Option<(&str, &str)> {
    let stem = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let release = stem.rfind('-')?;
    let version = stem[..release].rfind('-')?;
    let (name, rest) = (&stem[..version], &stem[version + 1..]);
    (!name.is_empty()).then_some((name, rest))
}

#[cfg(test)]
mod tests;
