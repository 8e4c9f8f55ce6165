//! Collects `kernel_modules`: which modules of the kernel are loaded, from `/proc/modules`,
//! and which ones modprobe.d(5) keeps from being loaded.

mod rules;

use std::collections::BTreeSet;
use std::sync::Arc;

use nodeward_domain::facts::{ComponentState, KernelModules};
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

const LOADED: &str = "/proc/modules";

/// So many modules may be loaded, and so long may the file be: far more than there are in
/// any kernel, and no more than an aggregator takes.
const MODULES: usize = 4096;
const LIMIT_BYTES: u64 = 2 * 1024 * 1024;

/// The longest name: the kernel's own limit is 56.
const NAME_LIMIT_BYTES: usize = 256;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/proc/modules"],
        "The names of the modules that are loaded. Not there: the kernel was built without.",
    ),
    Read::of(
        &["/proc/sys/kernel"],
        "Whether it is there, where `/proc/modules` is not: without procfs that says nothing.",
    ),
    Read::of(
        &[
            "/etc/modprobe.d/**",
            "/run/modprobe.d/**",
            "/usr/local/lib/modprobe.d/**",
            "/usr/lib/modprobe.d/**",
            "/lib/modprobe.d/**",
        ],
        "Of files ending in `.conf` the lines `blacklist` and `install`: which modules are kept \
         from being loaded, modprobe.d(5). A link to `/dev/null` masks files of its name.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::KernelModules(state(read(&host.root))).into()
}

fn read(root: &HostRoot) -> Result<State<KernelModules>, HostError> {
    let loaded = loaded(root)?;
    let rules = rules::read(root, &loaded)?;
    Ok(State::Present(Arc::new(KernelModules { loaded: loaded.into_iter().collect(), rules })))
}

/// The names of the modules that are loaded.
fn loaded(root: &HostRoot) -> Result<BTreeSet<String>, HostError> {
    const PROCFS: &str = "/proc/sys/kernel";
    let text = match root.read_text(LOADED, LIMIT_BYTES) {
        Err(HostError::Missing { .. }) if root.exists(PROCFS)? => return Ok(BTreeSet::new()),
        text => text?,
    };
    let malformed = |why: String| HostError::Malformed { path: LOADED.to_owned(), why };
    // The kernel ends every line: one without an end has been cut off.
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(malformed("ends in the middle of a line: truncated".to_owned()));
    }
    let mut names = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let name = name(line).ok_or_else(|| malformed(format!("line {number}: no module")))?;
        names.insert(name);
        if names.len() > MODULES {
            return Err(malformed(format!("names more than {MODULES} modules")));
        }
    }
    Ok(names)
}

/// The name of a module in a line of `/proc/modules`: name, size, uses, users, state and
/// address, proc_modules(5).
fn name(line: &str) -> Option<String> {
    let mut fields = line.split(' ');
    let name = fields.next().filter(|name| !name.is_empty() && name.len() <= NAME_LIMIT_BYTES)?;
    let size = fields.next()?;
    let is_module = size.parse::<u64>().is_ok() && fields.count() >= 4;
    is_module.then(|| name.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a procfs with that file.
    fn read_of(modules: Option<&str>) -> Result<Vec<String>, HostError> {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("proc/sys/kernel")).expect("made");
        if let Some(text) = modules {
            std::fs::write(root.path().join("proc/modules"), text).expect("written");
        }
        let read = loaded(&HostRoot::open(root.path()).expect("a directory"))?;
        Ok(read.into_iter().collect())
    }

    #[test]
    fn names_are_read_sorted_and_no_modules_are_none() {
        let text = "xt_set 20480 2 ip_set, Live 0x0000000000000000\n\
                    ip_set 53248 1 xt_set, Live 0x0000000000000000 (OE)\n\
                    dm-mod 151552 - - Loading 0x0000000000000000\n";
        let names = ["dm_mod", "ip_set", "xt_set"].map(str::to_owned).to_vec();
        assert_eq!(read_of(Some(text)), Ok(names));
        assert_eq!(read_of(Some("")), Ok(Vec::new()));
        assert_eq!(read_of(None), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_list_of_modules_is_refused() {
        for text in ["ip_set 53248 1 - Live 0x0", "ip_set\n", " 1 2 3 4 5\n", "a b c d e f\n"] {
            assert!(matches!(read_of(Some(text)), Err(HostError::Malformed { .. })), "{text}");
        }
        let many: String = (0..=MODULES).map(|n| format!("m{n} 1 0 - Live 0x0\n")).collect();
        assert!(matches!(read_of(Some(&many)), Err(HostError::Malformed { .. })));
    }

    #[test]
    fn without_procfs_nothing_is_said() {
        let root = tempfile::tempdir().expect("a folder");
        let read = loaded(&HostRoot::open(root.path()).expect("a directory"));
        assert_eq!(read, Err(HostError::Missing { path: LOADED.to_owned() }));
    }
}
