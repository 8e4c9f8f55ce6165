//! Advisories: what a vendor states about one of its source packages, in the one form that
//! all feeds are read into. `facts` of nodes say what is installed; these say what of it
//! is known to be wrong, since when there is a fix, and which.

pub mod alias;
pub mod bulletin;
pub mod feed;
pub mod ledger;
pub mod opinion;
pub mod published;
pub mod range;
pub mod stream;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use alias::{Alias, AliasId, Rating};
pub use bulletin::{Affected, Bulletin, BulletinKind, Probe};
pub use feed::{Coverage, FeedState, FeedStatus, Feeds, Silence, StreamCoverage};
pub use ledger::{FixKey, Ledger, Revision, Stated};
pub use opinion::{ContainerOpinion, Mitigation, MitigationReport, PackageOpinion, ScanReport};
pub use published::{DateKind, Published};
pub use range::{Lower, Range, Upper};
pub use stream::{Distribution, Stream, Tier, Tiers};

/// What one record of a vendor states about one source package, for one range of its
/// versions. A record that fixes several ranges is several of these: a version lies in one
/// of them at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisory {
    /// The vendor's own name of the record: `USN-6859-1`, `DSA-5724-1`, a definition's id.
    pub record: Arc<str>,
    /// How much the record counts beside others about the same.
    pub authority: Authority,
    /// Of which line of updates.
    pub stream: Stream,
    /// The source package.
    pub source: Arc<str>,
    /// Which of its versions.
    pub range: Range,
    /// What is stated about them.
    pub statement: Statement,
    /// What the record is about under other names, CVEs first of all. Records without any
    /// exist, and count.
    pub aliases: Arc<[Alias]>,
    /// When the vendor says that it published the record; none where it says nothing, or
    /// only when the vulnerability became known.
    pub published: Option<Dated>,
    /// Whether epochs take part when versions are compared.
    pub epochs: Epochs,
}

/// How much a record counts beside others about the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Authority {
    /// The vendor's notice of an update, or a definition of its own feed. Its date counts.
    Notice,
    /// A record per vulnerability. What it says of fixes only fills the gaps of notices.
    Complement,
}

/// What is stated about a range of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Statement {
    /// They are vulnerable, and what is above them is fixed.
    Fixed,
    /// They are vulnerable, and there is no fix.
    Unfixed(Unfixed),
    /// They are not affected.
    NotAffected,
}

/// Why there is no fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unfixed {
    /// The vendor has not said that there will be none.
    Pending,
    /// The vendor put it off.
    Deferred,
    /// The vendor decided to make none.
    WontFix,
    /// The vendor no longer supports the release or the package.
    EndOfLife,
}

impl Unfixed {
    /// The words for screens.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Pending => "no fix yet",
            Self::Deferred => "fix deferred by the vendor",
            Self::WontFix => "the vendor will not fix it",
            Self::EndOfLife => "no longer supported by the vendor",
        }
    }
}

/// An instant, and what kind of a date the feed means it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dated {
    /// When.
    pub at: Timestamp,
    /// [`DateKind::Advisory`] or [`DateKind::Changelog`]; the other kinds are not a feed's.
    pub kind: DateKind,
}

/// Whether epochs take part when versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Epochs {
    /// They do.
    Compared,
    /// They do not: the feed writes 0 for every package, whatever its epoch is.
    Ignored,
}

/// Whether a record's name is that of a vendor's notice, and not of a vulnerability.
#[must_use]
pub fn is_notice(record: &str) -> bool {
    ["USN-", "LSN-", "DSA-", "DLA-", "GHSA-", "GO-"].iter().any(|prefix| record.starts_with(prefix))
}

impl Advisory {
    /// The first version without what the record is about; none where there is no fix, or
    /// the feed names only the last version with it.
    #[must_use]
    pub fn fixed_version(&self) -> Option<&Arc<str>> {
        match (self.statement, &self.range.upper) {
            (Statement::Fixed, Upper::Below(version)) => Some(version),
            _ => None,
        }
    }

    /// Whether it is a vendor's own word that there is a fix: only a feed of such words can
    /// have all of them.
    #[must_use]
    pub fn is_notice_of_fix(&self) -> bool {
        self.authority == Authority::Notice && self.statement == Statement::Fixed
    }

    /// Under what the ledger keeps the date of this fix; none for what is no fix.
    ///
    /// A notice keeps its name for ever, and so it is dated by its name. A definition per
    /// vulnerability may vanish and come back under another id: it is dated by the
    /// vulnerability.
    #[must_use]
    pub fn fix_key(&self) -> Option<FixKey> {
        if self.statement != Statement::Fixed {
            return None;
        }
        let fixed = match &self.range.upper {
            Upper::Below(version) | Upper::UpTo(version) => Arc::clone(version),
            Upper::Open => return None,
        };
        let subject = match &*self.aliases {
            [only] if !is_notice(&self.record) => only.id.clone(),
            _ => AliasId::of(&self.record),
        };
        Some(FixKey {
            stream: self.stream.clone(),
            source: Arc::clone(&self.source),
            fixed,
            subject,
        })
    }
}
