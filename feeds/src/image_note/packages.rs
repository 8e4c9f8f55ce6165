//! The list of installed packages of a release note: what `apt list --installed` writes,
//! or `rpm -qa`, or a stub where the image builder lists none.

use nodeward_domain::image::{ShippedPackage, ShippedPackages};

/// A list of installed packages, in the form in which it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageList {
    /// Of `apt list --installed`.
    Apt {
        /// Lines above the first package: `Listing...`.
        before: Vec<String>,
        /// The packages.
        entries: Vec<AptEntry>,
    },
    /// Of `rpm -qa`.
    Rpm(Vec<RpmEntry>),
    /// Lines that are no list.
    Stub(Vec<String>),
}

/// `libc6/jammy-updates,now 2.35-0ubuntu3.13 amd64 [installed,automatic]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AptEntry {
    /// Name of the package.
    pub name: String,
    /// The suites that offer this version. `now` alone says that none does any longer.
    pub suites: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// What stands in brackets: `installed,automatic`, `installed,upgradable to: 2.3.2`.
    pub state: String,
}

/// `openssl-libs-3.3.5-5.azl3.x86_64`. There is no epoch in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpmEntry {
    /// Name of the package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its architecture; empty for the keys that rpm keeps as packages `gpg-pubkey`.
    pub architecture: String,
}

/// What `apt list` writes above its list.
const LISTING: &str = "Listing...";

/// The image builder's own line where it lists nothing.
const STUB: &str = "listInstalledPackages stub";

/// The name under which rpm keeps keys.
const RPM_KEY: &str = "gpg-pubkey";

/// Architectures of rpm. One that is not among them is half a line.
const RPM_ARCHITECTURES: [&str; 12] = [
    "aarch64",
    "armv7hl",
    "i386",
    "i486",
    "i586",
    "i686",
    "noarch",
    "ppc64le",
    "riscv64",
    "s390x",
    "x86_64",
    "x86_64_v2",
];

impl PackageList {
    /// Reads the lines between the list's marks. The error names the line by its index.
    pub(super) fn read(lines: &[&str]) -> Result<Self, (usize, &'static str)> {
        if lines.iter().all(|line| line.trim().is_empty() || *line == STUB) {
            return Ok(Self::Stub(lines.iter().map(|line| (*line).to_owned()).collect()));
        }
        let listing = lines.iter().position(|line| line.starts_with(LISTING));
        let is_apt = listing.is_some() || lines.iter().any(|line| line.contains('/'));
        let first = listing.map_or(0, |index| index + 1);
        let numbered = lines.iter().enumerate().skip(first);
        if is_apt {
            let entry = |(index, line): (usize, &&str)| {
                apt(line).ok_or((index, "no `name/suites version architecture [state]` of apt"))
            };
            return Ok(Self::Apt {
                before: lines[..first].iter().map(|line| (*line).to_owned()).collect(),
                entries: numbered.map(entry).collect::<Result<_, _>>()?,
            });
        }
        let entry = |(index, line): (usize, &&str)| {
            rpm(line).ok_or((index, "no `name-version-release.architecture` of rpm"))
        };
        Ok(Self::Rpm(numbered.map(entry).collect::<Result<_, _>>()?))
    }

    /// What it says of the image.
    pub(super) fn shipped(&self) -> ShippedPackages {
        let packages: Vec<ShippedPackage> = match self {
            Self::Apt { entries, .. } => entries.iter().filter_map(AptEntry::shipped).collect(),
            Self::Rpm(entries) => entries.iter().map(RpmEntry::shipped).collect(),
            Self::Stub(lines) if lines.iter().any(|line| line == STUB) => {
                let why = format!("the image builder lists no packages of it: `{STUB}`");
                return ShippedPackages::Unknown(why);
            }
            Self::Stub(_) => Vec::new(),
        };
        match packages.is_empty() {
            // No image is without packages.
            true => ShippedPackages::Unknown("the list of packages is empty".to_owned()),
            false => ShippedPackages::listed(packages),
        }
    }

    /// Hands on its lines.
    pub(super) fn render(&self, line: &mut impl FnMut(&str)) {
        match self {
            Self::Apt { before, entries } => {
                before.iter().for_each(|one| line(one));
                for AptEntry { name, suites, version, architecture, state } in entries {
                    line(&format!("{name}/{suites} {version} {architecture} [{state}]"));
                }
            }
            Self::Rpm(entries) => {
                for RpmEntry { name, version, release, architecture } in entries {
                    let dot = if architecture.is_empty() { "" } else { "." };
                    line(&format!("{name}-{version}-{release}{dot}{architecture}"));
                }
            }
            Self::Stub(lines) => lines.iter().for_each(|one| line(one)),
        }
    }
}

impl AptEntry {
    /// None for what is only configured still, `[residual-config]`.
    fn shipped(&self) -> Option<ShippedPackage> {
        (self.state.split(',').next() == Some("installed")).then(|| ShippedPackage {
            name: self.name.clone(),
            version: self.version.clone(),
            architecture: self.architecture.clone(),
        })
    }
}

impl RpmEntry {
    fn shipped(&self) -> ShippedPackage {
        ShippedPackage {
            name: self.name.clone(),
            version: format!("{}-{}", self.version, self.release),
            architecture: self.architecture.clone(),
        }
    }
}

fn apt(line: &str) -> Option<AptEntry> {
    let mut words = line.splitn(4, ' ');
    let (name, suites) = words.next()?.split_once('/')?;
    let (version, architecture) = (words.next()?, words.next()?);
    let state = words.next()?.strip_prefix('[')?.strip_suffix(']')?;
    let all = [name, suites, version, architecture, state];
    all.iter().all(|word| !word.is_empty()).then(|| AptEntry {
        name: name.to_owned(),
        suites: suites.to_owned(),
        version: version.to_owned(),
        architecture: architecture.to_owned(),
        state: state.to_owned(),
    })
}

fn rpm(line: &str) -> Option<RpmEntry> {
    // Keys alone have no architecture: elsewhere a dot with nothing behind it is half a line.
    let (build, architecture, is_known) = match line.strip_prefix(RPM_KEY) {
        Some(rest) if rest.starts_with('-') && !rest.contains('.') => (line, "", true),
        _ => {
            let (build, architecture) = line.rsplit_once('.')?;
            (build, architecture, RPM_ARCHITECTURES.contains(&architecture))
        }
    };
    let mut parts = build.rsplitn(3, '-');
    let (release, version, name) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = [name, version, release].iter().all(|part| !part.is_empty());
    (is_known && is_whole && !line.contains(char::is_whitespace)).then(|| RpmEntry {
        name: name.to_owned(),
        version: version.to_owned(),
        release: release.to_owned(),
        architecture: architecture.to_owned(),
    })
}
