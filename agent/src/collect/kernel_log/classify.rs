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

const RULES: [fn(&str) -> Told<'_>; 12] = [
    oops,
    lockup,
    rcu_stall,
    task_hung,
    io_error,
    file_system,
    out_of_memory,
    conntrack_full,
    fork_rejected,
    unregister_netdevice,
    hardware,
    memory,
];

/// What stands between two texts, the first of which begins the line.
fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(before)?;
    Some(&rest[..rest.find(after)?])
}

/// arch/x86/mm/fault.c, arch/x86/kernel/traps.c and dumpstack.c, lib/bug.c, arch/arm64/mm/fault.c.
/// Behind a fault stands how many there were, `[#1]`; a program's own faults have none.
fn oops(line: &str) -> Told<'_> {
    const ALONE: [&str; 4] = [
        "BUG: kernel NULL pointer dereference, address: ",
        "BUG: unable to handle ",
        "kernel BUG at ",
        "Unable to handle kernel ",
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
    let is_pid = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
    let is_told = is_pid && rest[end..].trim_end().ends_with(" seconds.");
    is_told.then_some((LogClass::TaskHung, name))
}

/// block/blk-core.c `blk_status_to_str`, fs/buffer.c.
fn io_error(line: &str) -> Told<'_> {
    let rest = ["blk_update_request: ", "print_req_error: "]
        .iter()
        .find_map(|before| line.strip_prefix(before))
        .unwrap_or(line);
    const ERRORS: [&str; 3] =
        ["I/O error, dev ", "critical medium error, dev ", "critical target error, dev "];
    let device = match ERRORS.iter().find_map(|error| between(rest, error, ", sector ")) {
        Some(device) => device,
        None => between(line, "Buffer I/O error on dev ", ", logical block ")
            .or_else(|| between(line, "Buffer I/O error on device ", ", logical block "))?,
    };
    // Drives without a medium answer so whenever they are asked: no fault.
    let is_removable = ["fd", "sr"].iter().any(|kind| {
        let number = device.strip_prefix(kind);
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    (!is_removable).then_some((LogClass::IoError, device))
}

/// fs/ext4/super.c, fs/xfs/xfs_fsops.c, xfs_message.c and xfs_error.c, fs/btrfs/messages.c.
fn file_system(line: &str) -> Told<'_> {
    if let Some(device) = between(line, "EXT4-fs error (device ", ")") {
        return Some((LogClass::FsError, device));
    }
    if let Some(device) = between(line, "EXT4-fs (", "): Remounting filesystem read-only") {
        return Some((LogClass::FsRemountRo, device));
    }
    if let Some(device) = between(line, "XFS (", "): ") {
        let says = &line["XFS (".len() + device.len() + "): ".len()..];
        if says.trim_end_matches('.').ends_with("hutting down filesystem") {
            return Some((LogClass::FsShutdown, device));
        }
        let is_damaged = ["Metadata corruption detected ", "Corruption detected"]
            .iter()
            .any(|text| says.starts_with(text));
        return is_damaged.then_some((LogClass::FsError, device));
    }
    for (before, class) in [
        ("BTRFS info (device ", LogClass::FsRemountRo),
        ("BTRFS: forced readonly", LogClass::FsRemountRo),
        ("BTRFS critical (device ", LogClass::FsError),
        ("BTRFS error (device ", LogClass::FsError),
    ] {
        let Some(rest) = line.strip_prefix(before) else { continue };
        if class == LogClass::FsRemountRo && !line.ends_with("forced readonly") {
            continue;
        }
        let end = rest.find([')', ' ']).unwrap_or(rest.len());
        return Some((class, if before.ends_with(' ') { &rest[..end] } else { "" }));
    }
    None
}

/// mm/oom_kill.c.
fn out_of_memory(line: &str) -> Told<'_> {
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
fn hardware(line: &str) -> Told<'_> {
    let rest = match line.strip_prefix('{') {
        Some(rest) => {
            let (number, rest) = rest.split_once('}')?;
            number.bytes().all(|byte| byte.is_ascii_digit()).then_some(rest)?
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

/// drivers/edac/edac_mc.c: `EDAC MC0: 1 CE memory read error on …`.
fn memory(line: &str) -> Told<'_> {
    let rest = match line.strip_prefix("EDAC MC") {
        Some(rest) => {
            let (number, rest) = rest.split_once(": ")?;
            let (count, rest) = rest.split_once(' ')?;
            let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            (is_number(number) && is_number(count)).then_some(rest)?
        }
        None => line,
    };
    let place = rest.strip_prefix("CE memory read error")?;
    let place = place.strip_prefix(" on ").unwrap_or(place).trim_start();
    Some((LogClass::MemoryCe, &place[..place.find(' ').unwrap_or(place.len())]))
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
            "mce: [Hardware Error]: Machine check events logged",
            "[Hardware Error]: event severity: unknown",
            "EDAC MC: Ver: 3.0.0",
            "{x}[Hardware Error]: event severity: fatal",
        ] {
            assert_eq!(classify(line), None, "{line}");
        }
    }
}
