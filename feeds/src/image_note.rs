//! Release notes of node images: what was installed in an image, which kernel ran, when it
//! was built. Source: AKS's image builder publishes them, `<family>/<version>.txt`; the same
//! text lies on a node as `/opt/azure/vhd-install.complete`, without the image's name.

mod packages;
mod section;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use nodeward_domain::facts::PackageManager;
use nodeward_domain::image::{ImageRelease, ShippedPackages, named_by_path, system_of_line};

pub use packages::{AptEntry, PackageList, RpmEntry};
pub use section::Section;

use crate::instant::{self, InstantError};
use crate::unread::{self, MARK, Unread};

/// The longest note that is read. Real ones have 110 kB.
pub const LONGEST_NOTE_BYTES: usize = 16 << 20;

/// Why a note was refused.
#[derive(Debug, thiserror::Error)]
pub enum ImageNoteError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// Its path does not say of which image it is, and a note itself never does.
    #[error("{file}: the path names no image, as <family>/<version>.txt does")]
    Unnamed {
        /// The file.
        file: String,
    },
    /// It is something else.
    #[error("{file}: no note of a node image: it begins neither as one of Linux nor of Windows")]
    NoNote {
        /// The file.
        file: String,
    },
    /// Its build has no time.
    #[error("{file}:1: the time of the build")]
    Built {
        /// The file.
        file: String,
        /// What stands there.
        #[source]
        source: InstantError,
    },
    /// Its build is to come.
    #[error("{file}:1: the build began at {built_at:.0}, which is to come")]
    ToCome {
        /// The file.
        file: String,
        /// When it says that the build began.
        built_at: Timestamp,
    },
    /// It is of another operating system than all images of its line.
    #[error(
        "{file}: no note of {family}: images of that line have {expected}, and this has {found}"
    )]
    System {
        /// The file.
        file: String,
        /// The line that its path names.
        family: String,
        /// The system of that line.
        expected: String,
        /// What stands in the note.
        found: String,
    },
    /// A line has a form that such a note does not have.
    #[error("{file}:{line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It is not whole.
    #[error("{file}:{line}: cut off: {what}")]
    CutOff {
        /// The file.
        file: String,
        /// The last line that is there.
        line: usize,
        /// By what that is seen.
        what: &'static str,
    },
}

/// How the lines of a note end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// As on Linux.
    Lf,
    /// As on Windows.
    CrLf,
}

/// A release note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageNote {
    /// What it says of the image.
    pub release: ImageRelease,
    /// Its parts, in the order in which they stood.
    pub sections: Vec<Section>,
    /// How its lines end.
    pub line_end: LineEnd,
    /// Whether it begins with a byte order mark.
    pub has_mark: bool,
}

/// What the first line of a note of Linux begins with.
const BUILD: &str = "Starting build on ";

/// What the first line of a note of Windows begins with.
const WINDOWS_BUILD: &str = "Build Number:";

/// Lines that stand at the end of every note of Linux, written last of all.
const CLOSING: [(&str, &str); 2] = [
    ("Install completed successfully on", "no line `Install completed successfully on`"),
    ("FIPS enabled:", "no line `FIPS enabled:`"),
];

/// Reads a note. A note does not say of which image it is: its path does, which ends in
/// `<family>/<version>.txt`, the family as in the node's label or as the folder of the image
/// builder; see [`nodeward_domain::image::family_of`].
pub fn read_image_note(file: &str, bytes: &[u8]) -> Result<ImageNote, ImageNoteError> {
    let (family, version) =
        named_by_path(file).ok_or_else(|| ImageNoteError::Unnamed { file: file.to_owned() })?;
    let note = read_image_note_of(&family, &version, file, bytes)?;
    match note.other_system() {
        None => Ok(note),
        Some((expected, found)) => {
            Err(ImageNoteError::System { file: file.to_owned(), family, expected, found })
        }
    }
}

/// Refuses a note of an image whose build is to come, as of `now`.
pub fn refuse_to_come(
    file: &str,
    release: &ImageRelease,
    now: Timestamp,
) -> Result<(), ImageNoteError> {
    match release.built_at.filter(|built_at| instant::is_to_come(*built_at, now)) {
        None => Ok(()),
        Some(built_at) => Err(ImageNoteError::ToCome { file: file.to_owned(), built_at }),
    }
}

/// Reads the note of an image whose name is known from elsewhere, as on a node, where it
/// stands in `/opt/azure/containers/image-bom.json`.
pub fn read_image_note_of(
    family: &str,
    version: &str,
    file: &str,
    bytes: &[u8],
) -> Result<ImageNote, ImageNoteError> {
    let text = unread::text(file, bytes, LONGEST_NOTE_BYTES)?;
    let (has_mark, text) = match text.strip_prefix(MARK) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (is_windows, is_linux) = (text.starts_with(WINDOWS_BUILD), text.starts_with(BUILD));
    if !is_windows && !is_linux {
        return Err(ImageNoteError::NoNote { file: file.to_owned() });
    }
    let lines = Lines::of(file, text)?;
    let release = ImageRelease {
        family: family.to_owned(),
        version: version.to_owned(),
        built_at: None,
        kernel: None,
        os_id: None,
        os_version_id: None,
        packages: ShippedPackages::Unknown(WINDOWS_LISTS_NONE.to_owned()),
    };
    let line_end = lines.line_end;
    let (release, sections) = match is_linux {
        true => linux(&lines, release)?,
        false => windows(&lines, release),
    };
    Ok(ImageNote { release, sections, line_end, has_mark })
}

/// Why the packages of Windows are not known.
const WINDOWS_LISTS_NONE: &str =
    "a note of Windows names updates of the whole system, and lists no packages with versions";

/// The lines of a note, without their ends.
struct Lines<'a> {
    file: &'a str,
    line_end: LineEnd,
    lines: Vec<&'a str>,
}

impl<'a> Lines<'a> {
    fn of(file: &'a str, text: &'a str) -> Result<Self, ImageNoteError> {
        let count = text.split('\n').count();
        let Some(text) = text.strip_suffix('\n') else {
            let what = "the last line has no end";
            return Err(ImageNoteError::CutOff { file: file.to_owned(), line: count, what });
        };
        let line_end = match text.split('\n').next().is_some_and(|first| first.ends_with('\r')) {
            true => LineEnd::CrLf,
            false => LineEnd::Lf,
        };
        let bare = |line: &'a str| match line_end {
            LineEnd::CrLf => line.strip_suffix('\r').unwrap_or(line),
            LineEnd::Lf => line,
        };
        Ok(Self { file, line_end, lines: text.split('\n').map(bare).collect() })
    }

    /// A refusal for a line, by its index.
    fn wrong(&self, index: usize, what: &'static str) -> ImageNoteError {
        ImageNoteError::Line { file: self.file.to_owned(), line: index + 1, what }
    }

    /// A refusal because something is no longer there.
    fn cut_off(&self, what: &'static str) -> ImageNoteError {
        ImageNoteError::CutOff { file: self.file.to_owned(), line: self.lines.len(), what }
    }
}

/// What is read of a note.
type Read = (ImageRelease, Vec<Section>);

fn linux(lines: &Lines<'_>, mut release: ImageRelease) -> Result<Read, ImageNoteError> {
    let sections = section::sections(lines)?;
    let mut list = None;
    for section in &sections {
        match section {
            Section::Build(text) => release.built_at = Some(built_at(lines.file, text)?),
            Section::Kernel(line) => release.kernel = running(line),
            Section::OsRelease(values) => {
                release.os_id = value(values, "ID");
                release.os_version_id = value(values, "VERSION_ID");
            }
            Section::Packages(packages) => list = Some(packages),
            Section::List { .. } | Section::Other(_) => {}
        }
    }
    let list = list.ok_or_else(|| lines.cut_off("no list of installed packages"))?;
    release.packages = list.shipped();
    for (start, what) in CLOSING {
        if !lines.lines.iter().any(|line| line.starts_with(start)) {
            return Err(lines.cut_off(what));
        }
    }
    Ok((release, sections))
}

fn built_at(file: &str, text: &str) -> Result<Timestamp, ImageNoteError> {
    instant::read_date(text)
        .map_err(|source| ImageNoteError::Built { file: file.to_owned(), source })
}

/// The release of a kernel, out of `Linux version 6.8.0-1059-azure (…) …`.
fn running(line: &str) -> Option<String> {
    line.split(' ').nth(2).filter(|release| !release.is_empty()).map(str::to_owned)
}

/// A value of os-release(5), without the quotes around it.
fn value(lines: &[String], key: &str) -> Option<String> {
    let mut values = lines.iter().filter_map(|line| line.split_once('='));
    let (_, value) = values.find(|(found, _)| *found == key)?;
    let plain = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value);
    (!plain.is_empty()).then(|| plain.to_owned())
}

fn windows(lines: &Lines<'_>, mut release: ImageRelease) -> Read {
    release.os_id = Some("windows".to_owned());
    let mut fields = lines.lines.iter().filter_map(|line| line.trim().split_once(':'));
    let build = fields.find(|(name, _)| name.trim_end() == "OS Version");
    release.os_version_id =
        build.map(|(_, build)| build.trim().to_owned()).filter(|build| !build.is_empty());
    let all = lines.lines.iter().map(|line| (*line).to_owned()).collect();
    (release, vec![Section::Other(all)])
}

impl ImageNote {
    /// The system of all images of its line, and what the note has in its place; none where
    /// they agree, or where one of them is not known.
    fn other_system(&self) -> Option<(String, String)> {
        let system = system_of_line(&self.release.family)?;
        let listed = self.sections.iter().find_map(|section| match section {
            Section::Packages(PackageList::Apt { .. }) => Some(PackageManager::Dpkg),
            Section::Packages(PackageList::Rpm(_)) => Some(PackageManager::Rpm),
            _ => None,
        });
        let (id, version) = (&self.release.os_id, self.release.os_version_id.as_deref());
        let found = match (id, system.manager.zip(listed)) {
            (Some(id), _) if id != system.id => format!("{id} {}", version.unwrap_or_default()),
            (Some(id), _)
                if system.version_id.is_some() && version != system.version_id.as_deref() =>
            {
                format!("{id} {}", version.unwrap_or("of a release that is not named"))
            }
            (_, Some((PackageManager::Dpkg, PackageManager::Rpm))) => "a list of rpm".to_owned(),
            (_, Some((PackageManager::Rpm, PackageManager::Dpkg))) => "a list of apt".to_owned(),
            _ => return None,
        };
        Some((system.to_string(), found.trim_end().to_owned()))
    }

    /// The text of the note, which reads as an equal note.
    #[must_use]
    pub fn render(&self) -> String {
        let end = match self.line_end {
            LineEnd::Lf => "\n",
            LineEnd::CrLf => "\r\n",
        };
        let mut text = String::new();
        if self.has_mark {
            text.push_str(MARK);
        }
        for section in &self.sections {
            section.render(&mut |line| {
                text.push_str(line);
                text.push_str(end);
            });
        }
        text
    }

    /// The components that it names, with their versions, in its order: `containerd`,
    /// `1.7.33-ubuntu22.04u1`. One name may stand there several times.
    pub fn components(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.sections.iter().flat_map(|section| match section {
            Section::List { entries, .. } => entries.as_slice(),
            _ => &[],
        });
        entries.filter_map(|entry| entry.split_once(" version "))
    }
}
