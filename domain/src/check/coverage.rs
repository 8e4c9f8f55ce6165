//! What is asked of a node, by the provider's support policy and by those who run nodes,
//! and which check answers it, or why none does. The page `not-checked.md` is made from
//! it. Sources: the pages that the policy editions name, and the condition lists of
//! node-problem-detector and other agents that look at nodes.

mod cluster;
mod components;
mod fixes;
mod host;

/// A question that somebody asks of a node or a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// Its id: component or subject, and what is asked of it.
    pub id: &'static str,
    /// The policy's rule behind it; empty where no edition has one.
    pub rule: &'static str,
    /// What is asked.
    pub asks: &'static str,
    /// Who answers it.
    pub told: Told,
}

/// Who answers a question.
#[derive(Debug, Clone, Copy)]
pub enum Told {
    /// These checks, by reason.
    By(&'static [&'static str]),
    /// These checks answer a part; the rest is lacking for that cause.
    InPart(&'static [&'static str], Lack, &'static str),
    /// No check, for that cause.
    Not(Lack, &'static str),
}

impl Told {
    /// The checks that answer it, in full or in part.
    #[must_use]
    pub const fn reasons(self) -> &'static [&'static str] {
        match self {
            Self::By(reasons) | Self::InPart(reasons, ..) => reasons,
            Self::Not(..) => &[],
        }
    }

    /// Why it is not answered in full.
    #[must_use]
    pub const fn lack(self) -> Option<(Lack, &'static str)> {
        match self {
            Self::By(_) => None,
            Self::InPart(_, lack, why) | Self::Not(lack, why) => Some((lack, why)),
        }
    }
}

/// Why a question is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// The facts are there, and no check judges them yet.
    NoCheck,
    /// A node could tell it, and no collector reads it yet.
    NotRead,
    /// It is told with the missing fixes, each of which has an answer of its own.
    Fixes,
    /// It needs to be known which images there are, and which are offered.
    Images,
    /// It needs the cluster's API server.
    Cluster,
    /// The provider alone knows it.
    Provider,
    /// What a node shows does not decide it.
    Undecided,
    /// It is told elsewhere than by a check.
    NoVerdict,
}

impl Lack {
    /// All of them, in the order of the page.
    pub const ALL: [Self; 8] = [
        Self::NoCheck,
        Self::NotRead,
        Self::Fixes,
        Self::Images,
        Self::Cluster,
        Self::Provider,
        Self::Undecided,
        Self::NoVerdict,
    ];

    /// What is lacking, as a heading.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::NoCheck => "No check judges it yet",
            Self::NotRead => "Nothing reads it yet",
            Self::Fixes => "It is told with the missing fixes",
            Self::Images => "It needs to know of node images",
            Self::Cluster => "It needs the API server",
            Self::Provider => "Only the provider knows it",
            Self::Undecided => "A node does not decide it",
            Self::NoVerdict => "It is told without a verdict",
        }
    }

    /// The same in a sentence or two.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::NoCheck => "The facts are collected.",
            Self::NotRead => "A node could tell these. No collector looks at the places yet.",
            Self::Fixes => {
                "No check answers these: every missing fix has a row of its own with its age, who \
                 must act and by which step, in `nodeward node` and `nodeward patch-age`."
            }
            Self::Images => {
                "The image's name and day are collected. Which images exist, what they contain and \
                 which of them a region is offered comes with a later part."
            }
            Self::Cluster => {
                "The agent has no access to the API server, and the aggregator does not ask it yet."
            }
            Self::Provider => {
                "Neither a node nor the API server shows these. An operator could supply them."
            }
            Self::Undecided => {
                "A node shows traces at the most, and an accusation that rests on them would be a \
                 guess."
            }
            Self::NoVerdict => "These are facts that every answer shows, and nothing to be done.",
        }
    }
}

/// Every question, by id.
#[must_use]
pub fn questions() -> Vec<&'static Question> {
    let mut all: Vec<&Question> =
        [components::QUESTIONS, host::QUESTIONS, fixes::QUESTIONS, cluster::QUESTIONS]
            .into_iter()
            .flatten()
            .collect();
    all.sort_by_key(|question| question.id);
    all
}

/// Checks that answer no question of these: what was seen to go wrong besides. By reason.
pub const BEYOND: &[(&str, &str)] = &[
    (
        "AgentCertificateExpiring",
        "The agent's own certificate, after whose end nobody hears of the node.",
    ),
    ("CniBridgeMode", "A mode of Azure CNI with known faults, told by the route table."),
    ("CpuMitigationsOff", "Protections that were switched off when the kernel was started."),
    ("FeedStale", "Advisories that have grown too old to say that nothing is missing."),
    ("KernelDefaultsUnprotected", "A setting of AKS's kubelet that hides drift of parameters."),
    ("SeveralKubelets", "Two kubelets on one node undo each other's work."),
    (
        "TimeDaemonHung",
        "A chronyd that runs and does not answer, told apart from one that is gone.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::check::registry;
    use crate::policy::{Policy, Seen};

    #[test]
    fn every_check_answers_a_question_or_stands_beyond_them() {
        let answering: BTreeSet<&str> =
            questions().iter().flat_map(|one| one.told.reasons()).copied().collect();
        let beyond: BTreeSet<&str> = BEYOND.iter().map(|(reason, _)| *reason).collect();
        let checks: BTreeSet<&str> = registry().map(|check| check.reason).collect();
        let named: BTreeSet<&str> = answering.union(&beyond).copied().collect();
        assert_eq!(named, checks);
        let both: Vec<&&str> = answering.intersection(&beyond).collect();
        assert_eq!(both, Vec::<&&str>::new());
    }

    #[test]
    fn ids_are_unique_and_rules_are_those_of_the_editions() {
        let ids: Vec<&str> = questions().iter().map(|one| one.id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "one stands twice: {ids:?}");
        let named: BTreeSet<&str> =
            questions().iter().map(|one| one.rule).filter(|rule| !rule.is_empty()).collect();
        let shipped: BTreeSet<&str> = Policy::shipped().iter().flat_map(Policy::rule_ids).collect();
        assert_eq!(named.difference(&shipped).collect::<Vec<_>>(), Vec::<&&str>::new());
        // What a node shows is asked; of the rest the edition says who would tell.
        let shown = Policy::shipped().iter().flat_map(Policy::rules);
        let shown: BTreeSet<&str> =
            shown.filter(|(_, rule)| rule.seen == Seen::Node).map(|(id, _)| id).collect();
        assert_eq!(shown.difference(&named).collect::<Vec<_>>(), Vec::<&&str>::new());
        assert!(BEYOND.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn questions_of_a_rule_and_checks_that_cite_it_belong_together() {
        let cited = |reason: &str| {
            let check = registry().find(|check| check.reason == reason).expect("a check");
            check.policy.rule()
        };
        for question in questions().into_iter().filter(|one| !one.rule.is_empty()) {
            let reasons = question.told.reasons();
            let cites = reasons.iter().any(|reason| cited(reason) == Some(question.rule));
            assert!(reasons.is_empty() || cites, "{}: no check cites its rule", question.id);
        }
        let mut apart = Vec::new();
        for check in registry() {
            let is_beyond = BEYOND.iter().any(|(reason, _)| *reason == check.reason);
            let Some(rule) = check.policy.rule().filter(|_| !is_beyond) else { continue };
            let asked = questions().into_iter().any(|question| {
                question.rule == rule && question.told.reasons().contains(&check.reason)
            });
            if !asked {
                apart.push(format!("{}: {rule}", check.reason));
            }
        }
        assert!(apart.is_empty(), "no question of their rule is theirs: {apart:#?}");
    }
}
