//! Collects `swap_and_hugepages`: swap, proc_swaps(5); huge pages, proc_meminfo(5); when the
//! kernel makes huge pages by itself, and what files say that this should be.

use std::sync::Arc;

use nodeward_domain::facts::{
    ComponentState, Swap, SwapAndHugepages, ToldHugePages, TransparentHugePages,
};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::time_sync::units;
use super::{Collected, state};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

const LIMIT_BYTES: u64 = 64 * 1024;

const SWAPS: &str = "/proc/swaps";
const MEMINFO: &str = "/proc/meminfo";
const FOLDER: &str = "/sys/kernel/mm/transparent_hugepage";

/// Settings of sysfs, as sysfsutils sets them at boot.
const SYSFS: &str = "/etc/sysfs.conf";
const SYSFS_FOLDER: &str = "/etc/sysfs.d";

/// The provider's unit for systems without sysfsutils.
const UNIT: &str = "/etc/systemd/system/aks-transparent-hugepage.service";

/// So many settings are told.
const TOLD: usize = 64;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &[SWAPS],
        "Where memory is swapped to, and how much of it is. Not there: the kernel cannot swap.",
    ),
    Read::of(
        &[MEMINFO],
        "How many huge pages of the usual size are set aside, how many of them are free, and how \
         big they are.",
    ),
    Read::of(
        &[
            "/sys/kernel/mm/transparent_hugepage/enabled",
            "/sys/kernel/mm/transparent_hugepage/defrag",
        ],
        "When the kernel makes huge pages by itself.",
    ),
    Read::of(&["/sys/kernel/mm"], "Whether it is there, where that is not."),
    Read::of(
        &[SYSFS, SYSFS_FOLDER, "/etc/sysfs.d/{name}.conf"],
        "The lines of these two settings: what they should be.",
    ),
    Read::of(&[UNIT], "Whether it is there: the provider's unit that sets them."),
];

pub(super) fn collect(host: &Host) -> Collected {
    let mut measured = Measurements::default();
    let state = state(read(&host.root, &mut measured));
    Collected { state: ComponentState::SwapAndHugepages(state), measured }
}

fn read(
    root: &HostRoot,
    measured: &mut Measurements,
) -> Result<State<SwapAndHugepages>, HostError> {
    let memory = whole_text(root, MEMINFO)?;
    let of_memory = |name: &str| memory_value(&memory, name);
    let malformed = |path: &str, form: &str| HostError::Malformed {
        path: path.to_owned(),
        why: format!("is not in the form of {form}"),
    };
    of_memory("MemTotal").ok_or_else(|| malformed(MEMINFO, "proc_meminfo(5)"))?;
    let swaps = match whole_text(root, SWAPS) {
        Err(HostError::Missing { .. }) => Vec::new(),
        text => swaps(&text?).ok_or_else(|| malformed(SWAPS, "proc_swaps(5)"))?,
    };
    measured.swap_used_bytes =
        Some(swaps.iter().map(|(_, used)| *used).fold(0, u64::saturating_add));
    measured.huge_pages_free = of_memory("HugePages_Free");
    let mut swaps: Vec<Swap> = swaps.into_iter().map(|(swap, _)| swap).collect();
    swaps.sort_unstable();
    Ok(State::Present(Arc::new(SwapAndHugepages {
        swaps,
        huge_pages: of_memory("HugePages_Total").unwrap_or_default(),
        huge_page_bytes: of_memory("Hugepagesize").unwrap_or_default(),
        transparent: transparent(root),
        told: told(root)?,
        units: units::unmasked(root, root.existing(&[UNIT])?)?,
    })))
}

/// The text of a file of the kernel's, whose every line ends.
fn whole_text(root: &HostRoot, path: &str) -> Result<String, HostError> {
    let text = root.read_text(path, LIMIT_BYTES)?;
    let why = match text.as_str() {
        "" => "is empty",
        text if !text.ends_with('\n') => "ends in the middle of a line: truncated",
        _ => return Ok(text),
    };
    Err(HostError::Malformed { path: path.to_owned(), why: why.to_owned() })
}

/// A number of proc_meminfo(5); one of kibibytes in bytes.
fn memory_value(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.trim();
    match value.strip_suffix(" kB") {
        Some(kibibytes) => kibibytes.parse::<u64>().ok()?.checked_mul(1024),
        None => value.parse().ok(),
    }
}

/// Every swap, with how many bytes of it are used: path, type, size and use in kibibytes,
/// priority, below one line of headings.
fn swaps(text: &str) -> Option<Vec<(Swap, u64)>> {
    let mut lines = text.lines();
    lines.next().filter(|heading| heading.starts_with("Filename"))?;
    lines
        .map(|line| {
            let mut fields = line.split_whitespace();
            // Blanks in a path are written as numbers.
            let path = fields.next()?.replace("\\040", " ");
            let kind = fields.next()?.to_owned();
            let size: u64 = fields.next()?.parse().ok()?;
            let used: u64 = fields.next()?.parse().ok()?;
            let size_bytes = size.checked_mul(1024)?;
            Some((Swap { path, kind, size_bytes }, used.checked_mul(1024)?))
        })
        .collect()
}

fn transparent(root: &HostRoot) -> TransparentHugePages {
    const MEMORY: &str = "/sys/kernel/mm";
    let chosen = |name: &str| {
        let path = format!("{FOLDER}/{name}");
        let text = root.read_text(&path, LIMIT_BYTES)?;
        chosen(&text)
            .map(str::to_owned)
            .ok_or_else(|| HostError::Malformed { path, why: format!("{text:?} has none chosen") })
    };
    match (chosen("enabled"), chosen("defrag")) {
        (Ok(enabled), Ok(defrag)) => TransparentHugePages::Set { enabled, defrag },
        // Without sysfs that says nothing.
        (Err(HostError::Missing { .. }), _) if root.exists(MEMORY) == Ok(true) => {
            TransparentHugePages::NotSupported
        }
        (Err(error), _) | (_, Err(error)) => {
            TransparentHugePages::Unreadable(format!("{}: {error}", error.path()))
        }
    }
}

/// The one in brackets: `always [madvise] never`.
fn chosen(text: &str) -> Option<&str> {
    let words = text.strip_suffix('\n')?.split(' ');
    words.into_iter().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))
}

/// What files tell, in the order in which they are read. What was not there at boot does not
/// count, and neither does what is no setting of these two.
fn told(root: &HostRoot) -> Result<Vec<ToldHugePages>, HostError> {
    let mut files = vec![SYSFS.to_owned()];
    match root.list(SYSFS_FOLDER) {
        Err(HostError::Missing { .. }) => {}
        names => {
            let names = names?.into_iter().filter(|name| name.ends_with(".conf"));
            files.extend(names.map(|name| format!("{SYSFS_FOLDER}/{name}")));
        }
    }
    let mut told = Vec::new();
    for file in files {
        let text = match root.read_text(&file, LIMIT_BYTES) {
            Err(HostError::Missing { .. }) => continue,
            text => text?,
        };
        for (key, value) in text.lines().filter_map(setting) {
            told.push(ToldHugePages {
                file: file.clone(),
                key: key.to_owned(),
                value: value.to_owned(),
            });
        }
    }
    told.truncate(TOLD);
    Ok(told)
}

/// One of the two settings, in a line such as `kernel/mm/transparent_hugepage/enabled=never`.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (attribute, value) = line.trim().split_once('=')?;
    let key = attribute.trim().strip_prefix("kernel/mm/transparent_hugepage/")?;
    matches!(key, "enabled" | "defrag").then(|| (key, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(files: &[(&str, &str)]) -> Result<(SwapAndHugepages, Measurements), HostError> {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let mut measured = Measurements::default();
        match read(&HostRoot::open(root.path()).expect("a directory"), &mut measured)? {
            State::Present(memory) => Ok(((*memory).clone(), measured)),
            other => panic!("{other:?}"),
        }
    }

    const MEMORY: (&str, &str) = (
        MEMINFO,
        "MemTotal:       16384000 kB\nHugePages_Total:    4096\nHugePages_Free:       17\n\
         Hugepagesize:       2048 kB\n",
    );
    const HEADING: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn swap_and_huge_pages_are_read() {
        let swaps = format!("{HEADING}/mnt/swapfile file\t\t1048572\t\t1024\t\t-2\n");
        let (memory, measured) = seen(&[
            MEMORY,
            (SWAPS, &swaps),
            ("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            (
                "/sys/kernel/mm/transparent_hugepage/defrag",
                "always defer [defer+madvise] madvise never\n",
            ),
            (SYSFS, "# a comment\nkernel/mm/transparent_hugepage/enabled = never\nother=1\n"),
            ("/etc/sysfs.d/a.conf", "kernel/mm/transparent_hugepage/defrag=defer\n"),
            ("/etc/sysfs.d/a.bak", "kernel/mm/transparent_hugepage/defrag=never\n"),
        ])
        .expect("read");
        let swap = Swap {
            path: "/mnt/swapfile".to_owned(),
            kind: "file".to_owned(),
            size_bytes: 1_073_737_728,
        };
        assert_eq!(memory.swaps, [swap]);
        assert_eq!((memory.huge_pages, memory.huge_page_bytes), (4096, 2 * 1024 * 1024));
        assert_eq!(measured.swap_used_bytes, Some(1024 * 1024));
        assert_eq!(measured.huge_pages_free, Some(17));
        let set = TransparentHugePages::Set {
            enabled: "madvise".to_owned(),
            defrag: "defer+madvise".to_owned(),
        };
        assert_eq!(memory.transparent, set);
        let told: Vec<(&str, &str, &str)> =
            memory.told.iter().map(|one| (&*one.file, &*one.key, &*one.value)).collect();
        assert_eq!(told, [(SYSFS, "enabled", "never"), ("/etc/sysfs.d/a.conf", "defrag", "defer")]);
    }

    #[test]
    fn a_kernel_may_have_been_built_without() {
        let (memory, _) = seen(&[MEMORY, ("/sys/kernel/mm/ksm/run", "0\n")]).expect("read");
        assert_eq!(memory.swaps, []);
        assert_eq!(memory.transparent, TransparentHugePages::NotSupported);
        let (memory, _) = seen(&[MEMORY, (SWAPS, HEADING)]).expect("read");
        assert!(matches!(memory.transparent, TransparentHugePages::Unreadable(_)), "{memory:?}");
    }

    #[test]
    fn what_is_cut_off_or_in_another_form_is_refused() {
        for (path, files) in [
            (MEMINFO, &[(SWAPS, HEADING)][..]),
            (MEMINFO, &[(MEMINFO, "MemTotal: 1 kB")][..]),
            (MEMINFO, &[(MEMINFO, "Memory: 1 kB\n")][..]),
            (SWAPS, &[MEMORY, (SWAPS, "")][..]),
            (SWAPS, &[MEMORY, (SWAPS, "/swapfile file 1 1 1\n")][..]),
            (SWAPS, &[MEMORY, (SWAPS, "Filename Type Size Used Priority\n/a file x 1 1\n")][..]),
        ] {
            assert_eq!(seen(files).expect_err(path).path(), path);
        }
    }
}
