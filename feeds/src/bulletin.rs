//! Bulletins of the provider, as TOML: what a notice for people says, written down as data.
//! Each names what it is about, since when, for which images, kernels or packages, what
//! fixes it, how to see on a node that it is held off, and the steps. In our own words.
//!
//! ```toml
//! [[bulletin]]
//! id = "AKS-2026-9901"
//! kind = "bulletin"                       # or "known_issue"
//! title = "A module that can be loaded from a pod"
//! published = "2026-05-01"
//! source = "https://learn.microsoft.com/azure/aks/security-bulletins/overview"
//! cves = ["CVE-2026-90001"]
//! steps = ["Upgrade the node image to 202607.02.0 or later."]
//!
//! [[bulletin.affected]]
//! os = "ubuntu"
//! release = "22.04"
//! package = "linux-azure"
//! below = "5.15.0-1116.125"
//!
//! [bulletin.probe]
//! modprobe_blocks = ["algif_aead"]
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use nodeward_domain::advisory::{
    Affected, AliasId, Bulletin, BulletinKind, Epochs, Lower, Probe, Range, Stream, Upper,
};
use serde::Deserialize;

use crate::instant::{self, InstantError};
use crate::unread::{self, Unread};

/// The longest file that is read.
pub const LONGEST_FILE_BYTES: usize = 4 << 20;

/// Why a file was refused.
#[derive(Debug, thiserror::Error)]
pub enum BulletinError {
    /// It is not read at all.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// It is no TOML, or not of this form. The source names line and column.
    #[error("{file}: no bulletins")]
    Malformed {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A date is none.
    #[error("{file}: {id}: published")]
    Published {
        /// The file.
        file: String,
        /// The bulletin.
        id: String,
        /// What stands there.
        #[source]
        source: InstantError,
    },
    /// A bulletin says something that cannot be, or lacks what it must have.
    #[error("{file}: {id}: {what}")]
    Wrong {
        /// The file.
        file: String,
        /// The bulletin.
        id: String,
        /// What is wrong.
        what: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    bulletin: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    kind: BulletinKind,
    title: String,
    published: String,
    source: String,
    #[serde(default)]
    cves: Vec<String>,
    steps: Vec<String>,
    affected: Vec<Fits>,
    probe: Option<Probe>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fits {
    os: String,
    #[serde(default)]
    release: String,
    package: Option<String>,
    from: Option<String>,
    below: Option<String>,
    up_to: Option<String>,
    image_below: Option<String>,
}

/// Reads a file of bulletins.
pub fn read_bulletins(file: &str, bytes: &[u8]) -> Result<Vec<Bulletin>, BulletinError> {
    let text = unread::text(file, bytes, LONGEST_FILE_BYTES)?;
    let read: File = toml::from_str(text).map_err(|source| BulletinError::Malformed {
        file: file.to_owned(),
        source: Box::new(source),
    })?;
    let mut ids = BTreeSet::new();
    let mut bulletins = Vec::new();
    for entry in read.bulletin {
        let wrong = |what: String| BulletinError::Wrong {
            file: file.to_owned(),
            id: entry.id.clone(),
            what,
        };
        if entry.id.trim().is_empty() {
            return Err(wrong("it has no id".to_owned()));
        }
        if !ids.insert(entry.id.clone()) {
            return Err(wrong("it stands twice".to_owned()));
        }
        if entry.steps.is_empty() || entry.affected.is_empty() {
            return Err(wrong("it names no steps, or nothing that is affected".to_owned()));
        }
        let published = instant::read(&entry.published).map_err(|source| {
            BulletinError::Published { file: file.to_owned(), id: entry.id.clone(), source }
        })?;
        let affected = entry
            .affected
            .iter()
            .map(|fits| affected(fits).map_err(&wrong))
            .collect::<Result<_, _>>()?;
        bulletins.push(Bulletin {
            id: entry.id,
            kind: entry.kind,
            title: entry.title,
            published,
            source: entry.source,
            cves: entry.cves.iter().map(|name| AliasId::of(name)).collect(),
            steps: entry.steps,
            affected,
            probe: entry.probe,
        });
    }
    Ok(bulletins)
}

fn affected(fits: &Fits) -> Result<Affected, String> {
    let stream = Stream::of_os_release(&fits.os, &fits.release);
    let order =
        stream.distribution.order().ok_or_else(|| format!("os {:?} is not known", fits.os))?;
    let lower = fits.from.as_deref().map_or(Lower::Open, |from| Lower::AtLeast(Arc::from(from)));
    let upper = match (&fits.below, &fits.up_to) {
        (None, None) => Upper::Open,
        (Some(below), None) => Upper::Below(Arc::from(below.as_str())),
        (None, Some(up_to)) => Upper::UpTo(Arc::from(up_to.as_str())),
        (Some(_), Some(_)) => return Err("both `below` and `up_to` stand there".to_owned()),
    };
    let range = Range { lower, upper };
    if fits.package.is_none() && range != Range::ALL {
        return Err("versions without a package".to_owned());
    }
    range.keys(order, Epochs::Compared).map_err(|error| error.to_string())?;
    Ok(Affected {
        stream,
        package: fits.package.as_deref().map(Arc::from),
        range,
        image_below: fits.image_below.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[[bulletin]]
id = "AKS-2026-9901"
kind = "bulletin"
title = "A module that can be loaded from a pod"
published = "2026-05-01"
source = "https://example.org/bulletins"
cves = ["CVE-2026-90001"]
steps = ["Upgrade the node image."]

[[bulletin.affected]]
os = "ubuntu"
release = "22.04"
package = "linux-azure"
below = "5.15.0-1116.125"
image_below = "202607.02.0"

[bulletin.probe]
modprobe_blocks = ["algif_aead"]

[[bulletin]]
id = "known-1"
kind = "known_issue"
title = "Something with a workaround"
published = "2026-05-02T10:00:00Z"
source = "https://example.org/issues/1"
steps = ["Do without."]
affected = [{ os = "azurelinux", release = "3.0" }]
"#;

    #[test]
    fn bulletins_say_what_is_affected_and_what_to_do() {
        let bulletins = read_bulletins("bulletins.toml", FILE.as_bytes()).expect("bulletins");
        let [one, other] = bulletins.as_slice() else { panic!("{bulletins:?}") };
        assert_eq!(one.affected[0].range.to_string(), "< 5.15.0-1116.125");
        assert_eq!(one.probe.as_ref().expect("a probe").modprobe_blocks, ["algif_aead"]);
        assert_eq!(other.kind, BulletinKind::KnownIssue);
        assert_eq!(other.affected[0].range, Range::ALL);
    }

    #[test]
    fn an_error_names_the_file_the_bulletin_and_the_reason() {
        let refused = |from: &str, to: &str| {
            let text = FILE.replacen(from, to, 1);
            read_bulletins("bulletins.toml", text.as_bytes()).expect_err("odd").to_string()
        };
        let of = |what: &str| format!("bulletins.toml: AKS-2026-9901: {what}");
        assert_eq!(refused("known-1", "AKS-2026-9901"), of("it stands twice"));
        assert_eq!(refused("\"2026-05-01\"", "\"May\""), of("published"));
        assert_eq!(refused("os = \"ubuntu\"", "os = \"beos\""), of("os \"beos\" is not known"));
        assert!(refused("5.15.0-1116.125", "1 2").contains("no version has"));
        assert_eq!(refused("title", "titel"), "bulletins.toml: no bulletins");
        assert_eq!(refused("package = \"linux-azure\"", ""), of("versions without a package"));
    }
}
