//! What reading one feed gives, whatever its format is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::advisory::{Advisory, FixKey, Statement, Stream};

use nodeward_domain::advisory::Dated;

/// What one feed says.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Its statements, in the order in which they stood.
    pub advisories: Vec<Advisory>,
    /// Records that the vendor has taken back. They are no statements.
    pub withdrawn: BTreeSet<Arc<str>>,
    /// Of when it is, where the feed says so itself.
    pub stated_as_of: Option<Timestamp>,
    /// So many records were read.
    pub records: usize,
    /// What was left out on purpose, and how often: said, never dropped in silence.
    pub left_out: BTreeMap<String, usize>,
    /// Packages that a vendor's notice names without saying which versions: there is a fix,
    /// and nobody can be told whether he has it. Counts while a feed is read, and is not kept
    /// with it: what it means for the feed is, see [`nodeward_domain::advisory::Coverage`].
    pub gaps: BTreeMap<Stream, usize>,
}

impl Content {
    /// Counts something that is left out.
    pub(crate) fn leave_out(&mut self, what: &'static str) {
        match self.left_out.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                self.left_out.insert(what.to_owned(), 1);
            }
        }
    }

    /// The newest date of publication in it.
    #[must_use]
    pub fn newest_published(&self) -> Option<Timestamp> {
        let dates = self.advisories.iter().filter_map(|advisory| advisory.published);
        dates.map(|dated| dated.at).max()
    }

    /// Of when it is: what the feed says itself, or else its newest date.
    #[must_use]
    pub fn as_of(&self) -> Option<Timestamp> {
        self.stated_as_of.or_else(|| self.newest_published())
    }

    /// So many statements there are on each stream.
    #[must_use]
    pub fn streams(&self) -> BTreeMap<Stream, usize> {
        let mut streams = BTreeMap::new();
        for advisory in &self.advisories {
            match streams.get_mut(&advisory.stream) {
                Some(count) => *count += 1,
                None => {
                    streams.insert(advisory.stream.clone(), 1);
                }
            }
        }
        streams
    }

    /// The fixes with the dates that the feed gives them, for the ledger.
    pub fn dated_fixes(&self) -> impl Iterator<Item = (FixKey, Option<Dated>)> {
        self.advisories
            .iter()
            .filter(|advisory| advisory.statement == Statement::Fixed)
            .filter_map(|advisory| Some((advisory.fix_key()?, advisory.published)))
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
        }
        text
    })
}

/// Texts that stand in a feed many times, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Words(BTreeSet<Arc<str>>);

impl Words {
    pub(crate) fn keep(&mut self, word: &str) -> Arc<str> {
        match self.0.get(word) {
            Some(kept) => Arc::clone(kept),
            None => {
                let kept: Arc<str> = Arc::from(word);
                self.0.insert(Arc::clone(&kept));
                kept
            }
        }
    }
}
