//! Facts of `kernel`: what runs, since which boot, and its taint flags. Source:
//! `/proc/sys/kernel`, `/proc/cmdline`, Documentation/admin-guide/tainted-kernels.rst.

use jiff::Timestamp;
use serde::Serialize;

use super::Headline;

/// Parameters that switch mitigations of processor flaws off: `mitigations=off` all of them,
/// the others those of one flaw each. Source: Documentation/admin-guide/kernel-parameters.txt.
pub const MITIGATIONS_OFF: [&str; 26] = [
    "gather_data_sampling=off",
    "indirect_target_selection=off",
    "kvm.nx_huge_pages=off",
    "l1tf=off",
    "mds=off",
    "mitigations=off",
    "mmio_stale_data=off",
    "no_entry_flush",
    "no_uaccess_flush",
    "nopti",
    "nospec_store_bypass_disable",
    "nospectre_bhb",
    "nospectre_v1",
    "nospectre_v2",
    "pti=off",
    "reg_file_data_sampling=off",
    "retbleed=off",
    "spec_rstack_overflow=off",
    "spec_store_bypass_disable=off",
    "spectre_bhi=off",
    "spectre_v2=off",
    "spectre_v2_user=off",
    "srbds=off",
    "ssbd=force-off",
    "tsa=off",
    "tsx_async_abort=off",
];

/// The kernel that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kernel {
    /// `uname -r`, such as `5.15.0-1102-azure`.
    pub release: String,
    /// `uname -v`, build number and date; may be empty.
    pub version: String,
    /// `/proc/sys/kernel/random/boot_id` of the host.
    pub boot_id: String,
    /// When it was booted, by the clock as it goes now: `btime` of `/proc/stat`. It moves
    /// when the clock is set, and only then. None from an agent that did not report it.
    pub booted_at: Option<Timestamp>,
    /// The kernels that lie on disk.
    pub images: KernelImages,
    /// `/proc/sys/kernel/tainted`, the bit mask.
    pub tainted: u64,
    /// Parameters of `/proc/cmdline`. Values stand only behind names known to carry no
    /// secret; of all others only the name is kept.
    pub command_line: Vec<String>,
}

/// Kernels on disk, ready to be booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelImages {
    /// Their releases, sorted.
    Releases(Vec<String>),
    /// They could not be looked for, for this reason.
    Unreadable(String),
}

/// One taint flag that is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Taint {
    /// Bit number in the mask.
    pub bit: u32,
    /// The letter that the kernel prints for it.
    pub letter: char,
    /// What the flag says.
    pub meaning: &'static str,
}

/// The taint flags of Linux 6.x by bit number: letter and meaning.
const TAINTS: [(char, &str); 20] = [
    ('P', "proprietary module was loaded"),
    ('F', "module was force loaded"),
    ('S', "kernel running on an out of specification system"),
    ('R', "module was force unloaded"),
    ('M', "processor reported a machine check exception"),
    ('B', "bad page referenced or unexpected page flags"),
    ('U', "taint requested by a user space application"),
    ('D', "kernel died recently: an oops or BUG occurred"),
    ('A', "an ACPI table was overridden by the user"),
    ('W', "kernel issued a warning"),
    ('C', "staging driver was loaded"),
    ('I', "workaround for a firmware bug applied"),
    ('O', "externally built (out-of-tree) module was loaded"),
    ('E', "unsigned module was loaded"),
    ('L', "soft lockup occurred"),
    ('K', "kernel was live patched"),
    ('X', "auxiliary taint, defined by the distribution"),
    ('T', "kernel was built with the struct randomisation plugin"),
    ('N', "an in-kernel test was run"),
    ('J', "a user space program used a mutating debug operation in fwctl"),
];

impl Kernel {
    /// The taint flags that are set, by bit number. A bit that this build does not
    /// know has the letter `?`.
    #[must_use]
    pub fn taints(&self) -> Vec<Taint> {
        (0..u64::BITS)
            .filter(|bit| self.tainted & (1 << bit) != 0)
            .map(|bit| {
                let (letter, meaning) =
                    TAINTS.get(bit as usize).copied().unwrap_or(('?', "not known to this build"));
                Taint { bit, letter, meaning }
            })
            .collect()
    }
}

impl Headline for Kernel {
    fn headline(&self) -> String {
        let letters: String = self.taints().iter().map(|taint| taint.letter).collect();
        if letters.is_empty() {
            format!("{}, not tainted", self.release)
        } else {
            format!("{}, tainted {letters}", self.release)
        }
    }
}
