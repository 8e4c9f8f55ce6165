//! Checks of `reboot`: does somebody ask for one, and does the node still run what was
//! deleted. That a newer kernel is installed than runs is a check of `kernel`.

use jiff::{SignedDuration, Timestamp};

use super::{
    Check, Evidence, Outcome, PolicyLink, Reach, Scope, Severity, Verdict, facts, kernel,
    verdict_or,
};
use crate::component::Component;
use crate::facts::{OutdatedProcess, PackageManager, Sentinel};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::{Policy, Standing};
use crate::responsibility::{Action, Automation, Responsible, Turn};

pub(super) const CHECKS: &[Check] = &[
    Check {
        reason: "RebootRequired",
        component: Component::Reboot,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer; automation while kured runs",
        summary: "Packages that were changed are in force only after a reboot",
        policy: PolicyLink::Cites("os-patch-needs-customer"),
        source: "https://learn.microsoft.com/azure/aks/node-updates-kured",
        judge: required,
    },
    Check {
        reason: "ServicesNeedRestart",
        component: Component::Reboot,
        scope: Reach::Node,
        severity: Severity::Warning,
        responsible: "customer",
        summary: "Processes run programs or libraries that were replaced on disk",
        policy: PolicyLink::Cites("os-patch-needs-customer"),
        source: "https://manpages.debian.org/bookworm/needrestart/needrestart.1.en.html",
        judge: services,
    },
];

/// kured reboots within its windows, and most have one a week: after that it is taken to
/// be stuck.
const KURED_DAYS: i64 = 7;

/// So many are named in evidence; the rest is counted.
const NAMED: usize = 10;

/// What brings the node to run what is on its disk. Where an edition says that customers
/// reboot nodes, or no provider has a say, a reboot; else a newer image.
fn renewal(scope: &Scope, policy: &Policy) -> Action {
    match (scope.platform, policy.rule("reboot-by-customer")) {
        (Platform::Aks, Standing::Lacking { .. }) => Action::UpgradeImage { to: None },
        _ => Action::Reboot,
    }
}

fn required(history: &NodeHistory, scope: &Scope, policy: &Policy, now: Timestamp) -> Verdict {
    let (reboot, since) = verdict_or!(facts(&history.reboot, "nothing says what asks for it"));
    let evidence: Vec<Evidence> = reboot.sentinels.iter().map(evidence).collect();
    let kernel = kernel::older_than_installed(history, scope, policy, now);
    if evidence.is_empty() {
        let none = Evidence::new("/run", "no file asks for a reboot", "");
        return match history.packages.present() {
            Some(packages) if packages.manager == PackageManager::Rpm => {
                by_install_times(history, scope, policy, now, &kernel, none)
            }
            _ => Verdict::pass(vec![none]),
        };
    }
    if reboot.sentinels.iter().all(is_about_kernel)
        && matches!(kernel.outcome, Outcome::Fail { .. })
    {
        return Verdict::not_applicable("it is the kernel's, see KernelOlderThanInstalled");
    }
    let written_at = reboot.sentinels.iter().filter_map(|sentinel| sentinel.written_at).min();
    let since = written_at.unwrap_or(since);
    let customer = Turn {
        responsible: Responsible::Customer,
        action: renewal(scope, policy),
        valid_until: None,
    };
    let stuck_at =
        since.checked_add(SignedDuration::from_hours(24 * KURED_DAYS)).unwrap_or(Timestamp::MAX);
    let turn = match reboot.kured_runs && now < stuck_at {
        true => Turn {
            responsible: Responsible::Automation { by: Automation::Kured },
            action: Action::Wait { until: Some(stuck_at) },
            valid_until: Some(stuck_at),
        },
        false => customer,
    };
    Verdict::fail(message(&reboot.sentinels, written_at), since, turn, evidence)
}

/// rpm's systems leave no file that asks: there a reboot is due when what takes effect at
/// boot alone was installed after it, as `needs-restarting -r` of dnf has it.
fn by_install_times(
    history: &NodeHistory,
    scope: &Scope,
    policy: &Policy,
    now: Timestamp,
    kernel: &Verdict,
    none: Evidence,
) -> Verdict {
    const WHAT: &str = "packages that take effect at boot";
    let installed_at = history.measured.newest().boot_packages_installed_at_seconds;
    let installed_at = installed_at
        .and_then(|seconds| i64::try_from(seconds).ok())
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        // The clock was set back since.
        .filter(|at| *at <= now);
    let Some(installed_at) = installed_at else {
        return Verdict::unknown(format!("when {WHAT} were installed is not known"), vec![none]);
    };
    let booted_at = history.kernel.present().and_then(|kernel| kernel.booted_at);
    let Some(booted_at) = booted_at else {
        return Verdict::unknown("when the node booted is not known", vec![none]);
    };
    let says = format!("the newest of the {WHAT} was installed at {installed_at:.0}");
    let newest = Evidence::new("rpm", says, format!("before the boot at {booted_at:.0}"));
    if installed_at <= booted_at {
        return Verdict::pass(vec![none, newest]);
    }
    if matches!(kernel.outcome, Outcome::Fail { .. }) {
        return Verdict::not_applicable("it is the kernel's, see KernelOlderThanInstalled");
    }
    let message = format!("{WHAT} were installed since the node booted, at {installed_at:.0}");
    let turn = Turn {
        responsible: Responsible::Customer,
        action: renewal(scope, policy),
        valid_until: None,
    };
    Verdict::fail(message, installed_at, turn, vec![newest])
}

fn evidence(sentinel: &Sentinel) -> Evidence {
    let packages = named(sentinel.packages.iter().map(String::as_str));
    let actual = match packages.is_empty() {
        true => "there".to_owned(),
        false => format!("there, for {packages}"),
    };
    Evidence::new(&sentinel.path, actual, "not there")
}

fn message(sentinels: &[Sentinel], written_at: Option<Timestamp>) -> String {
    let packages: usize = sentinels.iter().map(|sentinel| sentinel.packages.len()).sum();
    let by = match packages {
        0 => String::new(),
        1 => " by one package".to_owned(),
        count => format!(" by {count} packages"),
    };
    match written_at {
        Some(at) => format!("a reboot has been asked for{by} since {at:.0}"),
        None => format!("a reboot is asked for{by}"),
    }
}

/// Whether only the kernel's packages ask.
fn is_about_kernel(sentinel: &Sentinel) -> bool {
    !sentinel.packages.is_empty()
        && sentinel
            .packages
            .iter()
            .all(|package| package.starts_with("linux-image-") || package == "linux-base")
}

fn services(history: &NodeHistory, scope: &Scope, policy: &Policy, _: Timestamp) -> Verdict {
    let (reboot, since) = verdict_or!(facts(&history.reboot, "no process can be seen"));
    let outdated: Vec<&OutdatedProcess> =
        reboot.outdated.iter().filter(|process| !is_judged_elsewhere(process)).collect();
    if outdated.is_empty() {
        return match &reboot.unseen {
            Some(why) => {
                Verdict::unknown(format!("not all processes could be looked at: {why}"), Vec::new())
            }
            None => Verdict::pass(vec![Evidence::new("/proc", "all run what is on disk", "")]),
        };
    }
    let names = named(outdated.iter().map(|process| process.name.as_str()));
    let mut evidence: Vec<Evidence> = outdated
        .iter()
        .take(NAMED)
        .map(|process| {
            let files = process.files.join(" ");
            Evidence::new(&process.name, format!("runs a former {files}"), "what is on disk")
        })
        .collect();
    if outdated.len() > NAMED {
        let more = format!("and {} more", outdated.len() - NAMED);
        evidence.push(Evidence::new("/proc", more, ""));
    }
    let action = match scope.platform {
        Platform::Aks => renewal(scope, policy),
        Platform::Kubernetes | Platform::Plain | Platform::Unknown => {
            Action::Repair { what: format!("restart {names}, or reboot the node") }
        }
    };
    let turn = Turn { responsible: Responsible::Customer, action, valid_until: None };
    let message = match outdated.len() {
        1 => format!("{names} runs what was replaced on disk"),
        count => format!("{count} programs run what was replaced on disk"),
    };
    Verdict::fail(message, since, turn, evidence)
}

/// Components whose own check says that a restart is pending.
fn is_judged_elsewhere(process: &OutdatedProcess) -> bool {
    let is_own = |file: &String| file.rsplit('/').next() == Some(process.name.as_str());
    matches!(process.name.as_str(), "kubelet" | "containerd") && process.files.iter().all(is_own)
}

/// The first few names, and how many there are besides.
fn named<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = names.len().saturating_sub(NAMED);
    let shown = names[..names.len() - more].join(" ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::facts::{ComponentState, Reboot};
    use crate::measured::Measurements;
    use crate::observed::State;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + second).expect("a moment")
    }

    const HOUR: i64 = 3600;

    fn judged(edition: &str, platform: Platform, reboot: Reboot, check: &str) -> Verdict {
        let mut history = NodeHistory::default();
        let state = ComponentState::Reboot(State::Present(Arc::new(reboot)));
        history.observe(state, at(0), Duration::ZERO);
        let policy = Policy::edition(edition).expect("a shipped edition");
        let scope = Scope { outside: Default::default(), platform, standing: Default::default() };
        let check = CHECKS.iter().find(|one| one.reason == check).expect("a check");
        (check.judge)(&history, &scope, &policy, at(0))
    }

    fn nothing() -> Reboot {
        Reboot { sentinels: Vec::new(), kured_runs: false, outdated: Vec::new(), unseen: None }
    }

    fn asked(hours_ago: i64) -> Reboot {
        let sentinel = Sentinel {
            path: "/run/reboot-required".to_owned(),
            written_at: Some(at(-hours_ago * HOUR)),
            packages: vec!["dbus".to_owned(), "libc6".to_owned()],
        };
        Reboot { sentinels: vec![sentinel], ..nothing() }
    }

    fn turn(verdict: &Verdict) -> (&Responsible, &Action) {
        match &verdict.outcome {
            Outcome::Fail { responsible, action, .. } => (responsible, action),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_reboots_hangs_on_the_edition_and_on_kured() {
        let customer = &Responsible::Customer;
        for (edition, platform, action) in [
            ("aks-2026", Platform::Aks, Action::UpgradeImage { to: None }),
            ("aks-2020", Platform::Aks, Action::Reboot),
            ("aks-2026", Platform::Plain, Action::Reboot),
        ] {
            let verdict = judged(edition, platform, asked(2), "RebootRequired");
            assert_eq!(turn(&verdict), (customer, &action), "{edition} {platform:?}");
        }
        let by_kured = Reboot { kured_runs: true, ..asked(2) };
        let verdict = judged("aks-2026", Platform::Aks, by_kured, "RebootRequired");
        assert_eq!(*turn(&verdict).0, Responsible::Automation { by: Automation::Kured });
        assert_eq!(verdict.valid_until, Some(at((7 * 24 - 2) * HOUR)));
        let stuck = Reboot { kured_runs: true, ..asked(7 * 24) };
        let verdict = judged("aks-2026", Platform::Aks, stuck, "RebootRequired");
        assert_eq!(turn(&verdict).0, customer);
    }

    #[test]
    fn it_is_asked_for_since_the_file_was_written() {
        let verdict = judged("aks-2026", Platform::Plain, asked(30), "RebootRequired");
        let Outcome::Fail { since, message, .. } = verdict.outcome else { panic!("passes") };
        assert_eq!(since, at(-30 * HOUR));
        assert!(message.contains("2 packages"), "{message}");
    }

    #[test]
    fn rpms_systems_ask_by_when_packages_were_installed() {
        use crate::facts::{Kernel, KernelImages};
        let judge = |installed_at: Option<Timestamp>, booted_at: Option<Timestamp>| {
            let mut history = NodeHistory::default();
            let mut observe = |state| history.observe(state, at(0), Duration::ZERO);
            observe(ComponentState::Reboot(State::Present(Arc::new(nothing()))));
            let packages = crate::matching::samples::packages(PackageManager::Rpm, &[]);
            observe(ComponentState::Packages(State::Present(packages)));
            let kernel = Kernel {
                release: "6.6.57.1-7.azl3".to_owned(),
                version: String::new(),
                boot_id: String::new(),
                booted_at,
                images: KernelImages::Releases(Vec::new()),
                tainted: 0,
                command_line: Vec::new(),
            };
            observe(ComponentState::Kernel(State::Present(Arc::new(kernel))));
            let seconds = installed_at.and_then(|at| u64::try_from(at.as_second()).ok());
            let measured =
                Measurements { boot_packages_installed_at_seconds: seconds, ..Default::default() };
            history.measured.observe(measured, at(0));
            let policy = Policy::edition("aks-2026").expect("a shipped edition");
            let (platform, standing) = (Platform::Plain, Default::default());
            let scope = Scope { outside: Default::default(), platform, standing };
            required(&history, &scope, &policy, at(0)).outcome
        };
        let (before, boot, after) = (at(-3 * HOUR), at(-2 * HOUR), at(-HOUR));
        assert_eq!(judge(Some(before), Some(boot)), Outcome::Pass);
        let asked = judge(Some(after), Some(boot));
        let Outcome::Fail { since, action, .. } = &asked else { panic!("{asked:?}") };
        assert_eq!((*since, action), (after, &Action::Reboot));
        // What is not known is never taken for none, nor is a time that is yet to come.
        for (installed_at, booted_at) in
            [(None, Some(boot)), (Some(after), None), (Some(at(HOUR)), Some(boot))]
        {
            let outcome = judge(installed_at, booted_at);
            assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
        }
    }

    #[test]
    fn processes_that_could_not_be_seen_are_unknown_unless_others_fail() {
        let unseen = Some("/proc/1/exe: EACCES".to_owned());
        let verdict = |outdated: &[(&str, &str)]| {
            let outdated = outdated
                .iter()
                .map(|(name, file)| OutdatedProcess {
                    name: (*name).to_owned(),
                    files: vec![(*file).to_owned()],
                })
                .collect();
            let reboot = Reboot { outdated, unseen: unseen.clone(), ..nothing() };
            judged("aks-2026", Platform::Plain, reboot, "ServicesNeedRestart")
        };
        assert!(matches!(verdict(&[]).outcome, Outcome::Unknown(_)));
        assert!(matches!(verdict(&[("sshd", "/usr/sbin/sshd")]).outcome, Outcome::Fail { .. }));
        // Its own check says so already.
        let kubelet = verdict(&[("kubelet", "/opt/bin/kubelet")]);
        assert!(matches!(kubelet.outcome, Outcome::Unknown(_)));
        let library = verdict(&[("kubelet", "/usr/lib/x86_64-linux-gnu/libc.so.6")]);
        assert!(matches!(library.outcome, Outcome::Fail { .. }));
    }
}
