//! Since when checks have been failing. Facts say what is; that it has been so for an hour,
//! through five restarts of a process, no fact of the moment says. Counted once a round.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::node::Holding;

/// What is remembered of the checks of one node that fail, or begin to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standings {
    by_reason: BTreeMap<String, Holding>,
}

/// What a round has shown of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// That it fails, or that a weak probe says so.
    Broken,
    /// Nothing: it neither confirms what was seen before nor clears it.
    Nothing,
    /// That nothing is wrong, or that the question has no meaning any more.
    Fine,
}

impl Standings {
    /// For how many rounds a check has been failing, and since when. Rounds that showed
    /// nothing of it neither count nor end the row.
    #[must_use]
    pub fn of(&self, reason: &str) -> Holding {
        self.by_reason.get(reason).copied().unwrap_or_default()
    }

    /// Every check that stands so, by reason.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Holding)> {
        self.by_reason.iter().map(|(reason, holding)| (reason.as_str(), *holding))
    }

    /// Adds what was remembered elsewhere.
    pub fn restore(&mut self, reason: String, observations: u32, since: Timestamp) {
        self.by_reason.insert(reason, Holding { observations, since: Some(since) });
    }

    /// Takes what a round has shown of a check.
    pub(crate) fn take(&mut self, reason: &str, shown: Shown, at: Timestamp) {
        match shown {
            Shown::Broken => {
                let holding = self.by_reason.entry(reason.to_owned()).or_default();
                holding.observations = holding.observations.saturating_add(1);
                holding.since = holding.since.or(Some(at));
            }
            Shown::Nothing => {}
            Shown::Fine => {
                self.by_reason.remove(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_fine_ends_a_row() {
        let at = |second| Timestamp::from_second(second).expect("a small number of seconds");
        let mut standings = Standings::default();
        for (second, shown) in
            [(1, Shown::Broken), (2, Shown::Nothing), (3, Shown::Broken), (4, Shown::Nothing)]
        {
            standings.take("Ill", shown, at(second));
        }
        assert_eq!(standings.of("Ill"), Holding { observations: 2, since: Some(at(1)) });
        assert_eq!(standings.of("Other"), Holding::default());
        standings.take("Ill", Shown::Fine, at(5));
        standings.take("Ill", Shown::Broken, at(6));
        assert_eq!(standings.of("Ill"), Holding { observations: 1, since: Some(at(6)) });
    }
}
