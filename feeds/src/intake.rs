//! Files into feeds: what kind each file is, by what stands in it, and which of them belong
//! to one feed. Archives are looked into; a file of no known kind is refused when it was
//! named, and counted when it lies in an archive or a folder beside others.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek};
use std::sync::Arc;

use nodeward_domain::advisory::{Bulletin, MitigationReport, ScanReport, Stream};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use crate::archive::{self, ArchiveError, Limits};
use crate::bulletin::{BulletinError, read_bulletins};
use crate::content::{Content, hex};
use crate::debian::{DsaListError, read_dsa_list};
use crate::openvex::{OpenVexError, OpenVexReader};
use crate::osv::{OsvError, OsvReader};
use crate::oval::{OvalError, read_oval};
use crate::vulnerability_api::{VulnerabilityApiError, read_mitigation_report, read_scan_report};

/// What a feed says.
#[derive(Debug, Clone)]
pub enum FeedContent {
    /// Advisories.
    Advisories(Content),
    /// Bulletins of the provider.
    Bulletins(Vec<Bulletin>),
    /// What the provider's scanner says of its images.
    ScanReports(Vec<ScanReport>),
    /// Where, by the provider's own word, vulnerabilities of packages were seen and mended.
    Mitigations(Vec<MitigationReport>),
}

/// One feed out of the files that were read.
#[derive(Debug, Clone)]
pub struct ReadFeed {
    /// Its name.
    pub name: Arc<str>,
    /// What it says.
    pub content: FeedContent,
    /// SHA-256 over the files, in whichever order and archive they came.
    pub digest: Arc<str>,
    /// So many files it was made of.
    pub files: usize,
    /// Whether its format holds all that there is by itself, one document for the whole.
    pub is_whole: bool,
}

/// Why files were refused.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// A file cannot be read.
    #[error("{file}: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A file is longer than any that is read.
    #[error("{file}: more than {limit} bytes")]
    TooLong {
        /// The file.
        file: String,
        /// The limit.
        limit: u64,
    },
    /// A file is of no known kind.
    #[error(
        "{file}: of no known kind: neither OSV, OpenVEX, OVAL, a DSA list, bulletins, nor a report of the provider's scanner"
    )]
    Unknown {
        /// The file.
        file: String,
    },
    /// It is JSON that cannot be read.
    #[error("{file}: no JSON")]
    Json {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Nothing of a known kind is among the files.
    #[error("{place}: nothing of a known kind is in it")]
    Nothing {
        /// The archive.
        place: String,
    },
    /// An OSV record.
    #[error(transparent)]
    Osv(#[from] OsvError),
    /// An OpenVEX document.
    #[error(transparent)]
    OpenVex(#[from] OpenVexError),
    /// OVAL definitions.
    #[error(transparent)]
    Oval(#[from] OvalError),
    /// A list of DSAs.
    #[error(transparent)]
    DsaList(#[from] DsaListError),
    /// Bulletins.
    #[error(transparent)]
    Bulletin(#[from] BulletinError),
    /// A scan report, or a mitigation report.
    #[error(transparent)]
    ScanReport(#[from] VulnerabilityApiError),
    /// An archive.
    #[error(transparent)]
    Archive(#[from] Box<ArchiveError<Self>>),
}

/// What kind a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Osv,
    OpenVex,
    ScanReport,
    Mitigations,
    Oval,
    DsaList,
    Bulletins,
}

/// Files that were read, by the feed they belong to.
#[derive(Default)]
pub struct Intake {
    osv: BTreeMap<String, (OsvReader, Files)>,
    openvex: Option<(OpenVexReader, Files)>,
    whole: Vec<ReadFeed>,
    bulletins: Option<(Vec<Bulletin>, Files)>,
    reports: Option<(Vec<ScanReport>, Files)>,
    mitigations: Option<(Vec<MitigationReport>, Files)>,
    /// Files beside others that are of no known kind, the first of them.
    passed_over: (usize, String),
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").finish_non_exhaustive()
    }
}

/// Digests of the files of a feed.
#[derive(Default)]
struct Files(Vec<[u8; 32]>);

impl Files {
    fn add(&mut self, bytes: &[u8]) {
        self.0.push(Sha256::digest(bytes).into());
    }

    fn feed(mut self, name: String, content: FeedContent, is_whole: bool) -> ReadFeed {
        self.0.sort_unstable();
        let mut hasher = Sha256::new();
        self.0.iter().for_each(|digest| hasher.update(digest));
        let digest = hex(&hasher.finalize());
        ReadFeed {
            name: Arc::from(name),
            content,
            digest: Arc::from(digest),
            files: self.0.len(),
            is_whole,
        }
    }
}

impl Intake {
    /// Takes a file that was named: an archive, or one of a known kind.
    pub fn named(&mut self, file: &str, bytes: &mut (impl Read + Seek)) -> Result<(), IntakeError> {
        let unreadable = |source| IntakeError::Unreadable { file: file.to_owned(), source };
        if archive::is_archive(bytes).map_err(unreadable)? {
            return match self.archive(file, bytes)? {
                true => Ok(()),
                false => Err(IntakeError::Nothing { place: file.to_owned() }),
            };
        }
        let bytes = whole_file(file, bytes)?;
        if self.file(file, &bytes)? {
            Ok(())
        } else {
            Err(IntakeError::Unknown { file: file.to_owned() })
        }
    }

    /// Takes a file that lies in a folder beside others, and tells whether it is of a known
    /// kind, or an archive that has one. Those that are not are counted.
    pub fn beside(
        &mut self,
        file: &str,
        bytes: &mut (impl Read + Seek),
    ) -> Result<bool, IntakeError> {
        let unreadable = |source| IntakeError::Unreadable { file: file.to_owned(), source };
        let is_known = if archive::is_archive(bytes).map_err(unreadable)? {
            self.archive(file, bytes)?
        } else {
            self.file(file, &whole_file(file, bytes)?)?
        };
        if !is_known {
            self.pass_over(file);
        }
        Ok(is_known)
    }

    fn pass_over(&mut self, file: &str) {
        self.passed_over.0 += 1;
        if self.passed_over.1.is_empty() {
            file.clone_into(&mut self.passed_over.1);
        }
    }

    /// Takes what is in an archive, and tells whether any of it is of a known kind. Archives
    /// in it are not opened, and count as passed over.
    fn archive(
        &mut self,
        archive: &str,
        bytes: &mut (impl Read + Seek),
    ) -> Result<bool, IntakeError> {
        let mut nested = Vec::new();
        let mut is_any = false;
        let wanted = |file: &str| {
            if is_archive_by_name(file) {
                nested.push(format!("{archive}: {file}"));
            }
            is_wanted(file)
        };
        archive::for_each_file(archive, bytes, Limits::default(), wanted, |file, bytes| {
            let is_known = self.file(file, bytes)?;
            is_any |= is_known;
            if !is_known {
                self.pass_over(file);
            }
            Ok(())
        })
        .map_err(|error| IntakeError::Archive(Box::new(error)))?;
        nested.iter().for_each(|file| self.pass_over(file));
        Ok(is_any)
    }

    /// Reads one file; tells whether it is of a known kind.
    fn file(&mut self, file: &str, bytes: &[u8]) -> Result<bool, IntakeError> {
        let Some((kind, id)) = kind(file, bytes)? else { return Ok(false) };
        match kind {
            Kind::Osv => {
                let (reader, files) = self.osv.entry(osv_feed(&id)).or_default();
                reader.read(file, bytes)?;
                files.add(bytes);
            }
            Kind::OpenVex => {
                let (reader, files) = self.openvex.get_or_insert_default();
                reader.read(file, bytes)?;
                files.add(bytes);
            }
            Kind::ScanReport => {
                let report = read_scan_report(file, bytes)?;
                let (reports, files) = self.reports.get_or_insert_default();
                reports.push(report);
                files.add(bytes);
            }
            Kind::Mitigations => {
                let report = read_mitigation_report(file, bytes)?;
                let (reports, files) = self.mitigations.get_or_insert_default();
                reports.push(report);
                files.add(bytes);
            }
            Kind::Bulletins => {
                let (bulletins, files) = self.bulletins.get_or_insert_default();
                bulletins.extend(read_bulletins(file, bytes)?);
                files.add(bytes);
            }
            Kind::Oval => self.whole(bytes, read_oval(file, bytes)?, "oval"),
            Kind::DsaList => self.whole(bytes, read_dsa_list(file, bytes)?, "dsa-list"),
        }
        Ok(true)
    }

    /// A document that is a feed by itself.
    fn whole(&mut self, bytes: &[u8], content: Content, form: &str) {
        let name = match (form, content.streams().into_keys().next()) {
            ("oval", Some(stream)) => format!("{}-oval", slug(&stream)),
            (form, _) => form.to_owned(),
        };
        let mut files = Files::default();
        files.add(bytes);
        self.whole.push(files.feed(name, FeedContent::Advisories(content), true));
    }

    /// The feeds, and how many files of no known kind lay beside them, with the first.
    #[must_use]
    pub fn finish(self) -> (Vec<ReadFeed>, usize, String) {
        let mut feeds = self.whole;
        for (name, (reader, files)) in self.osv {
            feeds.push(files.feed(name, FeedContent::Advisories(reader.finish()), false));
        }
        if let Some((reader, files)) = self.openvex {
            let content = FeedContent::Advisories(reader.finish());
            feeds.push(files.feed("ubuntu-vex".to_owned(), content, false));
        }
        if let Some((bulletins, files)) = self.bulletins {
            feeds.push(files.feed(
                "bulletins".to_owned(),
                FeedContent::Bulletins(bulletins),
                false,
            ));
        }
        if let Some((reports, files)) = self.reports {
            let content = FeedContent::ScanReports(reports);
            feeds.push(files.feed("aks-vulnerability-api".to_owned(), content, false));
        }
        if let Some((reports, files)) = self.mitigations {
            let content = FeedContent::Mitigations(reports);
            feeds.push(files.feed("aks-vulnerability-mitigations".to_owned(), content, false));
        }
        feeds.sort_by(|a, b| a.name.cmp(&b.name));
        (feeds, self.passed_over.0, self.passed_over.1)
    }
}

/// The bytes of a file that is no archive.
fn whole_file(file: &str, bytes: &mut impl Read) -> Result<Vec<u8>, IntakeError> {
    let limit = Limits::default().file_bytes;
    let mut whole = Vec::new();
    bytes
        .take(limit + 1)
        .read_to_end(&mut whole)
        .map_err(|source| IntakeError::Unreadable { file: file.to_owned(), source })?;
    if u64::try_from(whole.len()).unwrap_or(u64::MAX) > limit {
        return Err(IntakeError::TooLong { file: file.to_owned(), limit });
    }
    Ok(whole)
}

/// Whether a file in a folder may be of a known kind, or an archive of such, by its name
/// alone.
#[must_use]
pub fn is_wanted_in_folder(file: &str) -> bool {
    is_wanted(file) || is_archive_by_name(file)
}

/// Whether a file in an archive may be of a known kind, by its name alone.
fn is_wanted(file: &str) -> bool {
    let mut parts = file.split('/');
    let name = parts.next_back().unwrap_or_default();
    let is_of_kind = [".json", ".xml", ".toml"].iter().any(|end| name.ends_with(end))
        || (name == "list" && parts.next_back() == Some("DSA"));
    is_of_kind && !is_hidden(file)
}

fn is_archive_by_name(file: &str) -> bool {
    let ends = [".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst"];
    ends.iter().any(|end| file.ends_with(end)) && !is_hidden(file)
}

/// Whether it, or a folder that it lies in, has a name that begins with a dot.
fn is_hidden(file: &str) -> bool {
    file.split('/').any(|part| part.starts_with('.') && part.len() > 1 && part != "..")
}

/// The fields by which JSON documents are told apart.
#[derive(Deserialize)]
struct Shape {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    affected: Option<IgnoredAny>,
    #[serde(default)]
    schema_version: Option<IgnoredAny>,
    #[serde(default)]
    withdrawn: Option<IgnoredAny>,
    #[serde(default)]
    statements: Option<IgnoredAny>,
    #[serde(default)]
    vhd_release_version: Option<IgnoredAny>,
    #[serde(default)]
    mitigations: Option<IgnoredAny>,
    #[serde(default)]
    package_name: Option<IgnoredAny>,
}

/// What kind a file is, by what stands in it, and the id of an OSV record.
fn kind(file: &str, bytes: &[u8]) -> Result<Option<(Kind, String)>, IntakeError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let plain = |kind| Ok(Some((kind, String::new())));
    match text {
        [b'{', ..] => {
            let shape: Shape = serde_json::from_slice(text)
                .map_err(|source| IntakeError::Json { file: file.to_owned(), source })?;
            if shape.statements.is_some() {
                return plain(Kind::OpenVex);
            }
            if shape.vhd_release_version.is_some() {
                return plain(Kind::ScanReport);
            }
            if shape.package_name.is_some() && shape.mitigations.is_some() {
                return plain(Kind::Mitigations);
            }
            let is_osv = shape.affected.is_some()
                || shape.schema_version.is_some()
                || shape.withdrawn.is_some();
            Ok(shape.id.filter(|_| is_osv).map(|id| (Kind::Osv, id)))
        }
        [b'<', ..] => plain(Kind::Oval),
        [b'[', day, ..] if day.is_ascii_digit() => plain(Kind::DsaList),
        _ if file.ends_with(".toml") => plain(Kind::Bulletins),
        _ => Ok(None),
    }
}

/// The feed that an OSV record belongs to, by its name.
fn osv_feed(id: &str) -> String {
    const FEEDS: [(&str, &str); 9] = [
        ("USN-", "ubuntu-usn"),
        ("LSN-", "ubuntu-usn"),
        ("UBUNTU-CVE-", "ubuntu-cve"),
        ("DSA-", "debian-dsa"),
        ("DLA-", "debian-dla"),
        ("DEBIAN-CVE-", "debian-cve"),
        ("AZL-", "azurelinux-osv"),
        ("GHSA-", "upstream"),
        ("GO-", "upstream"),
    ];
    FEEDS
        .iter()
        .find(|(prefix, _)| id.starts_with(prefix))
        .map_or_else(|| "osv".to_owned(), |(_, feed)| (*feed).to_owned())
}

/// A stream as part of a feed's name: `azurelinux-3.0`.
fn slug(stream: &Stream) -> String {
    let name: String = stream
        .to_string()
        .to_lowercase()
        .chars()
        .map(|one| if one.is_alphanumeric() || one == '.' { one } else { '-' })
        .collect();
    name.trim_matches('-').to_owned()
}
