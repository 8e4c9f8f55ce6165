//! Checks of `process_limits`: are there nearly as many tasks or open files as there may
//! be, and are there many processes that ended and that nobody waits for. The lines are
//! those of EKS's node monitoring agent: 70 % of a limit, and 20 zombies.

use jiff::Timestamp;

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, confirmed, facts, verdict_or,
};
use crate::component::Component;
use crate::facts::{Limit, ProcessLimits};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

const EKS: &str =
    "https://github.com/aws/eks-node-monitoring-agent/blob/main/pkg/reasons/reasons.yaml";

/// So much of a limit may be used.
const USED: f64 = 0.7;

/// So many processes that ended are many.
const ZOMBIES: u64 = 20;

const LOADAVG: &str = "/proc/loadavg";
const PID_MAX: &str = "/proc/sys/kernel/pid_max";
const THREADS_MAX: &str = "/proc/sys/kernel/threads-max";
const FILE_NR: &str = "/proc/sys/fs/file-nr";

const fn check(
    reason: &'static str,
    severity: Severity,
    summary: &'static str,
    source: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::ProcessLimits,
        scope: Reach::Node,
        severity,
        responsible: "customer",
        summary,
        policy: PolicyLink::None,
        source,
        judge,
    }
}

pub(super) const CHECKS: &[Check] = &[
    check(
        "TasksNearLimit",
        Severity::Warning,
        "More than 70 % of the processes and threads that the kernel allows are there",
        EKS,
        tasks,
    ),
    check(
        "PodTasksNearLimit",
        Severity::Warning,
        "More than 70 % of the processes and threads that all pods together may have are there",
        "https://kubernetes.io/docs/concepts/policy/pid-limiting/",
        pod_tasks,
    ),
    check(
        "OpenFilesNearLimit",
        Severity::Warning,
        "More than 70 % of the files that may be open are open",
        EKS,
        open_files,
    ),
    check(
        "ZombiesPiledUp",
        Severity::Information,
        "Twenty processes or more have ended, and nobody waits for them",
        EKS,
        zombies,
    ),
];

fn limits(history: &NodeHistory) -> Result<(&ProcessLimits, Timestamp), Verdict> {
    facts(&history.process_limits, "no processes")
}

fn customer(look: &str) -> Turn {
    Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate { at: look.to_owned() },
        valid_until: None,
    }
}

/// How many there are of those that there may be.
struct Used<'a> {
    what: &'a str,
    /// Where the number stands, and where its limit.
    places: [&'a str; 2],
    count: Option<u64>,
    limit: &'a Limit,
}

impl Used<'_> {
    /// Whether it is too many, with evidence; or why that is not known.
    fn judged(&self) -> Result<(bool, Evidence), String> {
        let [place, limit_place] = self.places;
        let count = self.count.ok_or_else(|| format!("{place} was not measured"))?;
        match self.limit {
            Limit::Unreadable(why) => Err(format!("{limit_place}: {why}")),
            Limit::None => {
                let actual = format!("{count} {}, no limit", self.what);
                Ok((false, Evidence::new(place, actual, "")))
            }
            Limit::At(limit) => {
                let ratio = count as f64 / (*limit).max(1) as f64;
                let actual = format!(
                    "{count} {}, {:.1} % of {limit} ({limit_place})",
                    self.what,
                    ratio * 100.0
                );
                Ok((ratio > USED, Evidence::new(place, actual, "at most 70 %")))
            }
        }
    }
}

/// One verdict over several limits: that one is near counts although another is not known.
fn nearest(all: &[Used], scope: &Scope, look: &str) -> Verdict {
    let (mut evidence, mut near, mut unknown) = (Vec::new(), None, None);
    for used in all {
        match used.judged() {
            Ok((is_near, told)) => {
                if is_near {
                    near.get_or_insert_with(|| told.actual.clone());
                }
                evidence.push(told);
            }
            Err(why) => unknown = unknown.or(Some(why)),
        }
    }
    match (near, unknown) {
        (Some(message), _) => {
            let since = verdict_or!(confirmed(scope.standing, &evidence));
            Verdict::fail(message, since, customer(look), evidence)
        }
        (None, Some(why)) => Verdict::unknown(why, evidence),
        (None, None) => Verdict::pass(evidence),
    }
}

fn tasks(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (limits, _) = verdict_or!(limits(history));
    let count = history.measured.newest().tasks;
    let used = |limit, place| Used { what: "tasks", places: [LOADAVG, place], count, limit };
    let all = [used(&limits.pid_max, PID_MAX), used(&limits.threads_max, THREADS_MAX)];
    nearest(&all, scope, "what has so many (ps -eLf), and podPidsLimit of the kubelet")
}

fn pod_tasks(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (limits, _) = verdict_or!(limits(history));
    let Some(pods) = &limits.pods else {
        return Verdict::not_applicable("there is no control group of pods");
    };
    if pods.max == Limit::None {
        return Verdict::not_applicable(format!("{}/pids.max sets no limit", pods.path));
    }
    let (current, max) = (format!("{}/pids.current", pods.path), format!("{}/pids.max", pods.path));
    let used = Used {
        what: "tasks of pods",
        places: [&current, &max],
        count: history.measured.newest().pods_tasks,
        limit: &pods.max,
    };
    nearest(&[used], scope, "which pod has so many (ps -eLf), and podPidsLimit of the kubelet")
}

fn open_files(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (limits, _) = verdict_or!(limits(history));
    let used = Used {
        what: "open files",
        places: [FILE_NR, "fs.file-max"],
        count: history.measured.newest().open_files,
        limit: &Limit::At(limits.open_files_max),
    };
    nearest(&[used], scope, "what has so many (lsof), and fs.file-max")
}

fn zombies(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    let (limits, _) = verdict_or!(limits(history));
    let Some(count) = history.measured.newest().zombies else {
        let why = limits.unseen.as_deref().unwrap_or("was not measured");
        return Verdict::unknown(format!("zombies: {why}"), Vec::new());
    };
    let expected = format!("fewer than {ZOMBIES}");
    let evidence = vec![Evidence::new("/proc", format!("{count} zombies"), expected)];
    if count < ZOMBIES {
        return match &limits.unseen {
            Some(why) => Verdict::unknown(format!("not all processes were seen: {why}"), evidence),
            None => Verdict::pass(evidence),
        };
    }
    let since = verdict_or!(confirmed(scope.standing, &evidence));
    let parents = match limits.zombie_parents.as_slice() {
        [] => String::new(),
        names => format!(", most of them children of {}", names.join(", ")),
    };
    let message = format!("{count} processes have ended and nobody waits for them{parents}");
    let look = "the parents: a container's first process must wait for its children";
    Verdict::fail(message, since, customer(look), evidence)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::check::{Outcome, find};
    use crate::facts::{ComponentState, PodsLimit};
    use crate::measured::Measurements;
    use crate::node::Holding;
    use crate::observed::State;
    use crate::platform::Platform;
    use crate::policy::DEFAULT_EDITION;

    fn facts() -> ProcessLimits {
        ProcessLimits {
            pid_max: Limit::At(1000),
            threads_max: Limit::At(500),
            open_files_max: 100,
            pods: Some(PodsLimit { path: "/g".to_owned(), max: Limit::At(200) }),
            zombie_parents: vec!["sh".to_owned()],
            unseen: None,
        }
    }

    fn judged(reason: &str, facts: ProcessLimits, measured: Measurements) -> Outcome {
        let mut history = NodeHistory::default();
        let state = ComponentState::ProcessLimits(State::Present(Arc::new(facts)));
        history.observe(state, Timestamp::UNIX_EPOCH, Duration::ZERO);
        history.measured.observe(measured, Timestamp::UNIX_EPOCH);
        let policy = Policy::edition(DEFAULT_EDITION).expect("a shipped edition");
        let standing = Holding { observations: 3, since: Some(Timestamp::UNIX_EPOCH) };
        let scope = Scope { outside: Default::default(), platform: Platform::Plain, standing };
        let check = find(reason).expect("a check");
        (check.judge)(&history, &scope, &policy, Timestamp::UNIX_EPOCH).outcome
    }

    #[test]
    fn the_nearest_limit_counts() {
        let tasks = |tasks| Measurements { tasks: Some(tasks), ..Measurements::default() };
        assert_eq!(judged("TasksNearLimit", facts(), tasks(350)), Outcome::Pass);
        let Outcome::Fail { message, .. } = judged("TasksNearLimit", facts(), tasks(351)) else {
            panic!("351 of 500")
        };
        assert_eq!(message, "351 tasks, 70.2 % of 500 (/proc/sys/kernel/threads-max)");
        // One limit is not known, and the other one is near or not.
        let unread =
            || ProcessLimits { pid_max: Limit::Unreadable("EACCES".to_owned()), ..facts() };
        assert_eq!(judged("TasksNearLimit", unread(), tasks(351)).word(), "fail");
        assert_eq!(judged("TasksNearLimit", unread(), tasks(1)).word(), "unknown");
        assert_eq!(judged("TasksNearLimit", facts(), Measurements::default()).word(), "unknown");
    }

    #[test]
    fn pods_and_open_files_have_limits_of_their_own() {
        let measured =
            Measurements { pods_tasks: Some(150), open_files: Some(71), ..Measurements::default() };
        assert_eq!(judged("PodTasksNearLimit", facts(), measured).word(), "fail");
        assert_eq!(judged("OpenFilesNearLimit", facts(), measured).word(), "fail");
        let few =
            Measurements { pods_tasks: Some(140), open_files: Some(70), ..Measurements::default() };
        assert_eq!(judged("PodTasksNearLimit", facts(), few), Outcome::Pass);
        assert_eq!(judged("OpenFilesNearLimit", facts(), few), Outcome::Pass);
        for pods in [None, Some(PodsLimit { path: "/g".to_owned(), max: Limit::None })] {
            let facts = ProcessLimits { pods, ..facts() };
            assert_eq!(judged("PodTasksNearLimit", facts, measured).word(), "not_applicable");
        }
    }

    #[test]
    fn many_zombies_name_their_parents() {
        let zombies = |zombies| Measurements { zombies: Some(zombies), ..Measurements::default() };
        assert_eq!(judged("ZombiesPiledUp", facts(), zombies(19)), Outcome::Pass);
        let Outcome::Fail { message, .. } = judged("ZombiesPiledUp", facts(), zombies(20)) else {
            panic!("20 of 20")
        };
        assert!(message.ends_with("most of them children of sh"), "{message}");
        let unseen = || ProcessLimits { unseen: Some("EACCES".to_owned()), ..facts() };
        assert_eq!(judged("ZombiesPiledUp", unseen(), zombies(0)).word(), "unknown");
        assert_eq!(judged("ZombiesPiledUp", unseen(), zombies(20)).word(), "fail");
    }
}
