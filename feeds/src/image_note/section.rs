//! The parts of a release note of Linux, as AKS's image builder writes them one after the
//! other. What is not known is kept as it stands.

use super::packages::PackageList;
use super::{BUILD, ImageNoteError, Lines};

const PACKAGES_BEGIN: &str = "=== Installed Packages Begin";
const PACKAGES_END: &str = "=== Installed Packages End";
const OS_RELEASE_BEGIN: &str = "=== os-release Begin";
const OS_RELEASE_END: &str = "=== os-release End";
const KERNEL: &str = "Using kernel:";
const KERNEL_LINE: &str = "Linux version ";
const ENTRY: &str = "  - ";

/// One part of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Section {
    /// What stands behind `Starting build on `: a blank, most often, and the time.
    Build(String),
    /// A line that ends with a colon, and entries below it: components, container images.
    List {
        /// The line above the entries.
        heading: String,
        /// The entries, without the dash before each.
        entries: Vec<String>,
    },
    /// The installed packages.
    Packages(PackageList),
    /// The lines of os-release(5).
    OsRelease(Vec<String>),
    /// The line of the running kernel, `Linux version …`.
    Kernel(String),
    /// Lines that are kept as they are.
    Other(Vec<String>),
}

impl Section {
    /// Hands on its lines.
    pub(super) fn render(&self, line: &mut impl FnMut(&str)) {
        match self {
            Self::Build(text) => line(&format!("{BUILD}{text}")),
            Self::List { heading, entries } => {
                line(heading);
                entries.iter().for_each(|entry| line(&format!("{ENTRY}{entry}")));
            }
            Self::Packages(list) => {
                line(PACKAGES_BEGIN);
                list.render(line);
                line(PACKAGES_END);
            }
            Self::OsRelease(values) => {
                line(OS_RELEASE_BEGIN);
                values.iter().for_each(|value| line(value));
                line(OS_RELEASE_END);
            }
            Self::Kernel(version) => {
                line(KERNEL);
                line(version);
            }
            Self::Other(lines) => lines.iter().for_each(|one| line(one)),
        }
    }

    /// Why it may not stand in a note twice, if it may not.
    fn twice(&self) -> Option<&'static str> {
        match self {
            Self::Packages(_) => Some("a second list of installed packages"),
            Self::OsRelease(_) => Some("a second os-release"),
            Self::Kernel(_) => Some("a second kernel that runs"),
            Self::Build(_) | Self::List { .. } | Self::Other(_) => None,
        }
    }
}

/// All parts of a note.
pub(super) fn sections(lines: &Lines<'_>) -> Result<Vec<Section>, ImageNoteError> {
    let mut sections: Vec<Section> = Vec::new();
    let mut at = 0;
    while let Some(line) = lines.lines.get(at) {
        let Some((section, next)) = section_at(lines, at)? else {
            match sections.last_mut() {
                Some(Section::Other(others)) => others.push((*line).to_owned()),
                _ => sections.push(Section::Other(vec![(*line).to_owned()])),
            }
            at += 1;
            continue;
        };
        if let Some(what) = section.twice()
            && sections.iter().any(|before| before.twice() == Some(what))
        {
            return Err(lines.wrong(at, what));
        }
        sections.push(section);
        at = next;
    }
    Ok(sections)
}

/// The known part that begins at a line, and where the next one begins.
fn section_at(lines: &Lines<'_>, at: usize) -> Result<Option<(Section, usize)>, ImageNoteError> {
    let rest = lines.lines.get(at + 1..).unwrap_or_default();
    Ok(match lines.lines[at] {
        first if at == 0 && first.starts_with(BUILD) => {
            Some((Section::Build(first[BUILD.len()..].to_owned()), 1))
        }
        PACKAGES_BEGIN => {
            let end = end_of(rest, PACKAGES_END)
                .ok_or_else(|| lines.cut_off("the list of installed packages has no end"))?;
            let list = PackageList::read(&rest[..end])
                .map_err(|(index, what)| lines.wrong(at + 1 + index, what))?;
            Some((Section::Packages(list), at + end + 2))
        }
        OS_RELEASE_BEGIN => {
            let end = end_of(rest, OS_RELEASE_END)
                .ok_or_else(|| lines.cut_off("os-release has no end"))?;
            Some((Section::OsRelease(owned(&rest[..end])), at + end + 2))
        }
        KERNEL => {
            let version = rest.first().ok_or_else(|| lines.cut_off("no kernel that runs"))?;
            if !version.starts_with(KERNEL_LINE) {
                return Err(lines.wrong(at + 1, "no kernel that runs"));
            }
            Some((Section::Kernel((*version).to_owned()), at + 2))
        }
        heading if heading.ends_with(':') => {
            let entries: Vec<String> =
                rest.iter().map_while(|line| line.strip_prefix(ENTRY)).map(str::to_owned).collect();
            let next = at + 1 + entries.len();
            (!entries.is_empty())
                .then(|| (Section::List { heading: heading.to_owned(), entries }, next))
        }
        _ => None,
    })
}

fn end_of(rest: &[&str], end: &str) -> Option<usize> {
    rest.iter().position(|line| *line == end)
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}
