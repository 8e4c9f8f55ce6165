//! Which columns of a table mean what. Sources of the names that are known by themselves:
//! the headers of exports of Prisma Cloud, Microsoft Defender, Amazon Inspector and Qualys.

use super::ScanError;

/// What a column of a table may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Id,
    Package,
    Installed,
    Fixed,
    Severity,
    Target,
    Kind,
}

/// Each column with the keys by which a mapping names it, and the headers that are known by
/// themselves, the surest first. Headers are written without case, blanks and marks.
const COLUMNS: [(Column, &[&str], &str); 7] = [
    (
        Column::Id,
        &["cve", "id"],
        "cveid cve cveids cves vulnerabilityid vulnid cvenumber vulnerability vulnerabilities",
    ),
    (
        Column::Package,
        &["package"],
        "package packagename pkgname packages softwarename affectedpackage affectedpackages \
         component componentname software productname library",
    ),
    (
        Column::Installed,
        &["installed"],
        "installedversion packageversion packageinstalledversion installed softwareversion \
         currentversion componentversion detectedversion version",
    ),
    (
        Column::Fixed,
        &["fixed"],
        "fixedversion fixedversions fixedinversion fixedin fixversion fixversions patchedversion \
         patchedversions fixed fix fixstatus",
    ),
    (
        Column::Severity,
        &["severity"],
        "severity severitylevel vulnerabilityseveritylevel vendorseverity risk",
    ),
    (
        Column::Target,
        &["node", "target"],
        "node nodename hostname host devicename hosts machinename machine computername assetname \
         asset target image imagename resourcename resource resourceid dns ip ipaddress",
    ),
    (Column::Kind, &["kind"], "packagetype pkgtype ecosystem packagemanager kind type"),
];

/// Why a mapping is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A part of it has no `=`, or nothing on one side of it.
    #[error("{part:?} is no key=column")]
    Part {
        /// The part.
        part: String,
    },
    /// A key is not known.
    #[error("{key:?} is none of cve, package, installed, fixed, severity, node, kind")]
    Key {
        /// The key.
        key: String,
    },
    /// A key stands there twice.
    #[error("{key:?} stands there twice")]
    Twice {
        /// The key.
        key: String,
    },
}

/// Which columns of a table mean what, in an operator's words:
/// `cve=CVE ID,package=Package,installed=Version,fixed=Fix,severity=Severity,node=Host`.
/// What it does not name is looked for under the names that are known by themselves. A
/// column with a comma in its name cannot be named.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnMapping(Vec<(Column, String)>);

impl std::str::FromStr for ColumnMapping {
    type Err = MappingError;

    fn from_str(text: &str) -> Result<Self, MappingError> {
        let mut mapped: Vec<(Column, String)> = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let no_part = || MappingError::Part { part: part.trim().to_owned() };
            let (key, name) = part.split_once('=').ok_or_else(no_part)?;
            let (key, name) = (key.trim().to_ascii_lowercase(), name.trim());
            if name.is_empty() {
                return Err(no_part());
            }
            let known = COLUMNS.iter().find(|(_, keys, _)| keys.contains(&key.as_str()));
            let (column, ..) = known.ok_or_else(|| MappingError::Key { key: key.clone() })?;
            if mapped.iter().any(|(before, _)| before == column) {
                return Err(MappingError::Twice { key });
            }
            mapped.push((*column, name.to_owned()));
        }
        Ok(Self(mapped))
    }
}

/// A header without case, blanks and marks.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Where each column of a table stands.
pub(super) struct Places([Option<usize>; COLUMNS.len()]);

impl Places {
    /// Finds them by the header.
    pub(super) fn of<'a>(
        file: &str,
        header: impl Iterator<Item = &'a str>,
        mapping: Option<&ColumnMapping>,
    ) -> Result<Self, ScanError> {
        let names: Vec<&str> = header.collect();
        let header = Header { file, plain: names.iter().map(|name| plain(name)).collect(), names };
        let mut places = [None; COLUMNS.len()];
        for (place, (column, keys, known)) in places.iter_mut().zip(COLUMNS) {
            let mapped = mapping.iter().flat_map(|mapping| &mapping.0);
            *place = match mapped.into_iter().find(|(one, _)| *one == column) {
                Some((_, name)) => Some(header.mapped(name)?),
                None => header.known(known)?,
            };
            if place.is_none() && matches!(column, Column::Id | Column::Package) {
                return Err(ScanError::NoColumn {
                    file: file.to_owned(),
                    what: if keys.contains(&"cve") {
                        super::rows::ID
                    } else {
                        super::rows::PACKAGE
                    },
                    header: header.shown(),
                });
            }
        }
        Ok(Self(places))
    }

    pub(super) fn get(&self, column: Column) -> Option<usize> {
        let known = COLUMNS.iter().position(|(one, ..)| *one == column)?;
        self.0[known]
    }
}

struct Header<'a> {
    file: &'a str,
    names: Vec<&'a str>,
    plain: Vec<String>,
}

/// Of a header no more is shown in an error.
const SHOWN: usize = 400;

impl Header<'_> {
    fn shown(&self) -> String {
        let all = self.names.join(", ");
        let short: String = all.chars().take(SHOWN).collect();
        if short.len() < all.len() { format!("{short}…") } else { short }
    }

    /// The one column of that name.
    fn one(&self, name: &str) -> Result<Option<usize>, ScanError> {
        let mut found = self.plain.iter().enumerate().filter(|(_, plain)| *plain == name);
        let Some((place, _)) = found.next() else { return Ok(None) };
        match found.next() {
            None => Ok(Some(place)),
            Some(_) => Err(ScanError::TwoColumns {
                file: self.file.to_owned(),
                column: self.names[place].trim().to_owned(),
            }),
        }
    }

    /// The column that an operator named: as it stands, or else but for case and marks.
    fn mapped(&self, name: &str) -> Result<usize, ScanError> {
        let mut exact = self.names.iter().enumerate().filter(|(_, one)| one.trim() == name);
        if let (Some((place, _)), None) = (exact.next(), exact.next()) {
            return Ok(place);
        }
        self.one(&plain(name))?.ok_or_else(|| ScanError::NoSuchColumn {
            file: self.file.to_owned(),
            column: name.to_owned(),
            header: self.shown(),
        })
    }

    /// The column with the surest of the names that are known by themselves.
    fn known(&self, known: &str) -> Result<Option<usize>, ScanError> {
        for name in known.split(' ') {
            if let Some(place) = self.one(name)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}
