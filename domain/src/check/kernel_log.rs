//! Checks of `kernel_log`: what does the kernel's log tell of, does a state confirm it,
//! was every line read, and what did imported rules find.
//!
//! A line is an event: for [`DECAY`] it is a finding, then it is history. Many lines of one
//! kind are one finding. What leaves a state is asked of the state as well.

mod imported;

use jiff::{SignedDuration, Timestamp};

use super::{
    Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, by_hand, facts, verdict_or,
};
use crate::component::Component;
use crate::facts::kernel_log::{KernelLog, LogClass, LogEvent, LogLine, LogSource};
use crate::node::NodeHistory;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};

/// So long a line is a finding after it was written. Decided here: long enough that nobody
/// misses it between two looks, short enough that what is over is over.
const DECAY: SignedDuration = SignedDuration::from_mins(30);

/// So many errors of devices within [`DECAY`] are no accident any more.
const REPEATED: usize = 3;

/// The same for network devices that are held: node-problem-detector's own file counts
/// three within 20 minutes (config/kernel-monitor-counter.json).
const HELD: usize = 3;
const HELD_WITHIN: SignedDuration = SignedDuration::from_mins(20);

/// Taint flags, Documentation/admin-guide/tainted-kernels.rst.
const TAINT_DIED: u32 = 7;
const TAINT_SOFT_LOCKUP: u32 = 14;

const TAINTED: &str = "/proc/sys/kernel/tainted";
const NPD_KERNEL: &str =
    "https://github.com/kubernetes/node-problem-detector/blob/master/config/kernel-monitor.json";
const NPD_COUNTER: &str = "https://github.com/kubernetes/node-problem-detector/blob/master/config/kernel-monitor-counter.json";
const NPD_READ_ONLY: &str =
    "https://github.com/kubernetes/node-problem-detector/blob/master/config/readonly-monitor.json";
const KMSG: &str = "https://www.kernel.org/doc/Documentation/ABI/testing/dev-kmsg";

/// A check of lines of the log, which no policy speaks of.
const fn of(
    reason: &'static str,
    severity: Severity,
    summary: &'static str,
    source: &'static str,
    judge: fn(&NodeHistory, &Scope, &Policy, Timestamp) -> Verdict,
) -> Check {
    Check {
        reason,
        component: Component::KernelLog,
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
    of(
        "KernelOops",
        Severity::Critical,
        "The kernel's log tells of a fault of its own within 30 minutes, and the taint flag confirms it",
        "https://docs.kernel.org/admin-guide/bug-hunting.html",
        oops,
    ),
    of(
        "SoftLockup",
        Severity::Critical,
        "The kernel's log tells of a soft lockup within 30 minutes, and the taint flag confirms it",
        "https://docs.kernel.org/admin-guide/lockup-watchdogs.html",
        soft_lockup,
    ),
    of(
        "HardLockup",
        Severity::Critical,
        "The kernel's log tells of a processor that answered nothing, within 30 minutes",
        "https://docs.kernel.org/admin-guide/lockup-watchdogs.html",
        hard_lockup,
    ),
    of(
        "RcuStall",
        Severity::Critical,
        "The kernel's log tells of a processor that kept the others waiting, within 30 minutes",
        "https://docs.kernel.org/RCU/stallwarn.html",
        rcu_stall,
    ),
    of(
        "TaskHung",
        Severity::Warning,
        "A task has been waiting for minutes and could not be interrupted, within 30 minutes",
        "https://docs.kernel.org/admin-guide/sysctl/kernel.html",
        task_hung,
    ),
    of(
        "IoError",
        Severity::Warning,
        "A block device failed once or twice within 30 minutes",
        NPD_KERNEL,
        io_error,
    ),
    of(
        "IoErrorRepeated",
        Severity::Critical,
        "Block devices failed three times or more within 30 minutes",
        NPD_KERNEL,
        io_error_repeated,
    ),
    of(
        "FilesystemError",
        Severity::Critical,
        "A file system found its own structure damaged, within 30 minutes",
        NPD_KERNEL,
        filesystem_error,
    ),
    of(
        "FilesystemShutdown",
        Severity::Critical,
        "A file system shut itself down within 30 minutes",
        NPD_KERNEL,
        filesystem_shutdown,
    ),
    of(
        "FilesystemRemountedReadOnly",
        Severity::Critical,
        "A file system made itself read-only within 30 minutes",
        NPD_READ_ONLY,
        remounted_read_only,
    ),
    of(
        "ConntrackTableFull",
        Severity::Critical,
        "Packets were dropped within 30 minutes, because no more connections can be tracked",
        "https://docs.kernel.org/networking/nf_conntrack-sysctl.html",
        conntrack_full,
    ),
    of(
        "OutOfMemory",
        Severity::Warning,
        "The node ran out of memory and the kernel killed a process, within 30 minutes",
        "https://docs.kernel.org/admin-guide/mm/concepts.html",
        out_of_memory,
    ),
    of(
        "ContainerOutOfMemory",
        Severity::Information,
        "A container or group reached its own limit of memory, within 30 minutes",
        "https://docs.kernel.org/admin-guide/cgroup-v2.html",
        container_out_of_memory,
    ),
    of(
        "ForkRejected",
        Severity::Information,
        "A container or group reached its own limit of processes, within 30 minutes",
        "https://docs.kernel.org/admin-guide/cgroup-v2.html",
        fork_rejected,
    ),
    of(
        "UnregisterNetDevice",
        Severity::Warning,
        "A network device could not be removed three times or more within 20 minutes",
        NPD_COUNTER,
        unregister_netdevice,
    ),
    Check {
        responsible: "provider; customer without one",
        ..of(
            "HardwareErrorFatal",
            Severity::Critical,
            "The firmware told of a hardware error that cannot be survived, within 30 minutes",
            NPD_KERNEL,
            hardware_fatal,
        )
    },
    Check {
        responsible: "provider; customer without one",
        ..of(
            "HardwareErrorRecoverable",
            Severity::Warning,
            "The firmware told of a hardware error that was not put right, within 30 minutes",
            NPD_KERNEL,
            hardware_recoverable,
        )
    },
    of(
        "HardwareErrorCorrected",
        Severity::Information,
        "The firmware told of a hardware error that was put right, within 30 minutes",
        NPD_KERNEL,
        hardware_corrected,
    ),
    of(
        "MemoryError",
        Severity::Information,
        "Memory had an error that was put right, within 30 minutes",
        "https://docs.kernel.org/admin-guide/RAS/main.html",
        memory_error,
    ),
    of(
        "KernelLogGap",
        Severity::Information,
        "Lines of the log were lost within 30 minutes: what they told nobody knows",
        KMSG,
        gap,
    ),
    imported::CONDITION,
    imported::EVENT,
];

/// The log, if it can be read.
fn log(history: &NodeHistory) -> Result<&KernelLog, Verdict> {
    let (log, _) = facts(&history.kernel_log, "no log of the kernel")?;
    match &log.source {
        LogSource::Unreadable(unavailable) => {
            Err(Verdict::unknown(format!("could not be read: {unavailable}"), Vec::new()))
        }
        LogSource::Kmsg { .. } | LogSource::File { .. } => Ok(log),
    }
}

/// When something of that moment stops being a finding; none when it has.
fn fresh_until(at: Timestamp, for_so_long: SignedDuration, now: Timestamp) -> Option<Timestamp> {
    let until = at.checked_add(for_so_long).unwrap_or(Timestamp::MAX);
    (now <= until).then_some(until)
}

/// Lines of one class that are findings yet.
struct Fresh<'a> {
    event: &'a LogEvent,
    /// Oldest first, at least one.
    lines: Vec<&'a LogLine>,
    evidence: Vec<Evidence>,
    until: Timestamp,
}

impl<'a> Fresh<'a> {
    /// The newest lines of a class, if any is young enough; else the verdict.
    fn of(
        log: &'a KernelLog,
        class: LogClass,
        for_so_long: SignedDuration,
        now: Timestamp,
    ) -> Result<Self, Verdict> {
        let event = log.event(class);
        let is_fresh = |line: &&LogLine| fresh_until(line.at, for_so_long, now).is_some();
        let lines: Vec<&LogLine> =
            event.iter().flat_map(|event| &event.newest).filter(is_fresh).collect();
        let evidence = lines.iter().map(|line| told(&log.source, line)).collect();
        match (event, lines.last()) {
            (Some(event), Some(newest)) => {
                let until = newest.at.checked_add(for_so_long).unwrap_or(Timestamp::MAX);
                Ok(Self { event, lines, evidence, until })
            }
            _ => Err(quiet(log, class, now)),
        }
    }

    fn newest(&self) -> &'a LogLine {
        self.lines[self.lines.len() - 1]
    }

    /// When the first of them was written; the first of all where none has been dropped.
    fn since(&self) -> Timestamp {
        self.lines[0].at
    }

    /// `what`, how often, and what it is about.
    fn message(&self, what: &str) -> String {
        let newest = self.newest();
        let mut message = match newest.subject.as_str() {
            "" => what.to_owned(),
            subject => format!("{what}: {subject}"),
        };
        if self.event.count > 1 {
            message.push_str(&format!(" ({} lines since boot)", self.event.count));
        }
        if self.lines.iter().all(|line| !line.by_kernel) {
            message.push_str("; a program wrote it, not the kernel");
        }
        message
    }

    fn fail(self, message: String, responsible: Responsible, action: Action) -> Verdict {
        let turn = Turn { responsible, action, valid_until: Some(self.until) };
        Verdict::fail(message, self.since(), turn, self.evidence)
    }

    /// Nothing to be done about yet, for as long as nothing comes in addition.
    fn pass(self) -> Verdict {
        Verdict { valid_until: Some(self.until), ..Verdict::pass(self.evidence) }
    }

    fn unknown(self, why: &str, state: Evidence) -> Verdict {
        let mut evidence = self.evidence;
        evidence.push(state);
        Verdict { valid_until: Some(self.until), ..Verdict::unknown(why, evidence) }
    }
}

/// A line, and where it stands.
fn told(source: &LogSource, line: &LogLine) -> Evidence {
    let place = match line.sequence {
        Some(sequence) => format!("{} line {sequence}", source.path()),
        None => source.path().to_owned(),
    };
    Evidence::new(place, format!("{:.0} {}", line.at, line.text), "")
}

/// So many lines, in words.
fn counted(lines: u64) -> String {
    match lines {
        1 => "1 line".to_owned(),
        lines => format!("{lines} lines"),
    }
}

/// No line of a class is young enough: so it is fine, unless some were not read.
fn quiet(log: &KernelLog, class: LogClass, now: Timestamp) -> Verdict {
    let path = log.source.path();
    if let Some(lost) = log.lost
        && let Some(until) = fresh_until(lost.last_at, DECAY, now)
    {
        let why =
            format!("lines were lost until {:.0}; one of these may be among them", lost.last_at);
        let evidence = vec![Evidence::new(path, format!("{} lost", counted(lost.count)), "0")];
        return Verdict { valid_until: Some(until), ..Verdict::unknown(why, evidence) };
    }
    let minutes = DECAY.as_secs() / 60;
    let actual = match log.event(class) {
        Some(event) => {
            let lines = counted(event.count);
            format!("{lines} since boot, none within {minutes} minutes")
        }
        None => "no such line".to_owned(),
    };
    Verdict::pass(vec![Evidence::new(path, actual, "")])
}

/// A class of which every line is a finding, and the same turn.
fn any(
    history: &NodeHistory,
    now: Timestamp,
    class: LogClass,
    what: &str,
    action: Action,
) -> Verdict {
    let log = verdict_or!(log(history));
    let fresh = verdict_or!(Fresh::of(log, class, DECAY, now));
    let message = fresh.message(what);
    fresh.fail(message, Responsible::Customer, action)
}

/// A class that leaves a taint flag behind: what the kernel itself does not remember is a
/// claim, and none that counts.
fn with_taint(
    history: &NodeHistory,
    now: Timestamp,
    class: LogClass,
    bit: u32,
    what: &str,
) -> Verdict {
    let log = verdict_or!(log(history));
    let mut fresh = verdict_or!(Fresh::of(log, class, DECAY, now));
    let Some(kernel) = history.kernel.present() else {
        let state = Evidence::new(TAINTED, "not read", format!("bit {bit}"));
        return fresh.unknown("a line claims it; the taint flags were not read", state);
    };
    let state = Evidence::new(TAINTED, kernel.tainted.to_string(), format!("bit {bit}"));
    if kernel.tainted & (1 << bit) == 0 {
        return fresh
            .unknown("a line claims it; the kernel's taint flags do not confirm it", state);
    }
    fresh.evidence.push(state);
    let message = fresh.message(what);
    fresh.fail(message, Responsible::Customer, Action::Reboot)
}

fn oops(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    with_taint(history, now, LogClass::Oops, TAINT_DIED, "the kernel met a fault of its own")
}

fn soft_lockup(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let what = "a processor was stuck in the kernel";
    with_taint(history, now, LogClass::SoftLockup, TAINT_SOFT_LOCKUP, what)
}

fn hard_lockup(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let what = "a processor answered to nothing";
    any(history, now, LogClass::HardLockup, what, Action::Reboot)
}

fn rcu_stall(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let what = "a processor kept the others waiting";
    any(history, now, LogClass::RcuStall, what, Action::Reboot)
}

/// What a runtime's own tasks are named.
const RUNTIME_TASKS: [&str; 4] = ["containerd", "docker", "runc", "crun"];

fn task_hung(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let log = verdict_or!(log(history));
    let fresh = verdict_or!(Fresh::of(log, LogClass::TaskHung, DECAY, now));
    let is_runtimes =
        |line: &&LogLine| RUNTIME_TASKS.iter().any(|name| line.subject.starts_with(name));
    let what = match fresh.lines.iter().any(is_runtimes) {
        true => "a task of the container runtime hangs",
        false => "a task hangs",
    };
    let at = "the disks that it waits for, and /proc/pressure/io".to_owned();
    let message = fresh.message(what);
    fresh.fail(message, Responsible::Customer, Action::Investigate { at })
}

/// Where to look when a device failed.
fn at_device(fresh: &Fresh) -> Action {
    let at = match fresh.newest().subject.as_str() {
        "" => "the disks".to_owned(),
        device => {
            format!("disk {device}: is it attached, and does the provider tell of its failure")
        }
    };
    Action::Investigate { at }
}

fn io_error(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let log = verdict_or!(log(history));
    let fresh = verdict_or!(Fresh::of(log, LogClass::IoError, DECAY, now));
    if fresh.lines.len() >= REPEATED {
        let verdict = Verdict::not_applicable("there are more of them: check IoErrorRepeated");
        return Verdict { valid_until: Some(fresh.until), ..verdict };
    }
    let (message, action) = (fresh.message("a device failed"), at_device(&fresh));
    fresh.fail(message, Responsible::Customer, action)
}

fn io_error_repeated(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let log = verdict_or!(log(history));
    let fresh = verdict_or!(Fresh::of(log, LogClass::IoError, DECAY, now));
    if fresh.lines.len() < REPEATED {
        return fresh.pass();
    }
    let (message, action) = (fresh.message("a device fails again and again"), at_device(&fresh));
    fresh.fail(message, Responsible::Customer, action)
}

fn mend(scope: &Scope) -> Action {
    by_hand(scope, Action::Repair { what: "unmount the file system and check it".to_owned() })
}

fn filesystem_error(history: &NodeHistory, scope: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    any(history, now, LogClass::FsError, "a file system is damaged", mend(scope))
}

fn filesystem_shutdown(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    any(history, now, LogClass::FsShutdown, "a file system shut itself down", mend(scope))
}

/// Whether the node's mounts show a file system that made itself read-only; none where they
/// could not be read, or not all of them.
fn shows_read_only(history: &NodeHistory) -> Option<bool> {
    let filesystem = history.filesystem.present()?;
    let is_any = filesystem.mounts.iter().any(|mount| mount.went_read_only);
    (is_any || filesystem.untold == 0).then_some(is_any)
}

fn remounted_read_only(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let log = verdict_or!(log(history));
    let fresh = verdict_or!(Fresh::of(log, LogClass::FsRemountRo, DECAY, now));
    let what = match shows_read_only(history) {
        Some(true) => "a file system made itself read-only, and still is",
        Some(false) => return fresh.pass(),
        None => "a file system made itself read-only; whether it still is was not confirmed",
    };
    let message = fresh.message(what);
    fresh.fail(message, Responsible::Customer, mend(scope))
}

fn conntrack_full(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let what = "find who opens so many connections, or raise net.netfilter.nf_conntrack_max";
    let action = Action::Repair { what: what.to_owned() };
    any(history, now, LogClass::ConntrackFull, "the table of connections was full", action)
}

fn out_of_memory(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let at = "what the node's pods may use together, and what it has".to_owned();
    let action = Action::Investigate { at };
    any(history, now, LogClass::OomNode, "the node ran out of memory", action)
}

fn container_out_of_memory(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let what = "raise the container's limit of memory, or find what grows".to_owned();
    let message = "a container reached its limit of memory";
    any(history, now, LogClass::OomCgroup, message, Action::Repair { what })
}

fn fork_rejected(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let what = "raise podPidsLimit of the kubelet, or find what starts processes".to_owned();
    let message = "a container reached its limit of processes";
    any(history, now, LogClass::ForkRejected, message, Action::Repair { what })
}

fn unregister_netdevice(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let log = verdict_or!(log(history));
    let fresh = verdict_or!(Fresh::of(log, LogClass::UnregisterNetdevice, HELD_WITHIN, now));
    if fresh.lines.len() < HELD {
        return fresh.pass();
    }
    let message = fresh.message("a network device cannot be removed");
    fresh.fail(message, Responsible::Customer, Action::Reboot)
}

/// The hardware is the provider's, where there is one.
fn hardware(
    history: &NodeHistory,
    scope: &Scope,
    now: Timestamp,
    class: LogClass,
    what: &str,
) -> Verdict {
    let log = verdict_or!(log(history));
    let fresh = verdict_or!(Fresh::of(log, class, DECAY, now));
    let (responsible, action) = match scope.platform {
        Platform::Aks => (Responsible::Provider, Action::Ticket),
        Platform::Kubernetes | Platform::Plain => {
            let what = "move the machine to other hardware".to_owned();
            (Responsible::Customer, Action::Repair { what })
        }
        Platform::Unknown => {
            let missing = "platform of the node".to_owned();
            let at = "the machine's hardware".to_owned();
            (Responsible::Unknown { missing }, Action::Investigate { at })
        }
    };
    let message = fresh.message(what);
    fresh.fail(message, responsible, action)
}

fn hardware_fatal(history: &NodeHistory, scope: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    hardware(history, scope, now, LogClass::CperFatal, "the hardware failed")
}

fn hardware_recoverable(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let what = "the hardware had an error that was not put right";
    hardware(history, scope, now, LogClass::CperRecoverable, what)
}

fn watch_hardware() -> Action {
    Action::Investigate { at: "whether more of them come: then the hardware will fail".to_owned() }
}

fn hardware_corrected(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let what = "the hardware had an error that was put right";
    any(history, now, LogClass::CperCorrected, what, watch_hardware())
}

fn memory_error(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let what = "memory had an error that was put right";
    any(history, now, LogClass::MemoryCe, what, watch_hardware())
}

fn gap(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let log = verdict_or!(log(history));
    let path = log.source.path();
    let Some(lost) = log.lost else {
        return Verdict::pass(vec![Evidence::new(path, "0 lines lost", "0")]);
    };
    let evidence = vec![Evidence::new(path, format!("{} lost", counted(lost.count)), "0")];
    let Some(until) = fresh_until(lost.last_at, DECAY, now) else {
        return Verdict::pass(evidence);
    };
    let message = format!("{} of the log lost before anybody read them", counted(lost.count));
    let turn = Turn {
        responsible: Responsible::Customer,
        action: Action::Investigate { at: "what writes so much into the log".to_owned() },
        valid_until: Some(until),
    };
    Verdict::fail(message, lost.last_at, turn, evidence)
}

#[cfg(test)]
mod tests;
