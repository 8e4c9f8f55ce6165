//! Checks of `kernel_log`: what does the kernel's log tell of, does a state confirm it,
//! was every line read, and what did imported rules find.
//!
//! A line is an event: for [`DECAY`] it is a finding, then it is history. Many lines of one
//! kind are one finding. What leaves a state is asked of the state as well.

mod classes;
mod freshness;
mod imported;

use jiff::{SignedDuration, Timestamp};

use super::{Check, Evidence, PolicyLink, Reach, Scope, Severity, Verdict, facts, verdict_or};
use crate::component::Component;
use crate::facts::kernel_log::{JournalRead, KernelLog, LogSource};
use crate::node::NodeHistory;
use crate::policy::Policy;
use crate::responsibility::{Action, Responsible, Turn};
use classes::{
    conntrack_full, container_out_of_memory, corruption_reported, filesystem_error,
    filesystem_shutdown, fork_rejected, hard_lockup, hardware_corrected, hardware_fatal,
    hardware_recoverable, hardware_untold, io_error, io_error_repeated, memory_error, memory_lost,
    oops, out_of_memory, rcu_stall, remounted_read_only, soft_lockup, task_hung,
    unregister_netdevice,
};
use freshness::{Freshness, counted};

/// So long a line is a finding after it was written. Decided here: long enough that nobody
/// misses it between two looks, short enough that what is over is over.
const DECAY: SignedDuration = SignedDuration::from_mins(30);

const NPD_KERNEL: &str =
    "https://github.com/kubernetes/node-problem-detector/blob/master/config/kernel-monitor.json";
const NPD_COUNTER: &str = "https://github.com/kubernetes/node-problem-detector/blob/master/config/kernel-monitor-counter.json";
const NPD_READ_ONLY: &str =
    "https://github.com/kubernetes/node-problem-detector/blob/master/config/readonly-monitor.json";
/// Its FilesystemCorruptionProblem, which looks for the same words in the same journal.
const AKS_DETECTOR: &str = "https://learn.microsoft.com/azure/aks/node-problem-detector";
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
        "FilesystemCorruptionReported",
        Severity::Critical,
        "containerd told of a file system that is damaged (EUCLEAN) within 30 minutes, in the journal",
        AKS_DETECTOR,
        corruption_reported,
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
            "The firmware or the processor told of a hardware error that cannot be survived, within 30 minutes",
            NPD_KERNEL,
            hardware_fatal,
        )
    },
    Check {
        responsible: "provider; customer without one",
        ..of(
            "HardwareErrorRecoverable",
            Severity::Warning,
            "The firmware or the processor told of a hardware error that was not put right, within 30 minutes",
            NPD_KERNEL,
            hardware_recoverable,
        )
    },
    of(
        "HardwareErrorCorrected",
        Severity::Information,
        "The firmware or the processor told of a hardware error that was put right, within 30 minutes",
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
    Check {
        responsible: "provider; customer without one",
        ..of(
            "MemoryErrorUncorrected",
            Severity::Critical,
            "Memory had an error that was not put right, within 30 minutes: who used it is killed",
            "https://docs.kernel.org/admin-guide/mm/hwpoison.html",
            memory_lost,
        )
    },
    of(
        "HardwareErrorLogged",
        Severity::Information,
        "The processor told of hardware errors within 30 minutes, and not which",
        "https://docs.kernel.org/admin-guide/RAS/main.html",
        hardware_untold,
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
        LogSource::Kmsg { .. } | LogSource::File { .. } | LogSource::Journal { .. } => Ok(log),
    }
}

/// The log, if the journal can be read.
fn journal(history: &NodeHistory) -> Result<&KernelLog, Verdict> {
    let (log, _) = facts(&history.kernel_log, "no log of the kernel")?;
    match &log.journal {
        JournalRead::Followed(_) => Ok(log),
        JournalRead::Unreadable(unavailable) => {
            let why = format!("the journal could not be read: {unavailable}");
            Err(Verdict::unknown(why, Vec::new()))
        }
        JournalRead::NotTold => {
            Err(Verdict::unknown("this agent does not read the journal", Vec::new()))
        }
    }
}

fn gap(history: &NodeHistory, _: &Scope, _: &Policy, now: Timestamp) -> Verdict {
    let log = verdict_or!(log(history));
    let path = log.source.path();
    let Some(lost) = log.lost else {
        return Verdict::pass(vec![Evidence::new(path, "0 lines lost", "0")]);
    };
    let evidence = vec![Evidence::new(path, format!("{} lost", counted(lost.count)), "0")];
    let until = match Freshness::of(lost.last_at, DECAY, now) {
        Freshness::Until(until) => until,
        Freshness::Over => return Verdict::pass(evidence),
        Freshness::Ahead(until) => {
            let why = "lines were lost, at a time that is yet to come";
            return Verdict { valid_until: Some(until), ..Verdict::unknown(why, evidence) };
        }
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
