//! An image as if it were a node: its packages with their sources, its release, the kernel
//! that it boots, so that the advisories can be held against it as against any node. What of
//! it cannot be judged, because nobody knows its source, is named beside it.

use std::sync::Arc;

use super::sources::Sources;
use super::{ImageRelease, ShippedPackage, ShippedPackages};
use crate::advisory::{Distribution, Stream};
use crate::facts::{
    DatabaseLock, Fips, Kernel, KernelImages, OsRelease, Package, PackageManager, Packages,
    UbuntuPro,
};
use crate::kernel_package::dpkg_release;
use crate::matching::{Index, Inventory, maker, source_of_release};
use crate::version::key::Order;

/// Why an image cannot be judged at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotComparable {
    /// What is in it is not known.
    #[error("{image}: its packages are not known: {why}")]
    NotListed {
        /// The image.
        image: String,
        /// Why.
        why: String,
    },
    /// Versions of its packages cannot be ordered.
    #[error("{image}: nobody knows how versions of {system} are ordered")]
    NotOrdered {
        /// The image.
        image: String,
        /// Its operating system.
        system: String,
    },
}

/// An image to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInventory {
    /// As of a node that was just made from it.
    pub inventory: Inventory,
    /// Packages that are not in it, because their source is not known: by name.
    pub not_covered: Vec<String>,
}

impl ImageInventory {
    /// Of an image. The feeds tell which names are sources.
    pub fn of(
        release: &ImageRelease,
        sources: &Sources,
        index: &Index,
    ) -> Result<Self, NotComparable> {
        Self::of_some(release, sources, index, |_| true)
    }

    /// Of an image, with those packages alone that are asked for, the images of kernels, and
    /// those by whose versions a tier is told.
    pub(super) fn of_some(
        release: &ImageRelease,
        sources: &Sources,
        index: &Index,
        is_asked: impl Fn(&str) -> bool,
    ) -> Result<Self, NotComparable> {
        let is_asked = |shipped: &ShippedPackage| {
            let ShippedPackage { name, version, .. } = shipped;
            is_asked(name)
                || dpkg_release(name).is_some()
                || crate::facts::RPM_KERNELS.contains(&name.as_str())
                || version.contains("esm")
                || version.contains("fips")
        };
        let image = || release.label().to_string();
        let listed = match &release.packages {
            ShippedPackages::Listed(listed) => listed,
            ShippedPackages::Unknown(why) => {
                return Err(NotComparable::NotListed { image: image(), why: why.clone() });
            }
        };
        let id = release.os_id.as_deref().unwrap_or_default();
        let version_id = release.os_version_id.as_deref().unwrap_or_default();
        let stream = stream_of(release);
        let manager = match stream.distribution.order() {
            Some(Order::Dpkg) => PackageManager::Dpkg,
            Some(Order::Rpm) => PackageManager::Rpm,
            Some(Order::Semver) | None => {
                let system = format!("{id} {version_id}").trim().to_owned();
                let system =
                    if system.is_empty() { "an unnamed system".to_owned() } else { system };
                return Err(NotComparable::NotOrdered { image: image(), system });
            }
        };
        let running = release.kernel.as_deref().unwrap_or_default();
        let reader = Reader { stream: &stream, manager, running, sources, index };
        let mut not_covered = Vec::new();
        let mut installed = Vec::with_capacity(listed.len());
        for shipped in listed.iter().filter(|shipped| is_asked(shipped)) {
            match reader.package(shipped) {
                Some(package) => installed.push(package),
                None => not_covered.push(shipped.name.clone()),
            }
        }
        not_covered.dedup();
        installed.sort();
        let packages = Packages {
            manager,
            path: image(),
            installed,
            unfinished: Vec::new(),
            lock: DatabaseLock::Free,
        };
        let os_release = os_release(id, version_id);
        let kernel = release.kernel.as_deref().map(kernel);
        let inventory = Inventory::of(Arc::new(packages), &os_release, kernel.as_ref());
        Ok(Self { inventory, not_covered })
    }
}

struct Reader<'a> {
    stream: &'a Stream,
    manager: PackageManager,
    running: &'a str,
    sources: &'a Sources,
    index: &'a Index,
}

impl Reader<'_> {
    /// A package with its source; none where nobody knows it.
    fn package(&self, shipped: &ShippedPackage) -> Option<Package> {
        let ShippedPackage { name, version, architecture } = shipped;
        let with = |source: &str, source_version: &str| Package {
            name: name.clone(),
            architecture: architecture.clone(),
            version: version.clone(),
            source: source.to_owned(),
            source_version: source_version.to_owned(),
            held: false,
            origin: String::new(),
        };
        if let Some(known) = self.sources.of(self.stream, self.index, name, version) {
            return Some(with(&known.source, &known.version));
        }
        if let Some(source) = self.kernel_source(name, version) {
            return Some(with(&source, version));
        }
        // What no distribution covers is judged by upstream's advisories, by its own name.
        let own = with(name, version);
        maker(&self.stream.distribution, &own).is_some().then_some(own)
    }

    /// The source of what goes along with a kernel, by its name: nothing of it is judged but
    /// the kernel that runs.
    fn kernel_source(&self, name: &str, version: &str) -> Option<String> {
        match self.manager {
            PackageManager::Dpkg => {
                if let Some(release) = dpkg_release(name) {
                    return Some(source_of_release(release, version));
                }
                let along = ["azure", "cloud-tools", "headers", "image", "modules", "tools"];
                let rest = name.strip_prefix("linux-")?;
                let is_along = along.iter().any(|start| rest.starts_with(start));
                is_along.then(|| source_of_release(self.running, version))
            }
            PackageManager::Rpm => {
                let is_known = crate::facts::RPM_KERNELS.contains(&name);
                is_known.then(|| name.strip_suffix("-core").unwrap_or(name).to_owned())
            }
        }
    }
}

/// As of a node that was just made from an image.
fn os_release(id: &str, version_id: &str) -> OsRelease {
    OsRelease {
        path: String::new(),
        id: id.to_owned(),
        version_id: version_id.to_owned(),
        version_codename: String::new(),
        pretty_name: String::new(),
        variant_id: String::new(),
        architecture: String::new(),
        provider_marks: Vec::new(),
        fips: Fips::Off,
        ubuntu_pro: UbuntuPro::NotThere,
    }
}

/// The kernel that an image boots. Which build of it, its packages tell.
fn kernel(release: &str) -> Kernel {
    Kernel {
        release: release.to_owned(),
        version: String::new(),
        boot_id: String::new(),
        booted_at: None,
        images: KernelImages::Releases(vec![release.to_owned()]),
        tainted: 0,
        command_line: Vec::new(),
    }
}

/// The release of a distribution that an image is of.
pub(super) fn stream_of(release: &ImageRelease) -> Stream {
    let id = release.os_id.as_deref().unwrap_or_default();
    Stream::of_os_release(id, release.os_version_id.as_deref().unwrap_or_default())
}

/// Whether two images are of one operating system, so that moving from one to the other is an
/// upgrade and no migration.
#[must_use]
pub(super) fn is_of_one_system(a: &ImageRelease, b: &ImageRelease) -> bool {
    let (a, b) = (stream_of(a), stream_of(b));
    a == b && !matches!(a.distribution, Distribution::Other(_))
}
