//! The kernel parameters of one node, a row each: what each is, what the host's files and the
//! support policy say it should be, and whose turn it is where it is not. Made from the facts
//! that the checks of `sysctl` judge, by the same rules.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Finding, NodeAnswer, Standing};
use crate::check::{is_command, is_made_of, is_set_by_others};
use crate::facts::{LiveValue, Setting};
use crate::node::NodeHistory;
use crate::observed::State;
use crate::platform::Platform;
use crate::policy::{Policy, Standing as RuleStanding};
use crate::responsibility::{Action, Responsible};

/// The checks whose questions are answered here parameter by parameter.
const DRIFTED: &str = "SysctlDrifted";
const OUT_OF_RANGE: &str = "SysctlOutOfRange";

/// The rule from which the ranges come.
const RULE: &str = "custom-node-configuration";

/// The kernel parameters of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlAnswer {
    /// The node's cluster.
    pub cluster: String,
    /// The node's name.
    pub node: String,
    /// Which kind of machine it is.
    pub platform: Platform,
    /// The policy edition that was used.
    pub policy_edition: String,
    /// The provider's name in that edition, for screens.
    pub provider: String,
    /// The instant for which this answer was made.
    pub as_of: Timestamp,
    /// When the node last reported, by the reader's clock; none without a report.
    pub last_report_at: Option<Timestamp>,
    /// When the parameters were last observed.
    pub observed_at: Option<Timestamp>,
    /// Whether nothing is missing from the answer: if not, see `incomplete`.
    pub complete: bool,
    /// What is missing, a line each.
    pub incomplete: Vec<String>,
    /// Why no range holds; none where ranges do.
    pub no_ranges: Option<String>,
    /// Those that are not as they should be first, then those that could not be told, then
    /// the others; by key.
    pub parameters: Vec<SysctlRow>,
    /// Lines of files that say nothing of any parameter, and so nobody sets.
    pub passed_over: Vec<String>,
}

/// One kernel parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SysctlRow {
    /// Such as `net.core.somaxconn`.
    pub key: String,
    /// What it is; none where it is not there or could not be read.
    pub live: Option<String>,
    /// What the host's files say; none where none of them names it.
    pub expected: Option<String>,
    /// The file that says so.
    pub file: Option<String>,
    /// Between which values it is supported; none where nothing limits it.
    pub range: Option<String>,
    /// Where the range was read.
    pub range_source: Option<String>,
    /// How it stands.
    pub verdict: SysctlVerdict,
    /// Why, in one line; empty where it is as it should be.
    pub detail: String,
    /// The checks that fail by it.
    pub reasons: Vec<String>,
    /// Who must act; none where nobody must.
    pub responsible: Option<Responsible>,
    /// What to do.
    pub action: Option<Action>,
}

/// How a kernel parameter stands, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SysctlVerdict {
    /// Not what its file says, or outside of its range.
    Fail,
    /// It could not be told.
    Unknown,
    /// As it should be.
    Pass,
    /// Nothing is asked of it here.
    NotApplicable,
}

impl SysctlVerdict {
    /// The word of the verdict.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Pass => "pass",
            Self::NotApplicable => "not_applicable",
        }
    }
}

impl SysctlAnswer {
    /// The parameters of a node of which `answer` has been made from that history.
    #[must_use]
    pub fn of(answer: &NodeAnswer, history: &NodeHistory, policy: &Policy) -> Self {
        let no_ranges = no_ranges(answer.platform, policy);
        let ranges = if no_ranges.is_none() { &*policy.sysctl_ranges } else { &[] };
        let run = history.sysctl.newest();
        let mut parameters = Vec::new();
        let mut passed_over = Vec::new();
        let mut incomplete: Vec<String> = Vec::new();
        match run.map(|run| &run.last.state) {
            None => incomplete.push("sysctl: not reported yet".to_owned()),
            Some(State::Unavailable(why)) => {
                incomplete.push(format!("sysctl: could not be read: {why}"));
            }
            Some(State::Absent | State::NotApplicable(_)) => {}
            Some(State::Present(sysctl)) => {
                parameters = sysctl
                    .settings
                    .iter()
                    .map(|setting| {
                        let range = ranges.iter().find(|range| range.key == setting.key);
                        row(setting, range, &answer.findings)
                    })
                    .collect();
                passed_over = sysctl
                    .passed_over
                    .iter()
                    .map(|file| {
                        let more = match file.lines {
                            0 | 1 => String::new(),
                            lines => format!("; {} more", lines - 1),
                        };
                        format!("{}: line {}: {}{more}", file.file, file.first_line, file.why)
                    })
                    .collect();
            }
        }
        parameters.sort_by(|a, b| match a.verdict.cmp(&b.verdict) {
            Ordering::Equal => a.key.cmp(&b.key),
            unequal => unequal,
        });
        let unknown = parameters.iter().filter(|row| row.verdict == SysctlVerdict::Unknown).count();
        if unknown > 0 {
            let all = parameters.len();
            incomplete.push(format!("sysctl: {unknown} of {all} parameters could not be told"));
        }
        // What makes the node's whole answer old makes this one old.
        let stale = answer.incomplete.iter().filter(|line| line.ends_with(": stale"));
        incomplete.extend(stale.cloned());
        if answer.platform == Platform::Unknown {
            incomplete.push("the node's platform is not known: no range can be held".to_owned());
        }
        Self {
            cluster: answer.cluster.clone(),
            node: answer.node.clone(),
            platform: answer.platform,
            policy_edition: answer.policy_edition.clone(),
            provider: answer.provider.clone(),
            as_of: answer.as_of,
            last_report_at: answer.last_report_at,
            observed_at: run.map(|run| run.last.observed_at),
            complete: incomplete.is_empty(),
            incomplete,
            no_ranges,
            parameters,
            passed_over,
        }
    }

    /// How many parameters stand so.
    #[must_use]
    pub fn count(&self, verdict: SysctlVerdict) -> usize {
        self.parameters.iter().filter(|row| row.verdict == verdict).count()
    }

    /// Findings, incomplete or clean: a known finding beats incompleteness.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.count(SysctlVerdict::Fail) > 0 {
            Standing::Findings
        } else if self.complete {
            Standing::Clean
        } else {
            Standing::Incomplete
        }
    }

    /// Who acts first, as screens say it; a dash when nobody needs to.
    #[must_use]
    pub fn acts_first(&self) -> String {
        let first = self.parameters.iter().find_map(|row| row.responsible.as_ref());
        first.map_or_else(|| "-".to_owned(), |who| who.word(&self.provider))
    }
}

/// Why no range holds for a node of that platform.
fn no_ranges(platform: Platform, policy: &Policy) -> Option<String> {
    match platform {
        Platform::Aks => match policy.rule(RULE) {
            RuleStanding::InForce(_) => None,
            RuleStanding::Lacking { first_edition } => Some(format!(
                "edition {} has no rule {RULE}; first edition with it: {}",
                policy.edition,
                first_edition.unwrap_or("none")
            )),
        },
        Platform::Kubernetes | Platform::Plain => {
            Some(format!("{}: no provider limits its parameters", platform.name()))
        }
        Platform::Unknown => Some("the node's platform is not known".to_owned()),
    }
}

fn row(
    setting: &Setting,
    range: Option<&crate::policy::SysctlRange>,
    findings: &[Finding],
) -> SysctlRow {
    let expected = setting.expected.as_ref();
    let is_left_alone = is_set_by_others(&setting.key) || is_command(&setting.key);
    let mut reasons = Vec::new();
    let mut told = Vec::new();
    let (live, verdict) = match &setting.live {
        LiveValue::Value(live) => {
            if let Some(expected) = expected.filter(|_| !is_left_alone)
                && !is_made_of(&setting.key, &expected.value, live)
            {
                reasons.push(DRIFTED);
                told.push("not what its file says".to_owned());
            }
            if let Some(range) = range.filter(|range| !range.allows(live)) {
                reasons.push(OUT_OF_RANGE);
                told.push(format!("outside of {range}"));
            }
            let verdict = match (reasons.is_empty(), expected, range) {
                (false, ..) => SysctlVerdict::Fail,
                (true, None, None) => SysctlVerdict::NotApplicable,
                (true, Some(_), None) if is_left_alone => SysctlVerdict::NotApplicable,
                (true, ..) => SysctlVerdict::Pass,
            };
            (Some(live.clone()), verdict)
        }
        LiveValue::Missing => {
            told.push("the running kernel has no such parameter".to_owned());
            (None, SysctlVerdict::NotApplicable)
        }
        LiveValue::Unreadable(why) => {
            told.push(format!("could not be read: {why}"));
            (None, SysctlVerdict::Unknown)
        }
    };
    if verdict == SysctlVerdict::NotApplicable && told.is_empty() {
        told.push(match expected {
            Some(_) if is_command(&setting.key) => "stands for something to be done".to_owned(),
            Some(_) => "set by kube-proxy or the network plugin after the files".to_owned(),
            None => "no file and no range of this edition speaks of it".to_owned(),
        });
    }
    // Whose turn it is the check has decided.
    let finding = reasons
        .iter()
        .find_map(|reason| findings.iter().find(|finding| finding.reason == **reason));
    SysctlRow {
        key: setting.key.clone(),
        live,
        expected: expected.map(|expected| expected.value.clone()),
        file: expected.map(|expected| expected.file.clone()),
        range: range.map(ToString::to_string),
        range_source: range.map(|range| range.source.clone()),
        verdict,
        detail: told.join("; "),
        reasons: reasons.into_iter().map(str::to_owned).collect(),
        responsible: finding.map(|finding| finding.responsible.clone()),
        action: finding.map(|finding| finding.action.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::answer::About;
    use crate::check::Outside;
    use crate::facts::{ComponentState, ExpectedValue, Fips, OsRelease, Sysctl, UbuntuPro};
    use crate::policy::DEFAULT_EDITION;

    fn now() -> Timestamp {
        Timestamp::from_second(1_790_000_000).expect("a time of our days")
    }

    fn setting(key: &str, live: LiveValue, expected: Option<&str>) -> Setting {
        let file = "/etc/sysctl.d/60-a.conf".to_owned();
        let expected =
            expected.map(|value| ExpectedValue { value: value.to_owned(), file: file.clone() });
        Setting { key: key.to_owned(), live, expected }
    }

    fn value(text: &str) -> LiveValue {
        LiveValue::Value(text.to_owned())
    }

    fn told(settings: Vec<Setting>, edition: &str) -> SysctlAnswer {
        let mut history = NodeHistory::default();
        let os = OsRelease { provider_marks: vec!["/opt/azure".to_owned()], ..os() };
        for state in [
            ComponentState::OsRelease(State::Present(Arc::new(os))),
            ComponentState::Sysctl(State::Present(Arc::new(Sysctl {
                settings,
                passed_over: Vec::new(),
            }))),
        ] {
            history.observe(state, now(), Duration::ZERO);
        }
        let policy = Policy::edition(edition).expect("a shipped edition");
        let about = About { cluster: "c", node: "n", last_report_at: Some(now()), agent: None };
        let (answer, _) = NodeAnswer::of(about, &history, Outside::default(), &policy, now());
        SysctlAnswer::of(&answer, &history, &policy)
    }

    fn os() -> OsRelease {
        OsRelease {
            path: "/etc/os-release".to_owned(),
            id: "ubuntu".to_owned(),
            version_id: "22.04".to_owned(),
            version_codename: String::new(),
            pretty_name: String::new(),
            variant_id: String::new(),
            architecture: "x86_64".to_owned(),
            provider_marks: Vec::new(),
            fips: Fips::Off,
            ubuntu_pro: UbuntuPro::NotThere,
        }
    }

    fn settings() -> Vec<Setting> {
        vec![
            setting("net.core.somaxconn", value("16384"), Some("16384")),
            setting("vm.swappiness", value("60"), Some("10")),
            setting("fs.aio-max-nr", value("1"), None),
            setting("vm.max_map_count", LiveValue::Unreadable("no right".to_owned()), Some("1")),
            setting("net.bridge.x", LiveValue::Missing, Some("1")),
            setting("net.netfilter.nf_conntrack_max", value("131072"), Some("9")),
        ]
    }

    #[test]
    fn each_parameter_stands_as_its_check_judges_it() {
        let answer = told(settings(), DEFAULT_EDITION);
        let rows: Vec<(&str, SysctlVerdict)> =
            answer.parameters.iter().map(|row| (row.key.as_str(), row.verdict)).collect();
        assert_eq!(
            rows,
            [
                ("fs.aio-max-nr", SysctlVerdict::Fail),
                ("vm.swappiness", SysctlVerdict::Fail),
                ("vm.max_map_count", SysctlVerdict::Unknown),
                ("net.core.somaxconn", SysctlVerdict::Pass),
                // What its file says it is not, and nobody holds that against it.
                ("net.netfilter.nf_conntrack_max", SysctlVerdict::Pass),
                ("net.bridge.x", SysctlVerdict::NotApplicable),
            ]
        );
        assert_eq!(answer.parameters[0].responsible, Some(Responsible::Customer));
        assert_eq!(answer.parameters[0].reasons, [OUT_OF_RANGE]);
        assert_eq!(answer.parameters[1].reasons, [DRIFTED]);
        assert_eq!(answer.standing(), Standing::Findings);
        assert!(!answer.complete);
    }

    #[test]
    fn an_edition_without_ranges_says_so_and_fails_nothing_by_them() {
        let answer = told(settings(), "aks-2020");
        let why = answer.no_ranges.as_deref().expect("no range holds");
        assert!(why.contains("first edition with it: aks-2026"), "{why}");
        assert_eq!(answer.count(SysctlVerdict::Fail), 1);
    }

    #[test]
    fn parameters_that_nobody_reported_are_no_clean_ones() {
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        let history = NodeHistory::default();
        let about = About { cluster: "c", node: "n", last_report_at: Some(now()), agent: None };
        let (answer, _) = NodeAnswer::of(about, &history, Outside::default(), &policy, now());
        let answer = SysctlAnswer::of(&answer, &history, &policy);
        assert_eq!(answer.standing(), Standing::Incomplete);
    }
}
