//! Starts of containerd: one that is started again and again, and one that should have
//! been started anew since its file was replaced.

use jiff::Timestamp;

use super::versions::{Packaged, packaged};
use super::{JOURNAL, owner, runtime, since, with_action};
use crate::check::{Evidence, Scope, Verdict, by_hand, confirmed, unit, verdict_or};
use crate::facts::Containerd;
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn, turn_for_broken_component};
use crate::restarts::{LOOP, WINDOW};

/// What systemd says of the unit; where it does not hold it, or cannot be asked, what is
/// seen of the process.
pub(super) fn restarting(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
) -> Verdict {
    let containerd = verdict_or!(runtime(history, scope));
    if containerd.unit.loaded().is_some() {
        return (unit::restarting::<Containerd>().judge)(history, scope, policy, now);
    }
    let Some(process) = &containerd.process else {
        return match owner(containerd) {
            Some(owner) => super::behind(owner),
            None => Verdict::unknown("neither its unit nor its process is seen", Vec::new()),
        };
    };
    let starts = &history.containerd_starts;
    let (count, minutes) = (starts.count(now), WINDOW.as_mins());
    let evidence = vec![Evidence::new(
        format!("/proc/{}/stat", process.pid),
        format!("{count} restarts seen"),
        format!("fewer than {LOOP} restarts in {minutes} minutes"),
    )];
    let Some(until) = starts.loops_until(now) else {
        return Verdict::pass(evidence);
    };
    let first = starts.since(now).unwrap_or(now);
    let since = scope.standing.since.unwrap_or(first);
    let turn = turn_for_broken_component(scope.platform, policy, since, now, "containerd.service");
    let message = format!("containerd was started anew {count} times in {minutes} minutes");
    let mut verdict = Verdict::fail(message, since, turn, evidence);
    verdict.valid_until = Some(verdict.valid_until.map_or(until, |other| other.min(until)));
    with_action(verdict, scope, || Action::Investigate { at: JOURNAL.to_owned() })
}

/// The file that the process was started from, and whether it is another one on disk by
/// now; none where the process or its file cannot be seen.
pub(super) fn file(containerd: &Containerd) -> Option<(&str, bool)> {
    let process = containerd.process.as_ref()?;
    (!process.executable.is_empty())
        .then_some((process.executable.as_str(), process.executable_replaced))
}

fn is_replaced(containerd: &Containerd) -> bool {
    file(containerd).is_some_and(|(_, replaced)| replaced)
}

pub(super) fn restart_pending(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    _: Timestamp,
) -> Verdict {
    let containerd = verdict_or!(runtime(history, scope));
    let Some((file, replaced)) = file(containerd) else {
        return by_version(history, scope, containerd);
    };
    let pid = containerd.process.as_ref().map(|process| process.pid).unwrap_or_default();
    let source = format!("/proc/{pid}/exe");
    if !replaced {
        return Verdict::pass(vec![Evidence::new(source, file, "still on disk")]);
    }
    let actual = format!("{file}, no longer what lies there");
    let evidence = vec![Evidence::new(source, actual, "still on disk")];
    let message = "containerd was replaced on disk and not restarted";
    Verdict::fail(message, since(history, is_replaced), restart(scope), evidence)
}

/// Without a look at the file: the version that answers, and that of the package.
fn by_version(history: &NodeHistory, scope: &Scope, containerd: &Containerd) -> Verdict {
    const WHY: &str = "the file of the running containerd could not be seen";
    if let Some(owner) = owner(containerd) {
        return super::behind(owner);
    }
    let compared = match packaged(history, containerd) {
        Ok(compared) => compared,
        Err(why) => return Verdict::unknown(format!("{WHY}; {why}"), Vec::new()),
    };
    let evidence = compared.evidence();
    match compared {
        // The very package: nothing newer is installed.
        Packaged { is_same_revision: true, .. } => Verdict::pass(evidence),
        Packaged { is_same_version: true, .. } => Verdict::unknown(
            format!("{WHY}; its version is the package's, its revision is not told"),
            evidence,
        ),
        _ => {
            let other = |seen: &Containerd| {
                packaged(history, seen).is_ok_and(|compared| !compared.is_same_version)
            };
            let since = verdict_or!(confirmed(
                scope.standing.or_longer(history.containerd.holding(other)),
                &evidence
            ));
            let message = "containerd was upgraded on disk and not restarted";
            Verdict::fail(message, since, restart(scope), evidence)
        }
    }
}

fn restart(scope: &Scope) -> Turn {
    let action = Action::RestartUnit { unit: "containerd.service".to_owned() };
    Turn { responsible: Responsible::Customer, action: by_hand(scope, action), valid_until: None }
}
