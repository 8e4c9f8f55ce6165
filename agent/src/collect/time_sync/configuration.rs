//! chrony's configuration: which sources it names, in which file and line, and where the
//! daemon answers. Source: chrony.conf(5). Keys and certificates are never read.

mod endpoint;
mod pattern;

use std::collections::BTreeMap;

use nix::errno::Errno;
use nodeward_domain::facts::{ConfiguredSource, PtpClock, SourceDirective};

use super::daemons::ChronydArguments;
use super::ptp;
use crate::host::{HostError, HostRoot};
use endpoint::Bound;
pub(super) use endpoint::Endpoint;

/// Where distributions have the file: Debian, Ubuntu and Flatcar; Azure Linux and others.
const FILES: [&str; 2] = ["/etc/chrony/chrony.conf", "/etc/chrony.conf"];

const LIMIT_BYTES: u64 = 1024 * 1024;

/// Files that include each other deeper than this are refused by chronyd itself.
const DEPTH: usize = 10;

/// So many files, and so many sources, are read at most.
const FILES_LIMIT: usize = 128;
const SOURCES_LIMIT: usize = 512;

/// So much of a line is reported.
const LINE_LIMIT_CHARS: usize = 200;

/// What a configuration says.
pub(super) struct Configuration {
    /// The files, in the order in which they are read.
    pub files: Vec<String>,
    /// The sources, in the same order.
    pub sources: Vec<ConfiguredSource>,
    /// Where the daemon answers.
    pub endpoint: Endpoint,
}

/// Reads the configuration of a chronyd that was, or would be, started so.
pub(super) fn read(
    root: &HostRoot,
    arguments: &ChronydArguments,
    clocks: &[PtpClock],
) -> Result<Configuration, HostError> {
    let mut reader = Reader {
        root,
        clocks,
        files: Vec::new(),
        sources: Vec::new(),
        source_folders: Vec::new(),
        bound: Bound::default(),
    };
    if !arguments.directives.is_empty() {
        for (number, directive) in (1..).zip(&arguments.directives) {
            reader.line("command line", number, directive, 0)?;
        }
    } else if let Some(file) = &arguments.file {
        reader.file(file, 0)?;
    } else if let Some(file) = root.existing(&FILES)?.first() {
        reader.file(file, 0)?;
    }
    reader.source_folders()?;
    Ok(Configuration {
        files: reader.files,
        sources: reader.sources,
        endpoint: reader.bound.endpoint(),
    })
}

struct Reader<'a> {
    root: &'a HostRoot,
    clocks: &'a [PtpClock],
    files: Vec<String>,
    sources: Vec<ConfiguredSource>,
    /// The folders of each `sourcedir`, which are read after everything else.
    source_folders: Vec<Vec<String>>,
    bound: Bound,
}

impl Reader<'_> {
    fn file(&mut self, path: &str, depth: usize) -> Result<(), HostError> {
        let text = match self.text(path, depth) {
            // It was taken away since chronyd has read it.
            Err(HostError::Missing { .. }) => return Ok(()),
            // A pattern fits folders too, in which chronyd finds no line.
            Err(HostError::WrongKind { kind: "directory", .. }) if depth > 0 => return Ok(()),
            text => text?,
        };
        for (number, line) in (1..).zip(text.lines()) {
            self.line(path, number, line, depth)?;
        }
        Ok(())
    }

    fn text(&mut self, path: &str, depth: usize) -> Result<String, HostError> {
        // chronyd takes bytes: a comment, or a name, of another encoding costs nothing else.
        let bytes = self.root.read(path, LIMIT_BYTES)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let malformed =
            |why: &str| Err(HostError::Malformed { path: path.to_owned(), why: why.to_owned() });
        if depth > DEPTH {
            return malformed("included too deep");
        }
        if self.files.len() == FILES_LIMIT {
            return malformed("one file more than are read");
        }
        self.files.push(path.to_owned());
        Ok(text)
    }

    fn line(&mut self, file: &str, number: u32, line: &str, depth: usize) -> Result<(), HostError> {
        let Some((directive, rest)) = words(line) else { return Ok(()) };
        match directive.to_ascii_lowercase().as_str() {
            "include" => {
                for path in pattern::matching(self.root, &rest)? {
                    self.file(&path, depth + 1)?;
                }
            }
            "confdir" => {
                for path in in_folders(self.root, &folders(&rest), ".conf")? {
                    self.file(&path, depth + 1)?;
                }
            }
            "sourcedir" => self.source_folders.push(folders(&rest)),
            "cmdport" => self.bound.port(&rest),
            "bindcmdaddress" => self.bound.address(&rest),
            _ => self.source(file, number, &directive, &rest)?,
        }
        Ok(())
    }

    fn source(
        &mut self,
        file: &str,
        line: u32,
        directive: &str,
        rest: &str,
    ) -> Result<(), HostError> {
        let kind = match directive.to_ascii_lowercase().as_str() {
            "server" => SourceDirective::Server,
            "pool" => SourceDirective::Pool,
            "peer" => SourceDirective::Peer,
            "refclock" => SourceDirective::Refclock,
            _ => return Ok(()),
        };
        if self.sources.len() == SOURCES_LIMIT {
            let why = format!("line {line}: one source more than are read");
            return Err(HostError::Malformed { path: file.to_owned(), why });
        }
        let phc = match (kind, rest.split_once(' ')) {
            (SourceDirective::Refclock, Some(("PHC", parameter))) => {
                // Options follow behind colons.
                let device = parameter.split([' ', ':']).next().unwrap_or_default();
                Some(ptp::device(self.root, device, self.clocks))
            }
            _ => None,
        };
        let text = format!("{directive} {rest}").chars().take(LINE_LIMIT_CHARS).collect();
        self.sources.push(ConfiguredSource {
            file: file.to_owned(),
            line,
            directive: kind,
            text,
            phc,
        });
        Ok(())
    }

    /// Files of sources alone: other directives count for nothing there.
    fn source_folders(&mut self) -> Result<(), HostError> {
        for folders in std::mem::take(&mut self.source_folders) {
            for path in in_folders(self.root, &folders, ".sources")? {
                let text = self.text(&path, 0)?;
                for (number, line) in (1..).zip(text.lines()) {
                    if let Some((directive, rest)) = words(line)
                        && !directive.eq_ignore_ascii_case("refclock")
                    {
                        self.source(&path, number, &directive, &rest)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The directive and the rest of a line, with single blanks; none for a comment or an
/// empty line.
fn words(line: &str) -> Option<(String, String)> {
    let line = line.trim_start();
    if line.starts_with(['!', ';', '#', '%']) {
        return None;
    }
    let mut words = line.split_whitespace();
    let directive = words.next()?.to_owned();
    Some((directive, words.collect::<Vec<_>>().join(" ")))
}

fn folders(rest: &str) -> Vec<String> {
    rest.split(' ').filter(|folder| !folder.is_empty()).map(str::to_owned).collect()
}

/// The files of that ending in these folders, in the order of their names. Of two of one
/// name the one in the earlier folder counts.
fn in_folders(root: &HostRoot, folders: &[String], ending: &str) -> Result<Vec<String>, HostError> {
    let mut by_name = BTreeMap::new();
    for folder in folders {
        let names = match root.list(folder) {
            Err(HostError::Missing { .. } | HostError::System { errno: Errno::ENOTDIR, .. }) => {
                continue;
            }
            names => names?,
        };
        // A pattern of the shell does not see names that begin with a dot.
        for name in
            names.into_iter().filter(|name| name.ends_with(ending) && !name.starts_with('.'))
        {
            let path = format!("{}/{name}", folder.trim_end_matches('/'));
            by_name.entry(name).or_insert(path);
        }
    }
    Ok(by_name.into_values().collect())
}

#[cfg(test)]
mod tests;
