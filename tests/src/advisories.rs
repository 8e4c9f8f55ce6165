//! What tests of advisories share: an index made of a feed's content, as an import makes it,
//! and inventories of nodes out of the notes of their images.

use std::path::Path;
use std::sync::Arc;

use nodeward_domain::advisory::ledger::Extent;
use nodeward_domain::advisory::{Ledger, Revision};
use nodeward_domain::facts::{
    DatabaseLock, Kernel, KernelImages, OsRelease, Package, PackageManager, Packages,
};
use nodeward_domain::facts::{Fips, UbuntuPro};
use nodeward_domain::matching::{Index, Inventory};
use nodeward_feeds::content::Content;

/// The index of one feed, with the dates that a ledger of this one revision gives.
///
/// # Panics
/// When the feed has no date at all.
#[must_use]
pub fn index_of(content: &Content) -> (Index, Ledger) {
    let as_of = content.as_of().expect("a feed with a date");
    let revision = Revision { as_of, name: Arc::from("corpus") };
    let mut ledger = Ledger::default();
    ledger.record(&Arc::from("corpus"), Extent::Whole, &revision, None, content.dated_fixes());
    let index =
        Index::build(1, &content.advisories, &content.withdrawn, |key| ledger.published(key))
            .expect("few enough");
    (index, ledger)
}

/// The note of a node image.
pub struct Note {
    /// Its text.
    pub text: String,
    /// The release of the kernel that runs.
    pub kernel: String,
    /// `uname -v` of it.
    pub kernel_version: String,
}

impl Note {
    /// Reads a note.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a note");
        let line = text.lines().skip_while(|line| *line != "Using kernel:").nth(1);
        let line = line.expect("the kernel's line");
        let kernel = line.split(' ').nth(2).expect("a release").to_owned();
        let kernel_version =
            line.find(" #").map(|place| line[place + 1..].to_owned()).unwrap_or_default();
        Self { kernel, kernel_version, text }
    }

    /// The lines of its list of packages.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text
            .lines()
            .skip_while(|line| !line.starts_with("=== Installed Packages Begin"))
            .skip(1)
            .take_while(|line| !line.starts_with("=== Installed Packages End"))
    }

    fn kernel_facts(&self) -> Kernel {
        Kernel {
            release: self.kernel.clone(),
            version: self.kernel_version.clone(),
            boot_id: String::new(),
            booted_at: None,
            images: KernelImages::Releases(Vec::new()),
            tainted: 0,
            command_line: Vec::new(),
        }
    }

    /// An inventory of Azure Linux. The note names no sources: each package stands for its
    /// own.
    #[must_use]
    pub fn azure_linux(&self, version_id: &str) -> Inventory {
        let installed = self.lines().filter_map(|line| {
            let (build, architecture) = line.rsplit_once('.')?;
            let mut parts = build.rsplitn(3, '-');
            let (release, version, name) = (parts.next()?, parts.next()?, parts.next()?);
            let version = format!("{version}-{release}");
            Some(package(name, architecture, &version, name, &version))
        });
        self.inventory(PackageManager::Rpm, "azurelinux", version_id, installed.collect())
    }

    /// An inventory of Ubuntu. `source_of` tells the source of a binary package.
    pub fn ubuntu(&self, version_id: &str, source_of: impl Fn(&str) -> String) -> Inventory {
        let installed = self.lines().filter_map(|line| {
            let (name, rest) = line.split_once('/')?;
            let mut words = rest.split(' ').skip(1);
            let (version, architecture) = (words.next()?, words.next()?);
            let source = source_of(name);
            Some(package(name, architecture, version, &source, version))
        });
        self.inventory(PackageManager::Dpkg, "ubuntu", version_id, installed.collect())
    }

    fn inventory(
        &self,
        manager: PackageManager,
        id: &str,
        version_id: &str,
        mut installed: Vec<Package>,
    ) -> Inventory {
        installed.sort();
        let packages = Packages {
            manager,
            path: String::new(),
            installed,
            unfinished: Vec::new(),
            lock: DatabaseLock::Free,
        };
        let os_release = OsRelease {
            path: "/etc/os-release".to_owned(),
            id: id.to_owned(),
            version_id: version_id.to_owned(),
            version_codename: String::new(),
            pretty_name: String::new(),
            variant_id: String::new(),
            architecture: "x86_64".to_owned(),
            provider_marks: Vec::new(),
            fips: Fips::Off,
            ubuntu_pro: UbuntuPro::NotThere,
        };
        Inventory::of(Arc::new(packages), &os_release, Some(&self.kernel_facts()))
    }
}

fn package(name: &str, architecture: &str, version: &str, source: &str, of: &str) -> Package {
    Package {
        name: name.to_owned(),
        architecture: architecture.to_owned(),
        version: version.to_owned(),
        source: source.to_owned(),
        source_version: of.to_owned(),
        held: false,
        origin: String::new(),
    }
}
