//! Package deltas of the channel SecurityPatch, as AKS's image builder publishes them:
//! `security-patch/<moment>/release_notes_delta_<moment>.txt` for Ubuntu 22.04, below
//! `ubuntu2404/` and `azurelinux/` for the others. Ubuntu's parts are lines of apt's history,
//! Azure Linux's are tables of what is new and what is updated. A file may be empty: then
//! nothing is said.

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use nodeward_domain::image::{
    ImageLabel, PackageChange, PatchBase, PatchPart, PatchParts, SecurityPatch,
};

use crate::instant;
use crate::unread::{self, Unread};

/// The longest file that is read. Real ones have 9 kB.
pub const LONGEST_PATCH_BYTES: usize = 1 << 20;

/// The most changes of one part. Real ones have 150.
pub const MOST_CHANGES: usize = 10_000;

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum SecurityPatchError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// Its path names no patch, and nothing in it does.
    #[error(
        "{file}: it is empty, and its path names no patch, as <moment>/release_notes_delta_<moment>.txt"
    )]
    Unnamed {
        /// The file.
        file: String,
    },
    /// Neither its folder nor what stands in it says for which system it is.
    #[error("{file}: of which system it is stands neither in its path nor in it")]
    NoSystem {
        /// The file.
        file: String,
    },
    /// A line has a form that such a file does not have.
    #[error("{file}:{line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong.
        what: String,
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

/// A system: `ID` and `VERSION_ID` of os-release(5).
type System = (String, String);

/// Reads the delta of one security patch. `file` is its path: an empty file says in no other
/// way which patch it is, and where the path ends as above, it must name the same as the file.
pub fn read_security_patch(file: &str, bytes: &[u8]) -> Result<SecurityPatch, SecurityPatchError> {
    let text = unread::text(file, unread::without_mark(bytes), LONGEST_PATCH_BYTES)?;
    let by_path = ByPath::of(file);
    if text.trim().is_empty() {
        let named = by_path.timestamp.zip(by_path.system);
        let (timestamp, (os_id, os_version_id)) =
            named.ok_or_else(|| SecurityPatchError::Unnamed { file: file.to_owned() })?;
        return Ok(SecurityPatch { timestamp, os_id, os_version_id, parts: PatchParts::Empty });
    }
    let mut reader = Reader::of(file, text)?;
    let timestamp = reader.title()?;
    if by_path.timestamp.is_some_and(|named| named != timestamp) {
        return Err(reader.wrong("another moment than in the path"));
    }
    let mut parts = Vec::new();
    let mut by_content = None;
    while let Some((part, system)) = reader.part(timestamp)? {
        parts.push(part);
        by_content = by_content.or(system);
    }
    if parts.is_empty() {
        return Err(reader.cut_off("no line `Package difference …`"));
    }
    let (os_id, os_version_id) = by_path
        .system
        .or(by_content)
        .ok_or_else(|| SecurityPatchError::NoSystem { file: file.to_owned() })?;
    Ok(SecurityPatch { timestamp, os_id, os_version_id, parts: PatchParts::Listed(parts) })
}

/// What a path says of a patch.
struct ByPath {
    timestamp: Option<Timestamp>,
    system: Option<System>,
}

impl ByPath {
    fn of(file: &str) -> Self {
        let mut parts = file.rsplit('/');
        let name = parts.next().unwrap_or_default();
        let name = name.strip_prefix("release_notes_delta_").and_then(|n| n.strip_suffix(".txt"));
        let timestamp = name.and_then(moment);
        let folder = parts.next().unwrap_or_default();
        let system = match moment(folder) {
            Some(_) => Some(ubuntu("22.04")),
            None => of_folder(folder),
        };
        Self { timestamp, system: system.filter(|_| timestamp.is_some()) }
    }
}

fn ubuntu(release: &str) -> System {
    ("ubuntu".to_owned(), release.to_owned())
}

/// The one release of Azure Linux that is patched in place.
fn azure_linux() -> System {
    ("azurelinux".to_owned(), "3.0".to_owned())
}

/// `ubuntu2404`, `azurelinux`.
fn of_folder(folder: &str) -> Option<System> {
    if folder == "azurelinux" {
        return Some(azure_linux());
    }
    let release = folder.strip_prefix("ubuntu")?;
    let are_digits = release.len() == 4 && release.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| ubuntu(&format!("{}.{}", &release[..2], &release[2..])))
}

/// A moment as these files write it: `20260720T000000Z`.
fn moment(text: &str) -> Option<Timestamp> {
    let is_one = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || b"TZ".contains(&b));
    is_one.then(|| instant::read(text).ok()).flatten()
}

/// The lines of a file, one after the other.
struct Reader<'a> {
    file: &'a str,
    lines: Vec<&'a str>,
    /// The line to come, by its index.
    next: usize,
}

const TITLE: &str = "Release notes for security patch ";
const PART: &str = "Package difference ";
const NO_REBOOT: &str = "No reboot required";
const REBOOT: &str = "Reboot required";

impl<'a> Reader<'a> {
    fn of(file: &'a str, text: &'a str) -> Result<Self, SecurityPatchError> {
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        let reader = Self { file, lines, next: 0 };
        match text.ends_with('\n') {
            true => Ok(reader),
            false => Err(reader.cut_off("the last line has no end")),
        }
    }

    /// A refusal for the line that was read last.
    fn wrong(&self, what: impl Into<String>) -> SecurityPatchError {
        let (file, line) = (self.file.to_owned(), self.next.max(1));
        SecurityPatchError::Line { file, line, what: what.into() }
    }

    fn cut_off(&self, what: &'static str) -> SecurityPatchError {
        SecurityPatchError::CutOff { file: self.file.to_owned(), line: self.lines.len(), what }
    }

    /// The next line that is not empty.
    fn line(&mut self) -> Option<&'a str> {
        loop {
            let line = *self.lines.get(self.next)?;
            self.next += 1;
            if !line.is_empty() {
                return Some(line);
            }
        }
    }

    fn title(&mut self) -> Result<Timestamp, SecurityPatchError> {
        let line = self.line().unwrap_or_default();
        let named = line.strip_prefix(TITLE).and_then(|rest| rest.strip_suffix(" timestamp"));
        named.and_then(moment).ok_or_else(|| {
            self.wrong(format!("no `{TITLE}<moment> timestamp`, with which a delta begins"))
        })
    }

    /// The next part, and the system that it is of where that is seen by it.
    fn part(
        &mut self,
        timestamp: Timestamp,
    ) -> Result<Option<(PatchPart, Option<System>)>, SecurityPatchError> {
        let Some(line) = self.line() else { return Ok(None) };
        let head = line.strip_prefix(PART).and_then(head);
        let (from, to) = head.ok_or_else(|| {
            self.wrong("no `Package difference between <state> and <moment>`, nor `for <system> with <moment>`")
        })?;
        if to != timestamp {
            return Err(self.wrong("the part ends at another moment than the patch"));
        }
        let needs_reboot = match self.line() {
            Some(line) if line == NO_REBOOT => false,
            // What follows in brackets is why.
            Some(line) if line.strip_prefix(REBOOT).is_some_and(is_reason) => true,
            Some(_) => return Err(self.wrong("neither `Reboot required` nor `No reboot required`")),
            None => return Err(self.cut_off("a part without `Reboot required`")),
        };
        let mut system = of_base(&from);
        let mut changes = Vec::new();
        let mut section = None;
        while let Some(line) = self.line() {
            if line.starts_with(PART) {
                self.next -= 1;
                break;
            }
            if let Some(name) = line.strip_prefix("=== ").and_then(|l| l.strip_suffix(" ===")) {
                section = Some(
                    Section::named(name)
                        .ok_or_else(|| self.wrong(format!("section {name:?} is not known")))?,
                );
                system = Some(azure_linux());
                continue;
            }
            match section {
                Some(section) => changes.push(
                    section
                        .change(line)
                        .ok_or_else(|| self.wrong("no `name  version  repository`"))?,
                ),
                None => apt(line, &mut changes).map_err(|what| self.wrong(what))?,
            }
            if changes.len() > MOST_CHANGES {
                return Err(self.wrong(format!("more than {MOST_CHANGES} changes in one part")));
            }
        }
        Ok(Some((PatchPart { from, needs_reboot, changes }, system)))
    }
}

/// ` (kernel update)`, or nothing.
fn is_reason(text: &str) -> bool {
    text.is_empty() || (text.starts_with(" (") && text.ends_with(')'))
}

/// `between <state> and <moment>`, or `for <system> with <moment>`.
fn head(text: &str) -> Option<(PatchBase, Timestamp)> {
    if let Some(rest) = text.strip_prefix("between ") {
        let (from, to) = rest.split_once(" and ")?;
        let from = match moment(from) {
            Some(from) => PatchBase::Patch(from),
            None => PatchBase::Image(ImageLabel::parse(from).ok()?),
        };
        return Some((from, moment(to)?));
    }
    let (system, to) = text.strip_prefix("for ")?.split_once(" with ")?;
    let is_plain = !system.trim().is_empty() && system.len() <= 64;
    is_plain.then(|| Some((PatchBase::Unnamed(system.to_owned()), moment(to)?))).flatten()
}

/// The system that a state is of, by its name.
fn of_base(base: &PatchBase) -> Option<System> {
    match base {
        PatchBase::Patch(_) => None,
        PatchBase::Unnamed(system) => system.strip_prefix("Ubuntu ").map(ubuntu),
        PatchBase::Image(label) => {
            let release = label.family.strip_prefix("AKSUbuntu-")?.get(..4)?;
            of_folder(&format!("ubuntu{release}"))
        }
    }
}

/// What the lines below a heading tell.
#[derive(Clone, Copy)]
enum Section {
    New,
    Updated,
    Removed,
}

impl Section {
    fn named(name: &str) -> Option<Self> {
        match name {
            "New Packages" => Some(Self::New),
            "Package Updates" => Some(Self::Updated),
            "Removed Packages" => Some(Self::Removed),
            _ => None,
        }
    }

    /// `kernel  6.6.144.1-1.azl3  azurelinux-official-base`.
    fn change(self, line: &str) -> Option<PackageChange> {
        let words: Vec<&str> = line.split_ascii_whitespace().take(4).collect();
        let (name, version, repository) = match words.as_slice() {
            [name, version] => (*name, *version, None),
            [name, version, repository] => (*name, *version, Some((*repository).to_owned())),
            _ => return None,
        };
        if !is_version(version) {
            return None;
        }
        let (name, version) = (name.to_owned(), version.to_owned());
        Some(match self {
            Self::New => PackageChange::Install { name, architecture: None, version, repository },
            Self::Updated => PackageChange::Upgrade {
                name,
                architecture: None,
                old: None,
                new: version,
                repository,
            },
            Self::Removed => {
                PackageChange::Remove { name, architecture: None, version: Some(version) }
            }
        })
    }
}

/// Versions of dpkg and of rpm have digits, and no brackets or commas.
fn is_version(text: &str) -> bool {
    let is_odd = |c: char| c.is_control() || c.is_whitespace() || "(),".contains(c);
    text.contains(|c: char| c.is_ascii_digit()) && !text.contains(is_odd)
}

/// `Upgrade: libc6:amd64 (2.35-1, 2.35-2), curl:amd64 (7-1, 7-2)`, as apt's history has it.
fn apt(line: &str, changes: &mut Vec<PackageChange>) -> Result<(), String> {
    let (verb, mut rest) = line.split_once(": ").ok_or("no change, as `Upgrade: …`")?;
    // apt tells of a lower version by a word of its own.
    let verb = match verb {
        "Upgrade" | "Downgrade" => Verb::Upgrade,
        "Install" => Verb::Install,
        "Remove" | "Purge" => Verb::Remove,
        _ => {
            return Err(format!(
                "change {:?} is not known",
                verb.chars().take(40).collect::<String>()
            ));
        }
    };
    loop {
        let no_package = || "no `package:architecture (versions)`".to_owned();
        let (package, behind) = rest.split_once(" (").ok_or_else(no_package)?;
        let (versions, behind) = behind.split_once(')').ok_or_else(no_package)?;
        changes.push(verb.change(package, versions).ok_or_else(no_package)?);
        if behind.is_empty() {
            return Ok(());
        }
        rest = behind.strip_prefix(", ").ok_or_else(no_package)?;
    }
}

#[derive(Clone, Copy)]
enum Verb {
    Upgrade,
    Install,
    Remove,
}

impl Verb {
    fn change(self, package: &str, versions: &str) -> Option<PackageChange> {
        let (name, architecture) = match package.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture.to_owned())),
            None => (package, None),
        };
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || "(),:".contains(c);
        let is_word = |text: &str| !text.is_empty() && !text.contains(is_odd);
        if !is_word(name) || !architecture.as_deref().is_none_or(is_word) {
            return None;
        }
        let name = name.to_owned();
        let mut words = versions.split(", ");
        let first = words.next().filter(|version| is_version(version))?.to_owned();
        let second = words.next();
        if words.next().is_some() {
            return None;
        }
        match (self, second) {
            (Self::Upgrade, Some(new)) if is_version(new) => Some(PackageChange::Upgrade {
                name,
                architecture,
                old: Some(first),
                new: new.to_owned(),
                repository: None,
            }),
            (Self::Install, None | Some("automatic")) => Some(PackageChange::Install {
                name,
                architecture,
                version: first,
                repository: None,
            }),
            (Self::Remove, None) => {
                Some(PackageChange::Remove { name, architecture, version: Some(first) })
            }
            _ => None,
        }
    }
}
