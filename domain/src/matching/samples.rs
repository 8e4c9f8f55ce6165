//! Packages and kernels for the tests of matching and of what rests on it, a line each.

use std::sync::Arc;

use crate::facts::{DatabaseLock, Kernel, KernelImages, Package, PackageManager, Packages};

/// Packages, `name version source source_version`; of the last two the first two stand in.
pub(crate) fn packages(manager: PackageManager, lines: &[&str]) -> Arc<Packages> {
    let package = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        let word = |index: usize, otherwise: usize| words.get(index).unwrap_or(&words[otherwise]);
        Package {
            name: words[0].to_owned(),
            architecture: "amd64".to_owned(),
            version: words[1].to_owned(),
            source: (*word(2, 0)).to_owned(),
            source_version: (*word(3, 1)).to_owned(),
            held: false,
            origin: String::new(),
        }
    };
    Arc::new(Packages {
        manager,
        path: "/var/lib/dpkg/status".to_owned(),
        installed: lines.iter().map(package).collect(),
        unfinished: Vec::new(),
        lock: DatabaseLock::Free,
    })
}

pub(crate) fn kernel(release: &str, version: &str) -> Kernel {
    Kernel {
        release: release.to_owned(),
        version: version.to_owned(),
        boot_id: String::new(),
        booted_at: None,
        images: KernelImages::Releases(Vec::new()),
        tainted: 0,
        command_line: Vec::new(),
    }
}
