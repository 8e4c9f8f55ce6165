//! Collects `packages` from dpkg's status file, dpkg(1), deb822(5). The file is read
//! as it lies: no lock is taken and nothing is executed.

use std::sync::Arc;

use nodeward_domain::facts::{
    ComponentState, Package, PackageManager, Packages, UnfinishedPackage,
};
use nodeward_domain::observed::{State, Unavailable};

use super::{Collected, state};
use crate::host::{Host, HostError};

const DPKG_STATUS: &str = "/var/lib/dpkg/status";

/// Where rpm keeps its database; to tell "no packages here" from "not read yet".
const RPM: [&str; 2] = ["/var/lib/rpm", "/usr/lib/sysimage/rpm"];

/// A status file of a desktop with 5,000 packages has some 6 MiB.
const LIMIT_BYTES: u64 = 64 * 1024 * 1024;

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Packages(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Packages>, HostError> {
    match host.root.read(DPKG_STATUS, LIMIT_BYTES) {
        Ok(status) => parse(&status)
            .map(|packages| State::Present(Arc::new(packages)))
            .map_err(|why| HostError::Malformed { path: DPKG_STATUS.to_owned(), why }),
        Err(HostError::Missing { .. }) => {
            if let Some(place) = host.root.existing(&RPM)?.into_iter().next() {
                let why = "rpm databases are not read by this version".to_owned();
                return Ok(State::Unavailable(Unavailable { place, why }));
            }
            if host.root.exists("/var/lib/dpkg")? {
                return Err(HostError::Missing { path: DPKG_STATUS.to_owned() });
            }
            Ok(State::Absent)
        }
        Err(error) => Err(error),
    }
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
}

/// Reads a status file. An error says in which line it stands.
fn parse(status: &[u8]) -> Result<Packages, String> {
    if status.is_empty() {
        return Err("is empty".to_owned());
    }
    if status.last() != Some(&b'\n') {
        return Err("ends in the middle of a line: truncated".to_owned());
    }
    let mut packages = Packages {
        manager: PackageManager::Dpkg,
        path: DPKG_STATUS.to_owned(),
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

    const STATUS: &str = "\
Package: zlib1g
Status: install ok installed
Architecture: amd64
Source: zlib
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
    fn stanzas_go_where_their_status_says() {
        let packages = parse(STATUS.as_bytes()).expect("a status file");
        let names: Vec<_> = packages.installed.iter().map(|p| (p.name.as_str(), p.held)).collect();
        assert_eq!(names, [("libc-bin", true), ("zlib1g", false)]);
        assert_eq!(packages.installed[0].source, "glibc");
        assert_eq!(packages.installed[0].source_version, "2.36-9");
        assert_eq!(packages.installed[1].source_version, "1:1.2.13.dfsg-1");
        assert_eq!(packages.unfinished.len(), 1);
        assert_eq!(packages.unfinished[0].status, "install ok half-configured");
    }

    #[test]
    fn every_cut_is_refused_or_loses_whole_stanzas_only_at_their_border() {
        let whole = parse(STATUS.as_bytes()).expect("a status file").installed.len();
        for end in 0..STATUS.len() {
            let cut = &STATUS.as_bytes()[..end];
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
            ("", "is empty"),
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
