//! When node images were announced: a table with the columns `published`, `family`,
//! `version`, `path`, tab-separated, one row per note. Source of the table: the commits that
//! add notes to the folder `vhd-notes` of AKS's public repository. Its families are named in
//! a spelling of their own, which says less than a node's label: one note is about all
//! variants of a release.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nodeward_domain::image::is_version;

use crate::instant::{self, InstantError};
use crate::unread::{self, Unread};

/// The longest table that is read. One row has 130 bytes.
pub const LONGEST_TABLE_BYTES: usize = 16 << 20;

/// Why a table was refused.
#[derive(Debug, thiserror::Error)]
pub enum AnnouncedError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// It begins otherwise.
    #[error("{file}:1: the columns are not `published`, `family`, `version`, `path`")]
    Header {
        /// The file.
        file: String,
    },
    /// A row has more columns, fewer, or an empty one.
    #[error("{file}:{line}: {what}")]
    Row {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A time is none.
    #[error("{file}:{line}: published")]
    Published {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What stands there.
        #[source]
        source: InstantError,
    },
}

/// What a table says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announced {
    /// One for each family and version, in their order.
    pub images: Vec<AnnouncedImage>,
    /// So many rows were read.
    pub rows: usize,
    /// Families that no label is known for, as they are spelt, and how many rows each has.
    pub unmapped: BTreeMap<String, usize>,
}

/// An image that was announced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnnouncedImage {
    /// The family.
    pub family: AnnouncedFamily,
    /// Which image of it: `202607.02.0`.
    pub version: String,
    /// When that was first published.
    pub announced_at: Timestamp,
}

/// The family of an image that was announced.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnnouncedFamily {
    /// What the labels of all its variants begin with: `AKSUbuntu-2204`.
    Label(String),
    /// As it is spelt, where no label is known for it.
    Spelt(String),
}

impl AnnouncedFamily {
    /// Whether a line of images, as the node's label names it, is a variant of it.
    #[must_use]
    pub fn covers(&self, family: &str) -> bool {
        let Self::Label(start) = self else { return false };
        let head = family.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start));
        head && !family[start.len()..].starts_with(|next: char| next.is_ascii_digit())
    }
}

impl Announced {
    /// When an image was first announced. None says only that it is not in the table.
    #[must_use]
    pub fn at(&self, family: &str, version: &str) -> Option<Timestamp> {
        let named = self.images.iter().filter(|image| image.version == version);
        named.filter(|image| image.family.covers(family)).map(|image| image.announced_at).min()
    }
}

const COLUMNS: [&str; 4] = ["published", "family", "version", "path"];

/// Reads a table. Of rows that name the same image the earliest counts.
pub fn read_announced(file: &str, bytes: &[u8]) -> Result<Announced, AnnouncedError> {
    let text = unread::text(file, unread::without_mark(bytes), LONGEST_TABLE_BYTES)?;
    let mut lines = text.lines().enumerate();
    let header = lines.next().map(|(_, line)| line.split('\t').map(str::trim));
    if !header.is_some_and(|columns| columns.eq(COLUMNS)) {
        return Err(AnnouncedError::Header { file: file.to_owned() });
    }
    let mut announced = Announced::default();
    let mut images: BTreeMap<(AnnouncedFamily, String), Timestamp> = BTreeMap::new();
    for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |what| AnnouncedError::Row { file: file.to_owned(), line: index + 1, what };
        let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
        let [published, spelt, version, path] = columns.as_slice() else {
            return Err(wrong("there are not four columns"));
        };
        if [spelt, version, path].iter().any(|text| text.is_empty()) {
            return Err(wrong("a column is empty"));
        }
        let at = instant::read(published).map_err(|source| AnnouncedError::Published {
            file: file.to_owned(),
            line: index + 1,
            source,
        })?;
        let (family, version) = named(spelt, version);
        if let AnnouncedFamily::Spelt(spelt) = &family {
            *announced.unmapped.entry(spelt.clone()).or_default() += 1;
        }
        announced.rows += 1;
        images.entry((family, version)).and_modify(|first| *first = at.min(*first)).or_insert(at);
    }
    announced.images = images
        .into_iter()
        .map(|((family, version), announced_at)| AnnouncedImage { family, version, announced_at })
        .collect();
    Ok(announced)
}

/// Family and version of an announcement. The first ones had the whole label for a version:
/// `AKSUbuntu-1604-2020.06.30`.
fn named(spelt: &str, version: &str) -> (AnnouncedFamily, String) {
    let whole = version.rsplit_once('-').filter(|(family, version)| {
        is_version(version) && family.starts_with("AKS") && family.len() > "AKS".len()
    });
    if let Some((family, version)) = whole {
        return (AnnouncedFamily::Label(family.to_owned()), version.to_owned());
    }
    let family = label_of(spelt)
        .map_or_else(|| AnnouncedFamily::Spelt(spelt.to_owned()), AnnouncedFamily::Label);
    (family, version.to_owned())
}

/// What the labels of a family begin with, by its spelling in announcements.
fn label_of(spelt: &str) -> Option<String> {
    let is_release = |text: &&str| {
        !text.is_empty() && text.len() <= 8 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if let Some(release) = spelt.strip_prefix("aks-ubuntu/AKSUbuntu-").filter(is_release) {
        return Some(format!("AKSUbuntu-{release}"));
    }
    if let Some(release) = spelt.strip_prefix("AKSWindows/").filter(is_release) {
        return Some(format!("AKSWindows-{release}"));
    }
    let label = match spelt.to_ascii_lowercase().as_str() {
        "azurelinux" => "AKSAzureLinux-V2",
        "azurelinuxv3" => "AKSAzureLinux-V3",
        // Of both releases: the folder went on when the first had ended.
        "aksmariner" => "AKSCBLMariner",
        "aksmarinerv2" => "AKSCBLMariner-V2",
        _ => return None,
    };
    Some(label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "published\tfamily\tversion\tpath
2026-07-23T14:14:18-04:00\taks-ubuntu/AKSUbuntu-2204\t202607.02.0\tvhd-notes/a.txt
2026-07-20T00:00:00Z\taks-ubuntu/AKSUbuntu-2204\t202607.02.0\tvhd-notes/old/a.txt
2026-07-23T14:14:18-04:00\tAzurelinuxv3\t202607.02.0\tvhd-notes/b.txt
2026-07-24T14:14:18-04:00\tAKSWindows/2025 \t26100.33158.260715\tvhd-notes/c.txt
2020-07-11T15:41:18-07:00\taks-ubuntu\tAKSUbuntu-1604-2020.06.30\tvhd-notes/d.txt
2020-07-11T15:41:18-07:00\taks-ubuntu\todd-1604_202002.12\tvhd-notes/e.txt
";

    fn read(text: &str) -> Result<Announced, AnnouncedError> {
        read_announced("announced.tsv", text.as_bytes())
    }

    #[test]
    fn the_first_announcement_of_an_image_counts() {
        let announced = read(TABLE).expect("a table");
        assert_eq!((announced.rows, announced.images.len()), (6, 5));
        let at =
            |family: &str, version: &str| announced.at(family, version).map(|at| at.to_string());
        let first = Some("2026-07-20T00:00:00Z".to_owned());
        assert_eq!(at("AKSUbuntu-2204gen2containerd", "202607.02.0"), first);
        assert_eq!(at("AKSUbuntu-2204containerd", "202607.02.0"), first);
        let second = Some("2026-07-23T18:14:18Z".to_owned());
        assert_eq!(at("AKSAzureLinux-V3gen2", "202607.02.0"), second);
        assert!(at("AKSWindows-2025-gen2", "26100.33158.260715").is_some());
        assert!(at("AKSUbuntu-1604", "2020.06.30").is_some());
        for other in ["AKSUbuntu-2404gen2containerd", "AKSUbuntu-22041", "AKSAzureLinux-V2gen2"] {
            assert_eq!(at(other, "202607.02.0"), None, "{other}");
        }
        assert_eq!(announced.unmapped, BTreeMap::from([("aks-ubuntu".to_owned(), 1)]));
    }

    #[test]
    fn an_error_names_the_file_the_line_and_the_reason() {
        let refused =
            |from: &str, to: &str| read(&TABLE.replacen(from, to, 1)).expect_err("odd").to_string();
        let columns =
            "announced.tsv:1: the columns are not `published`, `family`, `version`, `path`";
        assert_eq!(refused("published", "when"), columns);
        assert_eq!(read("").expect_err("empty").to_string(), columns);
        assert_eq!(refused("2026-07-20T00:00:00Z", "once"), "announced.tsv:3: published");
        assert_eq!(refused("\tvhd-notes/b.txt", ""), "announced.tsv:4: there are not four columns");
        assert_eq!(refused("vhd-notes/c.txt", " "), "announced.tsv:5: a column is empty");
    }
}
