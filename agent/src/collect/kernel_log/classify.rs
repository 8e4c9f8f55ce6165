//! What a line of the kernel tells of, by how it begins: a line that has the same words in
//! another place tells nothing. Sources: the kernel's own printk calls, named at each rule;
//! rules of node-problem-detector, whose texts are partly those of former kernels.

use nodeward_domain::facts::kernel_log::LogClass;

/// The class of a line, and what it is about, which may be empty.
#[must_use]
pub fn classify(line: &str) -> Option<(LogClass, &str)> {
    RULES.iter().find_map(|rule| rule(line))
}

type Told<'a> = Option<(LogClass, &'a str)>;

const RULES: [fn(&str) -> Told<'_>; 18] = [
    oops,
    lockup,
    rcu_stall,
    task_hung,
    io_error,
    scsi_offline,
    ext4,
    journal,
    xfs,
    btrfs,
    out_of_memory,
    conntrack_full,
    fork_rejected,
    unregister_netdevice,
    firmware,
    machine_check,
    memory,
    memory_failure,
];

/// What stands between two texts, the first of which begins the line.
fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(before)?;
    Some(&rest[..rest.find(after)?])
}

/// Whether a text is a number, and nothing else.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// arch/x86/mm/fault.c, arch/x86/kernel/traps.c and dumpstack.c, lib/bug.c, arch/arm64/mm/fault.c.
/// Behind a fault stands how many there were, `[#1]`; a program's own faults have none.
/// kernel/panic.c: the line of a panic is read where a file keeps it, for no kernel goes on
/// behind one; what it tells is a claim like the others.
fn oops(line: &str) -> Told<'_> {
    const ALONE: [&str; 5] = [
        "BUG: kernel NULL pointer dereference, address: ",
        "BUG: unable to handle ",
        "kernel BUG at ",
        "Unable to handle kernel ",
        "Kernel panic - not syncing",
    ];
    const COUNTED: [&str; 10] = [
        "Oops: ",
        "Internal error: ",
        "divide error: ",
        "general protection fault",
        "invalid opcode: ",
        "stack segment: ",
        "int3: ",
        "alignment check: ",
        "invalid TSS: ",
        "bounds: ",
    ];
    let begins = |text: &&str| line.starts_with(*text);
    let is_one = ALONE.iter().any(begins) || (line.contains("[#") && COUNTED.iter().any(begins));
    is_one.then_some((LogClass::Oops, ""))
}

/// kernel/watchdog.c and watchdog_perf.c. Kernels before 4.15 had `NMI` before.
fn lockup(line: &str) -> Told<'_> {
    const HARD: &str = "Watchdog detected hard LOCKUP on cpu ";
    let rest = line.strip_prefix("NMI ").unwrap_or(line);
    let rest = rest.strip_prefix("watchdog: ").unwrap_or(rest);
    if let Some(cpu) = rest.strip_prefix("BUG: soft lockup - CPU#") {
        let end = cpu.find(|c: char| !c.is_ascii_digit()).unwrap_or(cpu.len());
        let (cpu, rest) = cpu.split_at(end);
        return rest
            .starts_with(" stuck for ")
            .then_some((LogClass::SoftLockup, cpu_of(cpu, line)));
    }
    // Since 6.1 the processor that saw it stands before: `CPU3: Watchdog…`.
    let after = rest.split_once(": ").filter(|(cpu, _)| cpu.starts_with("CPU")).map(|(_, r)| r);
    let cpu = after.unwrap_or(rest).strip_prefix(HARD)?;
    Some((LogClass::HardLockup, cpu_of(cpu, line)))
}

/// `CPU#3` as it stands in the line, where it does; else the number alone.
fn cpu_of<'a>(number: &'a str, line: &'a str) -> &'a str {
    let wanted = format!("CPU#{number}");
    line.find(&wanted).map_or(number, |start| &line[start..start + wanted.len()])
}

/// kernel/rcu/tree_stall.h; kernels before 5.2 had no `rcu: `.
fn rcu_stall(line: &str) -> Told<'_> {
    let rest = line.strip_prefix("rcu: ").unwrap_or(line);
    let rest = rest.strip_prefix("INFO: rcu")?;
    const SAYS: [&str; 4] = [
        " self-detected stall on CPU",
        " detected stalls on CPUs/tasks:",
        " detected expedited stalls on CPUs/tasks:",
        " self-detected expedited stall",
    ];
    SAYS.iter().any(|says| rest.contains(says)).then_some((LogClass::RcuStall, ""))
}

/// kernel/hung_task.c. The name of a task may hold anything, colons and spaces too.
fn task_hung(line: &str) -> Told<'_> {
    let rest = line.strip_prefix("INFO: task ")?;
    let end = rest
        .find(" blocked for more than ")
        .or_else(|| rest.find(" blocked in I/O wait for more than "))?;
    let (name, pid) = rest[..end].rsplit_once(':')?;
    let is_told = is_number(pid) && rest[end..].trim_end().ends_with(" seconds.");
    is_told.then_some((LogClass::TaskHung, name))
}

/// block/blk-core.c `blk_errors` and block/blk-mq.c `blk_print_req_error`, fs/buffer.c. Of the
/// errors that the kernel names those are taken that say that a device failed, has no room or is
/// gone; not those of a request that the device does not know (`operation not supported`), or
/// that is made again (`device resource`, `nonblocking retry`).
fn io_error(line: &str) -> Told<'_> {
    const ERRORS: [&str; 10] = [
        "I/O",
        "critical medium",
        "critical nexus",
        "critical space allocation",
        "critical target",
        "device offline",
        "protection",
        "recoverable transport",
        "reservation conflict",
        "timeout",
    ];
    let rest = ["blk_update_request: ", "print_req_error: "]
        .iter()
        .find_map(|before| line.strip_prefix(before))
        .unwrap_or(line);
    let of_request = ERRORS
        .iter()
        .find_map(|error| between(rest.strip_prefix(error)?, " error, dev ", ", sector "));
    let device = match of_request {
        Some(device) => device,
        None => between(line, "Buffer I/O error on dev ", ", logical block ")
            .or_else(|| between(line, "Buffer I/O error on device ", ", logical block "))?,
    };
    // Drives without a medium answer so whenever they are asked: no fault.
    let is_removable =
        ["fd", "sr"].iter().any(|kind| device.strip_prefix(kind).is_some_and(is_number));
    (!is_removable).then_some((LogClass::IoError, device))
}

/// drivers/scsi/scsi_error.c `scsi_eh_offline_sdevs` and scsi_lib.c `scsi_device_state_check`,
/// behind the driver and the address of the device: `sd 2:0:0:0: `. An optical drive (`sr`) is
/// no disk.
fn scsi_offline(line: &str) -> Told<'_> {
    let (driver, rest) = line.split_once(' ')?;
    let (address, mut says) = rest.split_once(": ")?;
    let is_address = address.split(':').count() == 4 && address.split(':').all(is_number);
    if !is_address || !matches!(driver, "sd" | "scsi") {
        return None;
    }
    let mut subject = address;
    if let Some((disk, rest)) = says.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        (subject, says) = (disk, rest);
    }
    const SAYS: [&str; 3] =
        ["Device offlined - ", "rejecting I/O to dead device", "rejecting I/O to offline device"];
    let is_told = SAYS.iter().any(|text| says.starts_with(text));
    is_told.then_some((LogClass::IoError, subject))
}

/// fs/ext4/super.c, which mounts ext3 too. What the file system has written down of former
/// errors, and tells at a mount and once a day, holds until e2fsck has looked at it.
fn ext4(line: &str) -> Told<'_> {
    if let Some(device) = between(line, "EXT4-fs error (device ", ")") {
        return Some((LogClass::FsError, device));
    }
    let device = between(line, "EXT4-fs (", "): ")?;
    let says = &line["EXT4-fs (".len() + device.len() + "): ".len()..];
    if says.starts_with("Remounting filesystem read-only") {
        return Some((LogClass::FsRemountRo, device));
    }
    const DAMAGED: [&str; 3] = [
        "This should not happen!! Data will be lost",
        "error count since last fsck: ",
        "warning: mounting fs with errors, ",
    ];
    DAMAGED.iter().any(|text| says.starts_with(text)).then_some((LogClass::FsError, device))
}

/// fs/jbd2/journal.c, commit.c and recovery.c: the journal of ext4, ocfs2. It names a device
/// with the number of the journal's inode behind, `sda1-8`.
fn journal(line: &str) -> Told<'_> {
    if let Some(name) = line.strip_prefix("Aborting journal on device ") {
        return Some((LogClass::FsError, without_journal(name.trim_end().trim_end_matches('.'))));
    }
    let says = line.strip_prefix("JBD2: ")?;
    const FAILED: [(&str, LogClass); 8] = [
        ("Detected IO errors ", LogClass::IoError),
        ("Error ", LogClass::IoError),
        ("I/O error ", LogClass::IoError),
        ("IO error ", LogClass::IoError),
        ("Invalid checksum ", LogClass::FsError),
        ("previous I/O error ", LogClass::IoError),
        ("journal checksum error", LogClass::FsError),
        ("recovery failed", LogClass::FsError),
    ];
    let (_, class) = FAILED.iter().find(|(text, _)| says.starts_with(text))?;
    let name = [" superblock for ", " superblock update for ", " data on "]
        .iter()
        .find_map(|before| says.split_once(before))
        .map_or("", |(_, name)| name.trim_end().trim_end_matches('.'));
    Some((*class, without_journal(name)))
}

/// The device of a journal's name. Inode 8 is the journal's, fs/ext4/ext4.h; `dm-8` is a whole
/// device.
fn without_journal(name: &str) -> &str {
    name.strip_suffix("-8").filter(|device| *device != "dm").unwrap_or(name)
}

/// fs/xfs/xfs_fsops.c, xfs_log.c, xfs_log_recover.c, xfs_buf.c, xfs_message.c and xfs_error.c.
fn xfs(line: &str) -> Told<'_> {
    let device = between(line, "XFS (", "): ")?;
    let says = &line["XFS (".len() + device.len() + "): ".len()..];
    if says.trim_end_matches('.').ends_with("hutting down filesystem")
        || says.starts_with("Filesystem has been shut down ")
    {
        return Some((LogClass::FsShutdown, device));
    }
    const SAYS: [(&str, LogClass); 8] = [
        ("Corruption detected", LogClass::FsError),
        ("Corruption warning: ", LogClass::FsError),
        ("Internal error ", LogClass::FsError),
        ("Metadata CRC error detected ", LogClass::FsError),
        ("Metadata corruption detected ", LogClass::FsError),
        ("log I/O error ", LogClass::IoError),
        ("log mount/recovery failed: ", LogClass::FsError),
        ("metadata I/O error", LogClass::IoError),
    ];
    let (_, class) = SAYS.iter().find(|(text, _)| says.starts_with(text))?;
    Some((*class, device))
}

/// fs/btrfs/messages.c, transaction.h and disk-io.c. Behind the device may stand the state of
/// the file system, since 5.17: `sda2 state E`, of some kernels `sda2: state E`.
fn btrfs(line: &str) -> Told<'_> {
    if line == "BTRFS: forced readonly" {
        return Some((LogClass::FsRemountRo, ""));
    }
    if line.starts_with("BTRFS: Transaction aborted (error ") {
        return Some((LogClass::FsError, ""));
    }
    let rest = line.strip_prefix("BTRFS: ").or_else(|| line.strip_prefix("BTRFS "))?;
    let (level, rest) = rest.split_once(" (device ")?;
    let (device, says) = rest.split_once(')')?;
    let device = &device[..device.find([' ', ':']).unwrap_or(device.len())];
    let class = match level {
        "emergency" | "alert" | "critical" | "error" => LogClass::FsError,
        "info" if says.ends_with("forced readonly") => LogClass::FsRemountRo,
        "warning" if says.ends_with("Skipping commit of aborted transaction.") => LogClass::FsError,
        _ => return None,
    };
    Some((class, device))
}

/// mm/oom_kill.c. Where nothing can be killed the node itself panics; a kernel that goes on
/// tells so of a group.
fn out_of_memory(line: &str) -> Told<'_> {
    if line.starts_with("Out of memory and no killable processes") {
        return Some((LogClass::OomCgroup, ""));
    }
    let (class, rest) = match line.strip_prefix("Memory cgroup out of memory") {
        Some(rest) => (LogClass::OomCgroup, rest),
        None => (LogClass::OomNode, line.strip_prefix("Out of memory")?),
    };
    // `(oom_kill_allocating_task)` may stand between.
    let rest = rest.strip_prefix(" (oom_kill_allocating_task)").unwrap_or(rest);
    let rest =
        rest.strip_prefix(": Killed process ").or_else(|| rest.strip_prefix(": Kill process "))?;
    let name = rest.split_once(" (").map_or("", |(_, rest)| {
        let end = rest.find(") ").or_else(|| rest.find(')')).unwrap_or(rest.len());
        &rest[..end]
    });
    Some((class, name))
}

/// net/netfilter/nf_conntrack_core.c; since 6.11 with the network namespace.
fn conntrack_full(line: &str) -> Told<'_> {
    let rest = line.strip_prefix("nf_conntrack: ")?;
    let rest = rest.strip_prefix("nf_conntrack: ").unwrap_or(rest);
    let is_told =
        rest.starts_with("table full") && rest.trim_end_matches('.').ends_with(", dropping packet");
    is_told.then_some((LogClass::ConntrackFull, ""))
}

/// kernel/cgroup/pids.c.
fn fork_rejected(line: &str) -> Told<'_> {
    let group = line.strip_prefix("cgroup: fork rejected by pids controller in ")?;
    Some((LogClass::ForkRejected, group.trim_end()))
}

/// net/core/dev.c.
fn unregister_netdevice(line: &str) -> Told<'_> {
    let device = between(line, "unregister_netdevice: waiting for ", " to become free.")?;
    Some((LogClass::UnregisterNetdevice, device))
}

/// drivers/firmware/efi/cper.c, drivers/acpi/apei/ghes.c: `{1}[Hardware Error]: …`.
fn firmware(line: &str) -> Told<'_> {
    let rest = match line.strip_prefix('{') {
        Some(rest) => {
            let (number, rest) = rest.split_once('}')?;
            is_number(number).then_some(rest)?
        }
        None => line,
    };
    let class = match rest.strip_prefix("[Hardware Error]: event severity: ")?.trim_end() {
        "corrected" => LogClass::CperCorrected,
        "recoverable" => LogClass::CperRecoverable,
        "fatal" => LogClass::CperFatal,
        _ => return None,
    };
    Some((class, ""))
}

/// What the processor itself tells. arch/x86/kernel/cpu/mce/core.c: the state of a bank, of
/// which bits 61 (not put right) and 57 (the processor's state is lost) are looked at, Intel SDM
/// volume 3B, IA32_MCi_STATUS; or that there were some, which a daemon of its own was to take.
/// drivers/edac/mce_amd.c says the same in words.
fn machine_check(line: &str) -> Told<'_> {
    const UNCORRECTED: u64 = 1 << 61;
    const CONTEXT_CORRUPT: u64 = 1 << 57;
    const IN_WORDS: [(&str, LogClass); 5] = [
        ("Corrected error, no action required.", LogClass::CperCorrected),
        ("Deferred error, no action required.", LogClass::CperRecoverable),
        ("System Fatal error.", LogClass::CperFatal),
        ("Uncorrected, software containable error.", LogClass::CperRecoverable),
        ("Uncorrected, software restartable error.", LogClass::CperRecoverable),
    ];
    let rest = line.strip_prefix("mce: ").unwrap_or(line).strip_prefix("[Hardware Error]: ")?;
    if rest.starts_with("Machine check events logged") {
        return Some((LogClass::MachineCheckLogged, ""));
    }
    if let Some((_, class)) = IN_WORDS.iter().find(|(text, _)| rest.starts_with(text)) {
        return Some((*class, ""));
    }
    let (cpu, says) = rest.split_once(": Machine Check")?;
    cpu.strip_prefix("CPU ").filter(|number| is_number(number))?;
    let (_, status) = says.split_once(" Bank ")?.1.split_once(": ")?;
    let status = u64::from_str_radix(status.split(' ').next()?, 16).ok()?;
    let class = match (status & UNCORRECTED != 0, status & CONTEXT_CORRUPT != 0) {
        (true, true) => LogClass::CperFatal,
        (true, false) => LogClass::CperRecoverable,
        (false, _) => LogClass::CperCorrected,
    };
    Some((class, cpu))
}

/// drivers/edac/edac_mc.c `edac_ce_error` and `edac_ue_error`: `EDAC MC0: 1 CE memory read error
/// on …`. Former kernels had no more than `CE memory read error`.
fn memory(line: &str) -> Told<'_> {
    let Some(rest) = line.strip_prefix("EDAC MC") else {
        let place = line.strip_prefix("CE memory read error")?;
        let place = place.strip_prefix(" on ").unwrap_or(place).trim_start();
        return Some((LogClass::MemoryCe, first_word(place)));
    };
    let (number, rest) = rest.split_once(": ")?;
    let (count, rest) = rest.split_once(' ')?;
    let (kind, rest) = rest.split_once(' ')?;
    if !is_number(number) || !is_number(count) {
        return None;
    }
    let class = match kind {
        "CE" => LogClass::MemoryCe,
        "UE" => LogClass::MemoryUe,
        _ => return None,
    };
    // What kind of error stands before, where it is known.
    let place = rest.strip_prefix("on ").or_else(|| rest.split_once(" on ").map(|(_, at)| at))?;
    Some((class, first_word(place)))
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// mm/memory-failure.c: a page that is damaged, and what became of it and of who used it.
fn memory_failure(line: &str) -> Told<'_> {
    let page = between(line, "Memory failure: 0x", ": ")?;
    let is_page = !page.is_empty() && page.bytes().all(|byte| byte.is_ascii_hexdigit());
    let page = &line["Memory failure: ".len()..][..page.len() + 2];
    is_page.then_some((LogClass::MemoryUe, page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_today_has_its_class() {
        use LogClass::*;
        for (line, class, subject) in [
            ("BUG: kernel NULL pointer dereference, address: 0000000000000008", Oops, ""),
            ("BUG: unable to handle page fault for address: ffffb0a1c0de0000", Oops, ""),
            ("divide error: 0000 [#1] PREEMPT SMP PTI", Oops, ""),
            ("Oops: divide error: 0000 [#1] SMP NOPTI", Oops, ""),
            ("Oops: Oops: 0000 [#1] SMP NOPTI", Oops, ""),
            ("INFO: task dd:456 blocked in I/O wait for more than 122 seconds.", TaskHung, "dd"),
            (
                "blk_update_request: I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0",
                IoError,
                "sda",
            ),
            (
                "I/O error, dev nvme0n1, sector 2048 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2",
                IoError,
                "nvme0n1",
            ),
            (
                "watchdog: BUG: soft lockup - CPU#3 stuck for 22s! [kworker/3:1:77]",
                SoftLockup,
                "CPU#3",
            ),
            ("rcu: INFO: rcu_sched self-detected stall on CPU", RcuStall, ""),
            ("nf_conntrack: nf_conntrack: table full, dropping packet", ConntrackFull, ""),
            (
                "Out of memory: Killed process 4711 (java) total-vm:8364040kB, anon-rss:4162344kB, file-rss:0kB, shmem-rss:0kB, UID:1000 pgtables:8532kB oom_score_adj:900",
                OomNode,
                "java",
            ),
            (
                "INFO: task kworker/u8:2:912 blocked for more than 120 seconds.",
                TaskHung,
                "kworker/u8:2",
            ),
            (
                "EXT4-fs error (device sda1): ext4_lookup:1855: inode #12: comm ls: deleted inode referenced: 34",
                FsError,
                "sda1",
            ),
            (
                "Buffer I/O error on dev sda1, logical block 1234, lost async page write",
                IoError,
                "sda1",
            ),
            (
                "XFS (sdb1): Corruption of in-memory data (0x8) detected at xfs_defer_finish_noroll (fs/xfs/libxfs/xfs_defer.c:573).  Shutting down filesystem.",
                FsShutdown,
                "sdb1",
            ),
            ("XFS (sdb1): Log I/O Error Detected. Shutting down filesystem", FsShutdown, "sdb1"),
            ("EXT4-fs (sda1): Remounting filesystem read-only", FsRemountRo, "sda1"),
            (
                "unregister_netdevice: waiting for eth0 to become free. Usage count = 2",
                UnregisterNetdevice,
                "eth0",
            ),
            ("INFO: task dockerd:1234 blocked for more than 120 seconds.", TaskHung, "dockerd"),
            (
                "INFO: task containerd:1234 blocked for more than 120 seconds.",
                TaskHung,
                "containerd",
            ),
            // Of the hardware, and what leads to the same.
            ("{3}[Hardware Error]: event severity: corrected", CperCorrected, ""),
            ("[Hardware Error]: event severity: recoverable", CperRecoverable, ""),
            ("{1}[Hardware Error]: event severity: fatal", CperFatal, ""),
            (
                "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0 (channel:1 slot:0 page:0x2f8 offset:0x0 grain:32 syndrome:0x0)",
                MemoryCe,
                "CPU_SrcID#0_Ha#0_Chan#1_DIMM#0",
            ),
            (
                "Memory cgroup out of memory: Killed process 99 (stress) total-vm:1kB, anon-rss:1kB, file-rss:0kB",
                OomCgroup,
                "stress",
            ),
            (
                "general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP",
                Oops,
                "",
            ),
            ("kernel BUG at fs/ext4/inode.c:2721!", Oops, ""),
            ("Internal error: Oops: 0000000096000004 [#1] SMP", Oops, ""),
            (
                "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000",
                Oops,
                "",
            ),
            ("watchdog: CPU7: Watchdog detected hard LOCKUP on cpu 7", HardLockup, "7"),
            ("NMI watchdog: Watchdog detected hard LOCKUP on cpu 3", HardLockup, "3"),
            ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks: { 1-...}", RcuStall, ""),
            (
                "nf_conntrack: nf_conntrack: table full in netns 4026531840, dropping packet",
                ConntrackFull,
                "",
            ),
            (
                "cgroup: fork rejected by pids controller in /kubepods/besteffort/pod1/2",
                ForkRejected,
                "/kubepods/besteffort/pod1/2",
            ),
            ("critical medium error, dev sdc, sector 17 op 0x0:(READ)", IoError, "sdc"),
            ("XFS (dm-0): Metadata corruption detected at xfs_agf_read_verify", FsError, "dm-0"),
            ("BTRFS info (device sda2 state E): forced readonly", FsRemountRo, "sda2"),
            ("BTRFS error (device sda2): parent transid verify failed", FsError, "sda2"),
            // Requests that failed, in the spelling of 5.15 and of 6.x.
            (
                "blk_update_request: critical space allocation error, dev dm-3, sector 4096 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 0",
                IoError,
                "dm-3",
            ),
            (
                "critical space allocation error, dev dm-3, sector 4096 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2",
                IoError,
                "dm-3",
            ),
            (
                "blk_update_request: critical target error, dev sdc, sector 17 op 0x0:(READ)",
                IoError,
                "sdc",
            ),
            ("device offline error, dev sdc, sector 2048 op 0x1:(WRITE)", IoError, "sdc"),
            ("timeout error, dev nvme1n1, sector 8 op 0x0:(READ)", IoError, "nvme1n1"),
            ("recoverable transport error, dev sdb, sector 8 op 0x0:(READ)", IoError, "sdb"),
            ("protection error, dev sdb, sector 8 op 0x0:(READ)", IoError, "sdb"),
            ("reservation conflict error, dev sdb, sector 8 op 0x0:(READ)", IoError, "sdb"),
            ("sd 1:0:0:3: rejecting I/O to offline device", IoError, "1:0:0:3"),
            ("sd 1:0:0:3: [sdd] rejecting I/O to dead device", IoError, "sdd"),
            ("scsi 1:0:0:3: Device offlined - not ready after error recovery", IoError, "1:0:0:3"),
            // File systems.
            (
                "EXT4-fs (sdb1): warning: mounting fs with errors, running e2fsck is recommended",
                FsError,
                "sdb1",
            ),
            ("EXT4-fs (sdb1): error count since last fsck: 4", FsError, "sdb1"),
            ("EXT4-fs (sdb1): This should not happen!! Data will be lost", FsError, "sdb1"),
            (
                "EXT4-fs error (device sdb1) in ext4_reserve_inode_write:5047: Journal has aborted",
                FsError,
                "sdb1",
            ),
            ("Aborting journal on device sdb1-8.", FsError, "sdb1"),
            ("Aborting journal on device dm-1-8.", FsError, "dm-1"),
            ("Aborting journal on device dm-8.", FsError, "dm-8"),
            (
                "JBD2: Error -5 detected when updating journal superblock for dm-1-8.",
                IoError,
                "dm-1",
            ),
            ("JBD2: I/O error when updating journal superblock for sdb1-8.", IoError, "sdb1"),
            ("JBD2: Detected IO errors while flushing file data on sdb1-8", IoError, "sdb1"),
            ("JBD2: Invalid checksum recovering data block 7 in log", FsError, ""),
            ("JBD2: recovery failed", FsError, ""),
            ("XFS (sdb1): Corruption detected. Unmount and run xfs_repair", FsError, "sdb1"),
            (
                "XFS (sdb1): Metadata CRC error detected at xfs_agf_read_verify+0xd0/0xf0 [xfs], xfs_agf block 0x1",
                FsError,
                "sdb1",
            ),
            (
                "XFS (sdb1): Internal error XFS_WANT_CORRUPTED_GOTO at line 1740 of file fs/xfs/libxfs/xfs_alloc.c.  Caller xfs_free_ag_extent",
                FsError,
                "sdb1",
            ),
            (
                "XFS (sdb1): metadata I/O error in \"xfs_imap_to_bp+0x5c/0x80 [xfs]\" at daddr 0x8a66c0 len 32 error 5",
                IoError,
                "sdb1",
            ),
            ("XFS (sdb1): log I/O error -5", IoError, "sdb1"),
            (
                "XFS (sdb1): Filesystem has been shut down due to log error (0x2).",
                FsShutdown,
                "sdb1",
            ),
            ("XFS (sdb1): log mount/recovery failed: error -117", FsError, "sdb1"),
            ("BTRFS error (device dm-0: state A): Transaction aborted (error -5)", FsError, "dm-0"),
            (
                "BTRFS: error (device sdf) in __btrfs_free_extent:3216: errno=-28 No space left",
                FsError,
                "sdf",
            ),
            ("BTRFS: Transaction aborted (error -28)", FsError, ""),
            ("BTRFS warning (device sdf): Skipping commit of aborted transaction.", FsError, "sdf"),
            ("BTRFS info (device dm-0: state EA): forced readonly", FsRemountRo, "dm-0"),
            // Hardware, as the processor tells of it.
            (
                "EDAC MC0: 1 UE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0 (channel:1 slot:0 page:0x2f8 offset:0x0 grain:32)",
                MemoryUe,
                "CPU_SrcID#0_Ha#0_Chan#1_DIMM#0",
            ),
            (
                "EDAC MC1: 1 CE memory scrubbing error on CPU_SrcID#1_MC#0_Chan#0_DIMM#0 (channel:0 slot:0 page:0x0 offset:0x0 grain:32 syndrome:0x0)",
                MemoryCe,
                "CPU_SrcID#1_MC#0_Chan#0_DIMM#0",
            ),
            (
                "EDAC MC0: 1 UE on mc#0csrow#3channel#0 (csrow:3 channel:0)",
                MemoryUe,
                "mc#0csrow#3channel#0",
            ),
            (
                "Memory failure: 0x1b5e50: Killing java:4711 due to hardware memory corruption",
                MemoryUe,
                "0x1b5e50",
            ),
            (
                "Memory failure: 0x1b5e50: recovery action for dirty LRU page: Recovered",
                MemoryUe,
                "0x1b5e50",
            ),
            (
                "mce: [Hardware Error]: CPU 2: Machine Check: 0 Bank 3: cc5eb2c000100135",
                CperCorrected,
                "CPU 2",
            ),
            (
                "mce: [Hardware Error]: CPU 1: Machine Check: 0 Bank 7: bd80000000100134",
                CperRecoverable,
                "CPU 1",
            ),
            (
                "mce: [Hardware Error]: CPU 12: Machine Check Exception: 5 Bank 4: fe00000000800400",
                CperFatal,
                "CPU 12",
            ),
            ("mce: [Hardware Error]: Machine check events logged", MachineCheckLogged, ""),
            ("[Hardware Error]: Corrected error, no action required.", CperCorrected, ""),
            ("[Hardware Error]: Deferred error, no action required.", CperRecoverable, ""),
            ("[Hardware Error]: Uncorrected, software restartable error.", CperRecoverable, ""),
            ("[Hardware Error]: System Fatal error.", CperFatal, ""),
            ("Kernel panic - not syncing: Fatal exception in interrupt", Oops, ""),
            ("Out of memory and no killable processes...", OomCgroup, ""),
        ] {
            assert_eq!(classify(line), Some((class, subject)), "{line}");
        }
    }

    #[test]
    fn lines_that_only_resemble_are_silent() {
        for line in [
            "",
            "systemd[1]: BUG: kernel NULL pointer dereference, address: 0000000000000008",
            "traps: app[77] general protection fault ip:7f sp:7f error:0 in libc.so[7f+1]",
            "traps: app[77] trap divide error ip:401 sp:7f error:0",
            "divide error: in the documentation",
            "Oops, that went wrong",
            "INFO: task force started",
            "INFO: task dd:456 blocked for more than a coffee",
            "INFO: task blocked for more than 120 seconds.",
            "Future hung task reports are suppressed, see sysctl kernel.hung_task_warnings",
            "I/O error, dev fd0, sector 0 op 0x0:(READ)",
            "Buffer I/O error on dev sr0, logical block 0, async page read",
            "my-app: I/O error, dev sda, sector 2048",
            "I/O scheduler mq-deadline registered",
            "EXT4-fs (sda1): mounted filesystem with ordered data mode",
            "EXT4-fs (sda1): re-mounted 5f7c ro. Quota mode: none.",
            "EXT4-fs warning (device sda1): ext4_multi_mount_protect:325",
            "XFS (sdb1): Mounting V5 Filesystem",
            "XFS (sdb1): Ending clean mount",
            "BTRFS info (device sda2): using crc32c",
            "watchdog: BUG: soft lockup detector disabled",
            "rcu: Hierarchical RCU implementation.",
            "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
            "nf_conntrack version 0.5.0 (65536 buckets, 262144 max)",
            "Out of memory is a book",
            "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x",
            "java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
            "oom_reaper: reaped process 4711 (java), now anon-rss:0kB",
            "unregister_netdevice: nothing waits",
            "operation not supported error, dev loop0, sector 0 op 0x9:(WRITE_ZEROES) flags 0x800",
            "nonblocking retry error, dev nvme0n1, sector 8 op 0x0:(READ)",
            "device offline error, dev sr0, sector 0 op 0x0:(READ)",
            "sr 3:0:0:0: rejecting I/O to offline device",
            "sd 1:0:0: rejecting I/O to offline device",
            "sd 1:0:0:3: [sdd] Attached SCSI disk",
            "sd 1:0:0:3: [sdd] Synchronizing SCSI cache",
            "EXT4-fs (sda1): warning: mounting unchecked fs, running e2fsck is recommended",
            "EXT4-fs (sda1): recovery complete",
            "JBD2: Clearing recovery information on journal",
            "XFS (sdb1): Starting recovery (logdev: internal)",
            "XFS (sdb1): Unmounting Filesystem",
            "BTRFS: device fsid 5f7c devid 1 transid 10 /dev/sda2 scanned by mount (1)",
            "BTRFS warning (device sdf): checksum verify failed",
            "mce: CPU0: Thermal monitoring enabled (TM1)",
            "mce: [Hardware Error]: TSC 0 ADDR 4658130c0 MISC 102285 ",
            "mce: [Hardware Error]: CPU 2: Machine Check: 0 Bank 3: not a number",
            "Memory failure: is a chapter",
            "EDAC MC0: Giving out device to module skx_edac",
            "[Hardware Error]: event severity: unknown",
            "EDAC MC: Ver: 3.0.0",
            "{x}[Hardware Error]: event severity: fatal",
        ] {
            assert_eq!(classify(line), None, "{line}");
        }
    }
}
