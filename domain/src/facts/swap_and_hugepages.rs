//! Facts of `swap_and_hugepages`: where memory is swapped to, how much of it is set aside
//! in huge pages, and when the kernel makes huge pages by itself. Sources: proc_swaps(5),
//! proc_meminfo(5), the kernel's documentation of transparent huge pages.

use serde::Serialize;

use super::Headline;

/// Swap and huge pages of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SwapAndHugepages {
    /// Where memory is swapped to, by path.
    pub swaps: Vec<Swap>,
    /// Huge pages of the usual size that are set aside.
    pub huge_pages: u64,
    /// That size; zero on a kernel without huge pages.
    pub huge_page_bytes: u64,
    /// When the kernel makes huge pages by itself.
    pub transparent: TransparentHugePages,
    /// What files tell that this should be, in the order in which they are read.
    pub told: Vec<ToldHugePages>,
    /// Units that set it besides, sorted: what they set is not read.
    pub units: Vec<String>,
}

/// One place to which memory is swapped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Swap {
    /// A file or a device.
    pub path: String,
    /// `file` or `partition`.
    pub kind: String,
    /// Its size.
    pub size_bytes: u64,
}

/// When the kernel makes huge pages by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TransparentHugePages {
    /// The kernel was built without.
    NotSupported,
    /// So.
    Set {
        /// For whom: `always`, `madvise` or `never`.
        enabled: String,
        /// How hard it looks for room: `always`, `defer`, `defer+madvise`, `madvise`, `never`.
        defrag: String,
    },
    /// It could not be read, for this reason.
    Unreadable(String),
}

/// A setting that a file tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToldHugePages {
    /// The file.
    pub file: String,
    /// `enabled` or `defrag`.
    pub key: String,
    /// What it should be.
    pub value: String,
}

impl Headline for SwapAndHugepages {
    fn headline(&self) -> String {
        let swaps = match self.swaps.len() {
            0 => "no swap".to_owned(),
            1 => "1 swap".to_owned(),
            count => format!("{count} swaps"),
        };
        let transparent = match &self.transparent {
            TransparentHugePages::NotSupported => "none",
            TransparentHugePages::Set { enabled, .. } => enabled,
            TransparentHugePages::Unreadable(_) => "not known",
        };
        format!("{swaps}, {} huge pages, transparent ones: {transparent}", self.huge_pages)
    }
}
