//! Packages from dpkg's status file, dpkg(1), deb822(5), and from its journal: while dpkg
//! works it notes each step in a file of its own below `updates`, and writes the status file
//! anew only when it is done, or after 250 of them. Of a dpkg that was killed the journal
//! alone tells how far it came, until the next one takes it over. The files are read as they
//! lie: no lock is taken and nothing is executed.

use std::collections::BTreeMap;
use std::sync::Arc;

use nodeward_domain::facts::{DatabaseLock, Package, PackageManager, Packages, UnfinishedPackage};

use crate::host::{HostError, HostRoot, locked};

const FOLDER: &str = "/var/lib/dpkg";
pub(super) const STATUS: &str = "/var/lib/dpkg/status";

pub(super) const JOURNAL: &str = "/var/lib/dpkg/updates";

/// What dpkg itself, and the frontend that starts it, lock while they work, each by
/// fcntl(2).
const LOCKS: [&str; 2] = ["/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"];

/// Distributions that are never without it, by os-release(5).
pub(super) const FAMILIES: [&str; 2] = ["debian", "ubuntu"];

/// A status file of a desktop with 5,000 packages has some 6 MiB.
const LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// As many as are accepted in a report: some ten times what a desktop has.
const PACKAGES: usize = 50_000;

/// A step is a stanza of one package; dpkg takes no more than 250 before it starts over.
const STEP_LIMIT_BYTES: u64 = 1024 * 1024;
const STEPS: usize = 1000;

/// The path and the text of a step.
type Step = (String, Vec<u8>);

/// So often both are read while dpkg writes the status file anew.
const TRIES: u32 = 4;

/// What status file and journal say; none when the first is not there or has not a byte.
pub(super) fn read(root: &HostRoot) -> Result<Option<Packages>, HostError> {
    for _ in 0..TRIES {
        let before = root.identity(STATUS);
        let status = match root.read(STATUS, LIMIT_BYTES) {
            Ok(status) if status.is_empty() => return Ok(None),
            Ok(status) => status,
            Err(HostError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        // dpkg puts another status file in its place: while it is the same one, the steps
        // are those after it.
        if let Some(steps) = steps(root)?
            && root.identity(STATUS) == before
        {
            return parse(&status, &steps).map(Some);
        }
    }
    Err(HostError::Changing { path: STATUS.to_owned() })
}

/// Whether what is unfinished is being worked on. Asked anew in each round, however long the
/// list itself stays the same.
pub(super) fn with_lock(root: &HostRoot, packages: Arc<Packages>) -> Arc<Packages> {
    if packages.unfinished.is_empty() {
        return packages;
    }
    let lock = match locked(root, &LOCKS) {
        Ok(None) => DatabaseLock::Free,
        Ok(Some(path)) => DatabaseLock::Held(path.to_owned()),
        Err(error) => DatabaseLock::Unreadable(format!("{}: {error}", error.path())),
    };
    Arc::new(Packages { lock, ..Packages::clone(&packages) })
}

/// The steps of the journal in their order, each with its path; none when one went away
/// while they were read, because dpkg is done with them.
fn steps(root: &HostRoot) -> Result<Option<Vec<Step>>, HostError> {
    let mut names = match root.list(JOURNAL) {
        Err(HostError::Missing { .. }) => return Ok(Some(Vec::new())),
        names => names?,
    };
    // What is being written has another name.
    names.retain(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    if names.len() > STEPS {
        let why = format!("has more than {STEPS} steps");
        return Err(HostError::Malformed { path: JOURNAL.to_owned(), why });
    }
    let mut steps = Vec::new();
    for name in names {
        let path = format!("{JOURNAL}/{name}");
        match root.read(&path, STEP_LIMIT_BYTES) {
            Ok(step) => steps.push((path, step)),
            Err(HostError::Missing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(steps))
}

/// Refuses to call absent what has lost its status file or the content of it.
pub(super) fn is_absent(root: &HostRoot) -> Result<(), HostError> {
    if root.exists(STATUS)? {
        return Err(HostError::Malformed { path: STATUS.to_owned(), why: "is empty".to_owned() });
    }
    if root.exists(FOLDER)? {
        return Err(HostError::Missing { path: STATUS.to_owned() });
    }
    Ok(())
}

/// The fields of one stanza that are of interest.
#[derive(Default)]
struct Stanza<'a> {
    line: usize,
    name: Option<&'a str>,
    status: Option<&'a str>,
    architecture: Option<&'a str>,
    version: Option<&'a str>,
    source: Option<&'a str>,
    origin: Option<&'a str>,
    /// It may be installed for several architectures at once: `Multi-Arch: same`.
    is_one_of_several: bool,
}

/// Puts the steps of the journal over the status file.
fn parse(status: &[u8], steps: &[Step]) -> Result<Packages, HostError> {
    let malformed = |path: &str, why| HostError::Malformed { path: path.to_owned(), why };
    let mut noted = Noted::default();
    for (path, step) in steps {
        let note = |stanza| {
            noted.note(path, stanza);
            Ok(())
        };
        stanzas(step, note).map_err(|why| malformed(path, why))?;
    }
    let mut packages = Packages {
        manager: PackageManager::Dpkg,
        path: STATUS.to_owned(),
        installed: Vec::new(),
        unfinished: Vec::new(),
        lock: DatabaseLock::Free,
    };
    let take = |stanza| match noted.has(&stanza) {
        true => Ok(()),
        false => finish(&stanza, &mut packages),
    };
    stanzas(status, take).map_err(|why| malformed(STATUS, why))?;
    for (path, stanza) in noted.last() {
        finish(stanza, &mut packages).map_err(|why| malformed(path, why))?;
    }
    packages.installed.sort_unstable();
    packages.unfinished.sort_unstable();
    if packages.installed.is_empty() {
        return Err(malformed(STATUS, "names no installed package".to_owned()));
    }
    Ok(packages)
}

/// What the journal says last of each package, by name and architecture.
#[derive(Default)]
struct Noted<'a>(BTreeMap<(&'a str, &'a str), (&'a str, Stanza<'a>)>);

impl<'a> Noted<'a> {
    fn note(&mut self, path: &'a str, stanza: Stanza<'a>) {
        let key = stanza.key();
        if !stanza.is_one_of_several {
            // Its architecture may have changed.
            self.0.retain(|(name, _), _| *name != key.0);
        }
        self.0.insert(key, (path, stanza));
    }

    /// Whether it says something of the package of a stanza.
    fn has(&self, stanza: &Stanza<'_>) -> bool {
        let (name, architecture) = stanza.key();
        self.0.iter().any(|((noted, of), (_, last))| {
            *noted == name && (*of == architecture || !last.is_one_of_several)
        })
    }

    fn last(&self) -> impl Iterator<Item = &(&'a str, Stanza<'a>)> {
        self.0.values()
    }
}

impl<'a> Stanza<'a> {
    fn key(&self) -> (&'a str, &'a str) {
        (self.name.unwrap_or_default(), self.architecture.unwrap_or_default())
    }
}

/// Calls `take` with each stanza of a file. An error says in which line it stands.
fn stanzas<'a>(
    status: &'a [u8],
    mut take: impl FnMut(Stanza<'a>) -> Result<(), String>,
) -> Result<(), String> {
    if status.last() != Some(&b'\n') {
        return Err("ends in the middle of a line: truncated".to_owned());
    }
    let mut stanza = Stanza::default();
    let lines = status.split(|byte| *byte == b'\n');
    for (line, text) in (1..).zip(lines) {
        if text.is_empty() {
            if stanza.line != 0 {
                take(std::mem::take(&mut stanza))?;
            }
            continue;
        }
        if stanza.line == 0 {
            stanza.line = line;
        }
        // A continuation of the field before, none of which is of interest.
        if text.starts_with(b" ") || text.starts_with(b"\t") {
            continue;
        }
        let Some(colon) = text.iter().position(|byte| *byte == b':') else {
            return Err(format!("line {line}: neither a field nor a continuation"));
        };
        let field = match &text[..colon] {
            b"Package" => &mut stanza.name,
            b"Status" => &mut stanza.status,
            b"Architecture" => &mut stanza.architecture,
            b"Version" => &mut stanza.version,
            b"Source" => &mut stanza.source,
            b"Origin" => &mut stanza.origin,
            b"Multi-Arch" => {
                stanza.is_one_of_several = text[colon + 1..].trim_ascii() == b"same";
                continue;
            }
            _ => continue,
        };
        let value = std::str::from_utf8(&text[colon + 1..])
            .map_err(|_| format!("line {line}: not UTF-8"))?;
        *field = Some(value.trim());
    }
    match stanza.line {
        0 => Ok(()),
        _ => take(stanza),
    }
}

/// Puts a stanza where its status says: installed, half done, or nowhere.
fn finish(stanza: &Stanza<'_>, packages: &mut Packages) -> Result<(), String> {
    if packages.installed.len().max(packages.unfinished.len()) == PACKAGES {
        return Err(format!("line {}: one package of more than {PACKAGES}", stanza.line));
    }
    let missing = |field: &str| format!("line {}: stanza without {field}", stanza.line);
    let name = stanza.name.ok_or_else(|| missing("Package"))?;
    let status = stanza.status.ok_or_else(|| missing("Status"))?;
    let mut words = status.split_whitespace();
    let (Some(want), Some(flag), Some(state)) = (words.next(), words.next(), words.next()) else {
        return Err(format!("line {}: Status {status:?} has not three words", stanza.line));
    };
    let architecture = stanza.architecture.unwrap_or_default().to_owned();
    match state {
        "not-installed" | "config-files" => {}
        "installed" if flag == "ok" => {
            let version = stanza.version.ok_or_else(|| missing("Version"))?.to_owned();
            let (source, source_version) = source(stanza.source, name, &version);
            packages.installed.push(Package {
                name: name.to_owned(),
                architecture,
                version,
                source,
                source_version,
                held: want == "hold",
                // The maintainer is no origin: Ubuntu's names Debian's people too.
                origin: stanza.origin.unwrap_or_default().to_owned(),
            });
        }
        _ => packages.unfinished.push(UnfinishedPackage {
            name: name.to_owned(),
            architecture,
            version: stanza.version.unwrap_or_default().to_owned(),
            status: status.to_owned(),
        }),
    }
    Ok(())
}

/// Source package and its version: `Source: name`, `Source: name (version)`, or the
/// same as the binary's.
fn source(field: Option<&str>, name: &str, version: &str) -> (String, String) {
    let Some(field) = field else {
        return (name.to_owned(), version.to_owned());
    };
    match field.split_once(" (").and_then(|(source, rest)| Some((source, rest.strip_suffix(')')?)))
    {
        Some((source, source_version)) => (source.to_owned(), source_version.to_owned()),
        None => (field.to_owned(), version.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a status file says without a journal.
    fn alone(status: &[u8]) -> Result<Packages, String> {
        parse(status, &[]).map_err(|error| error.to_string())
    }

    const TEXT: &str = "\
Package: zlib1g
Status: install ok installed
Architecture: amd64
Source: zlib
Origin: Example
Version: 1:1.2.13.dfsg-1
Description: compression
 Package: not a field
 .

Package: libc-bin
Status: hold ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u14

Package: half
Status: install ok half-configured
Architecture: all
Version: 1.0

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1.0
";

    #[test]
    fn more_packages_than_a_node_can_have_are_refused_before_they_fill_memory() {
        let stanza = "Package: a\nStatus: install ok installed\nVersion: 1\n\n";
        let whole = alone(stanza.repeat(PACKAGES).as_bytes()).expect("as many as are taken");
        assert_eq!(whole.installed.len(), PACKAGES);
        let fault = alone(stanza.repeat(PACKAGES + 1).as_bytes()).expect_err("one more");
        assert_eq!(fault, "line 200001: one package of more than 50000");
    }

    #[test]
    fn stanzas_go_where_their_status_says() {
        let packages = alone(TEXT.as_bytes()).expect("a status file");
        let names: Vec<_> = packages.installed.iter().map(|p| (p.name.as_str(), p.held)).collect();
        assert_eq!(names, [("libc-bin", true), ("zlib1g", false)]);
        assert_eq!(packages.installed[0].source, "glibc");
        assert_eq!(packages.installed[0].source_version, "2.36-9");
        assert_eq!(packages.installed[1].source_version, "1:1.2.13.dfsg-1");
        let origins: Vec<_> = packages.installed.iter().map(|p| p.origin.as_str()).collect();
        assert_eq!(origins, ["", "Example"]);
        assert_eq!(packages.unfinished.len(), 1);
        assert_eq!(packages.unfinished[0].status, "install ok half-configured");
    }

    #[test]
    fn every_cut_is_refused_or_loses_whole_stanzas_only_at_their_border() {
        let whole = alone(TEXT.as_bytes()).expect("a status file").installed.len();
        for end in 0..TEXT.len() {
            let cut = &TEXT.as_bytes()[..end];
            if let Ok(packages) = alone(cut) {
                // Only a cut at a line's end can pass, and never with more than there was.
                assert_eq!(cut.last(), Some(&b'\n'), "cut at {end}");
                assert!(packages.installed.len() <= whole);
            }
        }
    }

    #[test]
    fn faults_name_their_line() {
        for (status, fault) in [
            ("Package: a", "ends in the middle of a line: truncated"),
            ("Package: a\nnonsense\n", "line 2: neither a field nor a continuation"),
            ("Package: a\n", "line 1: stanza without Status"),
            ("Package: a\nStatus: installed\n", "line 1: Status \"installed\" has not three words"),
            ("Package: a\nStatus: install ok installed\n", "line 1: stanza without Version"),
            ("\n\n", "names no installed package"),
        ] {
            assert_eq!(alone(status.as_bytes()).expect_err(status), fault);
        }
        assert_eq!(
            alone(b"Package: \xff\nStatus: install ok installed\n").expect_err("not text"),
            "line 1: not UTF-8"
        );
    }

    #[test]
    fn the_last_step_of_a_journal_counts() {
        let step = |number: u32, text: &str| {
            (format!("{JOURNAL}/{number:04}"), text.as_bytes().to_owned())
        };
        let of = |name: &str, architecture: &str, version: &str, status: &str, more: &str| {
            format!(
                "Package: {name}\nStatus: {status}\nArchitecture: {architecture}\n\
                 Version: {version}\n{more}"
            )
        };
        let (done, same) = ("install ok installed", "Multi-Arch: same\n");
        let status = [
            of("a", "all", "1", done, ""),
            of("b", "amd64", "1", done, same),
            of("b", "i386", "1", done, same),
            of("c", "all", "1", done, ""),
            of("d", "amd64", "1", done, ""),
        ]
        .join("\n");
        let steps = [
            step(0, &of("a", "all", "1", "install reinstreq half-installed", "")),
            step(1, &of("a", "all", "2", "install ok half-configured", "")),
            step(2, &of("b", "i386", "2", done, same)),
            step(3, &of("c", "amd64", "2", done, "")),
            step(4, &of("d", "amd64", "1", "deinstall ok not-installed", "")),
            step(5, &of("e", "all", "1", done, "")),
        ];
        let packages = parse(status.as_bytes(), &steps).expect("both are whole");
        let installed: Vec<(&str, &str, &str)> = packages
            .installed
            .iter()
            .map(|one| (one.name.as_str(), one.architecture.as_str(), one.version.as_str()))
            .collect();
        assert_eq!(
            installed,
            [("b", "amd64", "1"), ("b", "i386", "2"), ("c", "amd64", "2"), ("e", "all", "1")]
        );
        let unfinished: Vec<(&str, &str)> = packages
            .unfinished
            .iter()
            .map(|one| (one.version.as_str(), one.status.as_str()))
            .collect();
        assert_eq!(unfinished, [("2", "install ok half-configured")]);
        let cut = [step(0, "Package: a\nSta")];
        let error = parse(status.as_bytes(), &cut).expect_err("a step that is cut off");
        assert_eq!(error.path(), "/var/lib/dpkg/updates/0000");
    }
}
