//! Does a managed node take its time from where the provider's image says: the hardware
//! clock of the host that it runs on, and nothing else. Facts: the chrony.conf that AKS's
//! images ship; Azure's page on time in Linux machines.

use jiff::Timestamp;

use super::{
    CHRONY, Keeping, asked, foreign_lines, names_no_clock, of_a_provider, running, time_sync,
    tracked, turn, verdict_or,
};
use crate::check::{Evidence, Scope, Verdict, by_hand};
use crate::facts::{PhcTarget, SourceMode, SourceState, TimeSource, TimeSync};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

/// What the driver of Hyper-V calls the clock of the host.
const HOSTS_CLOCK: &str = "hyperv";

const EXPECTED: &str = "refclock PHC alone";

/// What the customer changed the customer undoes.
fn customers(scope: &Scope, change: String) -> Turn {
    let action = by_hand(scope, Action::Revert { change });
    Turn { responsible: Responsible::Customer, action, valid_until: None }
}

/// Whether chrony is told to follow something else than a hardware clock.
fn is_told_otherwise(time: &TimeSync) -> bool {
    foreign_lines(time).next().is_some() || names_no_clock(time)
}

pub(super) fn changed(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "configures its time sources"));
    let (time, since) = verdict_or!(time_sync(history));
    let Some(chrony) = &time.chrony else {
        return Verdict::not_applicable("no chrony, see TimeDaemonDown and TimeSourceNotHost");
    };
    let mut evidence: Vec<Evidence> = foreign_lines(time)
        .map(|source| {
            let place = format!("{}:{}", source.file, source.line);
            Evidence::new(place, &source.text, EXPECTED)
        })
        .collect();
    if names_no_clock(time) {
        evidence.push(Evidence::new(&chrony.files[0], "no refclock PHC", EXPECTED));
    }
    let Some(first) = evidence.first() else {
        let files = match chrony.files.is_empty() {
            true => "no file".to_owned(),
            false => chrony.files.join(", "),
        };
        return Verdict::pass(vec![Evidence::new(files, "no other source", EXPECTED)]);
    };
    let message = format!("chrony is told otherwise than by the image: {}", first.actual);
    let turn = customers(scope, first.source.clone());
    Verdict::fail(message, since, turn, evidence)
}

fn keeps_without_chrony(time: &TimeSync) -> bool {
    let mut keepers = running(time, Keeping::Steers).peekable();
    keepers.peek().is_some() && keepers.all(|daemon| daemon.name != CHRONY)
}

fn selected(time: &TimeSync) -> Option<&TimeSource> {
    let sources = &time.tracked()?.sources;
    sources.iter().find(|source| source.state == SourceState::Selected)
}

fn follows_the_network(time: &TimeSync) -> bool {
    selected(time).is_some_and(|source| source.mode != SourceMode::ReferenceClock)
}

pub(super) fn not_host(history: &NodeHistory, scope: &Scope, _: &Policy, _: Timestamp) -> Verdict {
    verdict_or!(of_a_provider(scope, "configures its time sources"));
    let (time, since) = verdict_or!(time_sync(history));
    verdict_or!(super::kept(time));
    if keeps_without_chrony(time) {
        let keepers: Vec<&str> =
            running(time, Keeping::Steers).map(|daemon| daemon.name.as_str()).collect();
        let keepers = keepers.join(", ");
        let evidence = vec![Evidence::new("/proc", &keepers, CHRONY)];
        let message = format!("{keepers} keeps the clock, not chrony by the host's");
        return Verdict::fail(message, since, customers(scope, keepers), evidence);
    }
    if is_told_otherwise(time) {
        return Verdict::not_applicable("told to follow others, see TimeConfigChanged");
    }
    verdict_or!(tracked(time));
    let Some(selected) = selected(time) else {
        let why = "no source is selected, see TimeSourceUnreachable and ClockUnsynchronised";
        return Verdict::not_applicable(why);
    };
    let evidence =
        vec![Evidence::new(asked(time, "sources"), selected.to_string(), "a reference clock")];
    if !follows_the_network(time) {
        return Verdict::pass(evidence);
    }
    // No file names it, so that somebody has told the running daemon.
    let message = format!("the clock follows {}, not the host", selected.name);
    let turn = customers(scope, selected.name.clone());
    Verdict::fail(message, since, turn, evidence)
}

/// What is wrong with the hardware clocks that chrony is told to follow, what could not be
/// told, and what all of them are.
#[derive(Default)]
struct Told {
    wrong: Option<String>,
    unread: Option<String>,
    evidence: Vec<Evidence>,
}

fn told(time: &TimeSync) -> Told {
    let mut told = Told::default();
    let configured = time.chrony.iter().flat_map(|chrony| &chrony.configured);
    for phc in configured.filter_map(|source| source.phc.as_ref()) {
        let says = match &phc.target {
            PhcTarget::Clock(name) => clock_name(time, name),
            PhcTarget::Missing => "not there".to_owned(),
            PhcTarget::Unread(why) => {
                told.unread = Some(format!("{}: {why}", phc.path));
                why.clone()
            }
        };
        if says != HOSTS_CLOCK && !matches!(phc.target, PhcTarget::Unread(_)) {
            told.wrong = told.wrong.or_else(|| Some(format!("{} is {says}", phc.path)));
        }
        told.evidence.push(Evidence::new(&phc.path, says, HOSTS_CLOCK));
    }
    told
}

pub(super) fn not_hosts_clock(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    _: Timestamp,
) -> Verdict {
    verdict_or!(of_a_provider(scope, "gives it a hardware clock"));
    let (time, since) = verdict_or!(time_sync(history));
    let Told { wrong, unread, evidence } = told(time);
    match (wrong, unread) {
        (Some(wrong), _) => {
            let change = "it to /dev/ptp_hyperv".to_owned();
            let turn = turn(time, scope, policy, Action::Revert { change });
            Verdict::fail(format!("{wrong}, not the host's clock"), since, turn, evidence)
        }
        (None, Some(unread)) => Verdict::unknown(unread, evidence),
        (None, None) if evidence.is_empty() => {
            Verdict::not_applicable("no configuration names a hardware clock")
        }
        (None, None) => Verdict::pass(evidence),
    }
}

/// What the driver calls the clock of that name.
fn clock_name(time: &TimeSync, name: &str) -> String {
    time.ptp_clocks
        .iter()
        .find(|clock| clock.name == name)
        .map_or_else(|| format!("unknown clock {name}"), |clock| clock.clock_name.clone())
}
