//! What is said of one component of a node on which one round has been seen as often as a
//! weak probe needs.

use jiff::{SignedDuration, Timestamp};
use nodeward_agent::collect::Observation;
use nodeward_domain::answer::{About, CheckAnswer, ComponentAnswer, NodeAnswer};
use nodeward_domain::check::CONFIRMATIONS;
use nodeward_domain::component::Component;
use nodeward_domain::node::NodeHistory;
use nodeward_domain::policy::{DEFAULT_EDITION, Policy};

/// The answer about one component.
#[derive(Debug)]
pub struct Judged {
    /// The component with its checks.
    pub component: ComponentAnswer,
    /// Reason and message of each of its findings.
    pub findings: Vec<(String, String)>,
}

impl Judged {
    /// Judges the component by that round.
    ///
    /// # Panics
    /// When the round lacks it.
    #[must_use]
    pub fn of(component: Component, round: &[Observation]) -> Self {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a moment");
        let mut history = NodeHistory::default();
        for number in 1..=CONFIRMATIONS {
            let at = now - SignedDuration::from_secs(30 * i64::from(CONFIRMATIONS - number));
            let measured = round.iter().fold(Default::default(), |all, one| one.measured.or(all));
            history.measured.observe(measured, at);
            for one in round {
                history.observe(one.state.clone(), at, one.took);
            }
        }
        let policy = Policy::edition(DEFAULT_EDITION).expect("the usual edition");
        let about = About { cluster: "c", node: "n", last_report_at: Some(now), agent: None };
        let (answer, _) = NodeAnswer::of(about, &history, Default::default(), &policy, now);
        let of_it = |one: &ComponentAnswer| one.component == component;
        Self {
            component: answer.components.into_iter().find(of_it).expect("it is in the round"),
            findings: answer
                .findings
                .into_iter()
                .filter(|finding| finding.component == component)
                .map(|finding| (finding.reason, finding.message))
                .collect(),
        }
    }

    /// What the check of that reason answered.
    ///
    /// # Panics
    /// When there is no such check.
    #[must_use]
    #[track_caller]
    pub fn check(&self, reason: &str) -> &CheckAnswer {
        let mut checks = self.component.checks.iter();
        checks.find(|check| check.reason == reason).expect("a check of the component")
    }

    /// Nothing is wrong with it, and nothing is left open.
    ///
    /// # Panics
    /// When that is not so.
    #[track_caller]
    pub fn is_well(&self) {
        assert_eq!(self.findings, []);
        for check in &self.component.checks {
            assert_eq!(check.outcome, "pass", "{}: {}", check.reason, check.detail);
        }
    }

    /// One thing is wrong with it, and its message says that.
    ///
    /// # Panics
    /// When that is not so.
    #[track_caller]
    pub fn is(&self, reason: &str, says: &str) {
        let [(found, message)] = self.findings.as_slice() else {
            panic!("not one finding, but {:?}", self.findings);
        };
        assert_eq!(found, reason, "{message}");
        assert!(message.contains(says), "{message}");
    }

    /// Nobody is accused, and the check is open for that reason.
    ///
    /// # Panics
    /// When that is not so.
    #[track_caller]
    pub fn is_unknown(&self, reason: &str, why: &str) {
        assert_eq!(self.findings, []);
        let check = self.check(reason);
        assert_eq!(check.outcome, "unknown", "{reason}");
        assert!(check.detail.contains(why), "{}", check.detail);
    }
}
