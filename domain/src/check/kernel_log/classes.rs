//! Every class of lines: from how many on it is a finding, which state confirms it, and whose
//! turn it is.

use jiff::{SignedDuration, Timestamp};

use super::freshness::Fresh;
use super::{DECAY, journal, log};
use crate::check::{Evidence, Scope, Verdict, by_hand, verdict_or};
use crate::facts::kernel_log::{LogClass, LogLine};
use crate::node::NodeHistory;
use crate::observed::State;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible};

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

pub(super) fn oops(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    with_taint(history, now, LogClass::Oops, TAINT_DIED, "the kernel met a fault of its own")
}

pub(super) fn soft_lockup(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let what = "a processor was stuck in the kernel";
    with_taint(history, now, LogClass::SoftLockup, TAINT_SOFT_LOCKUP, what)
}

pub(super) fn hard_lockup(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let what = "a processor answered to nothing";
    any(history, now, LogClass::HardLockup, what, Action::Reboot)
}

pub(super) fn rcu_stall(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let what = "a processor kept the others waiting";
    any(history, now, LogClass::RcuStall, what, Action::Reboot)
}

/// What a runtime's own tasks are named.
const RUNTIME_TASKS: [&str; 4] = ["containerd", "docker", "runc", "crun"];

pub(super) fn task_hung(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
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

pub(super) fn io_error(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let log = verdict_or!(log(history));
    let fresh = verdict_or!(Fresh::of(log, LogClass::IoError, DECAY, now));
    if fresh.lines.len() >= REPEATED {
        let verdict = Verdict::not_applicable("there are more of them: check IoErrorRepeated");
        return Verdict { valid_until: Some(fresh.until), ..verdict };
    }
    let (message, action) = (fresh.message("a device failed"), at_device(&fresh));
    fresh.fail(message, Responsible::Customer, action)
}

pub(super) fn io_error_repeated(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
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

pub(super) fn filesystem_error(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    any(history, now, LogClass::FsError, "a file system is damaged", mend(scope))
}

pub(super) fn filesystem_shutdown(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    any(history, now, LogClass::FsShutdown, "a file system shut itself down", mend(scope))
}

/// What containerd itself has met: EUCLEAN of a file below its folders.
pub(super) fn corruption_reported(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    if history.containerd.newest().is_some_and(|run| matches!(run.last.state, State::Absent)) {
        return Verdict::not_applicable("no containerd is installed");
    }
    let log = verdict_or!(journal(history));
    let fresh = verdict_or!(Fresh::of(log, LogClass::FsCorruptionReported, DECAY, now));
    let message = fresh.message("containerd met a file system that is damaged");
    fresh.fail(message, Responsible::Customer, mend(scope))
}

/// Whether the node's mounts show a file system that made itself read-only; none where they
/// could not be read, or not all of them.
fn shows_read_only(history: &NodeHistory) -> Option<bool> {
    let filesystem = history.filesystem.present()?;
    let is_any = filesystem.mounts.iter().any(|mount| mount.went_read_only);
    (is_any || filesystem.untold == 0).then_some(is_any)
}

pub(super) fn remounted_read_only(
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

pub(super) fn conntrack_full(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let what = "find who opens so many connections, or raise net.netfilter.nf_conntrack_max";
    let action = Action::Repair { what: what.to_owned() };
    any(history, now, LogClass::ConntrackFull, "the table of connections was full", action)
}

pub(super) fn out_of_memory(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let at = "what the node's pods may use together, and what it has".to_owned();
    let action = Action::Investigate { at };
    any(history, now, LogClass::OomNode, "the node ran out of memory", action)
}

pub(super) fn container_out_of_memory(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let what = "raise the container's limit of memory, or find what grows".to_owned();
    let message = "a container reached its limit of memory";
    any(history, now, LogClass::OomCgroup, message, Action::Repair { what })
}

pub(super) fn fork_rejected(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let what = "raise podPidsLimit of the kubelet, or find what starts processes".to_owned();
    let message = "a container reached its limit of processes";
    any(history, now, LogClass::ForkRejected, message, Action::Repair { what })
}

pub(super) fn unregister_netdevice(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
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

pub(super) fn hardware_fatal(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    hardware(history, scope, now, LogClass::CperFatal, "the hardware failed")
}

pub(super) fn hardware_recoverable(
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

pub(super) fn hardware_corrected(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let what = "the hardware had an error that was put right";
    any(history, now, LogClass::CperCorrected, what, watch_hardware())
}

pub(super) fn memory_error(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let what = "memory had an error that was put right";
    any(history, now, LogClass::MemoryCe, what, watch_hardware())
}

pub(super) fn memory_lost(
    history: &NodeHistory,
    scope: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let what = "memory had an error that was not put right";
    hardware(history, scope, now, LogClass::MemoryUe, what)
}

pub(super) fn hardware_untold(
    history: &NodeHistory,
    _: &Scope,
    _: &Policy,
    now: Timestamp,
) -> Verdict {
    let what = "the processor met errors of the hardware; the line does not say which";
    let at = "what the daemon that takes them has kept: rasdaemon or mcelog".to_owned();
    any(history, now, LogClass::MachineCheckLogged, what, Action::Investigate { at })
}
