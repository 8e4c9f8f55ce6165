//! Packages from dpkg's status file, dpkg(1), deb822(5). The file is read as it lies: no
//! lock is taken and nothing is executed.

use nodeward_domain::facts::{Package, PackageManager, Packages, UnfinishedPackage};

use crate::host::{HostError, HostRoot};

const FOLDER: &str = "/var/lib/dpkg";
pub(super) const STATUS: &str = "/var/lib/dpkg/status";

/// Distributions that are never without it, by os-release(5).
pub(super) const FAMILIES: [&str; 2] = ["debian", "ubuntu"];

/// A status file of a desktop with 5,000 packages has some 6 MiB.
const LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// As many as are accepted in a report: some ten times what a desktop has.
const PACKAGES: usize = 50_000;

/// What the status file says; none when it is not there or has not a byte.
pub(super) fn read(root: &HostRoot) -> Result<Option<Packages>, HostError> {
    let status = match root.read(STATUS, LIMIT_BYTES) {
        Ok(status) if status.is_empty() => return Ok(None),
        Ok(status) => status,
        Err(HostError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let malformed = |why| HostError::Malformed { path: STATUS.to_owned(), why };
    parse(&status).map(Some).map_err(malformed)
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
}

/// Reads a status file. An error says in which line it stands.
fn parse(status: &[u8]) -> Result<Packages, String> {
    if status.last() != Some(&b'\n') {
        return Err("ends in the middle of a line: truncated".to_owned());
    }
    let mut packages = Packages {
        manager: PackageManager::Dpkg,
        path: STATUS.to_owned(),
        installed: Vec::new(),
        unfinished: Vec::new(),
    };
    let mut stanza = Stanza::default();
    let lines = status.split(|byte| *byte == b'\n');
    for (line, text) in (1..).zip(lines) {
        if text.is_empty() {
            if stanza.line != 0 {
                finish(&stanza, &mut packages)?;
                stanza = Stanza::default();
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
            _ => continue,
        };
        let value = std::str::from_utf8(&text[colon + 1..])
            .map_err(|_| format!("line {line}: not UTF-8"))?;
        *field = Some(value.trim());
    }
    if stanza.line != 0 {
        finish(&stanza, &mut packages)?;
    }
    packages.installed.sort_unstable();
    packages.unfinished.sort_unstable();
    if packages.installed.is_empty() {
        return Err("names no installed package".to_owned());
    }
    Ok(packages)
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
        let whole = parse(stanza.repeat(PACKAGES).as_bytes()).expect("as many as are taken");
        assert_eq!(whole.installed.len(), PACKAGES);
        let fault = parse(stanza.repeat(PACKAGES + 1).as_bytes()).expect_err("one more");
        assert_eq!(fault, "line 200001: one package of more than 50000");
    }

    #[test]
    fn stanzas_go_where_their_status_says() {
        let packages = parse(TEXT.as_bytes()).expect("a status file");
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
        let whole = parse(TEXT.as_bytes()).expect("a status file").installed.len();
        for end in 0..TEXT.len() {
            let cut = &TEXT.as_bytes()[..end];
            if let Ok(packages) = parse(cut) {
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
            assert_eq!(parse(status.as_bytes()).expect_err(status), fault);
        }
        assert_eq!(
            parse(b"Package: \xff\nStatus: install ok installed\n").expect_err("not text"),
            "line 1: not UTF-8"
        );
    }
}
