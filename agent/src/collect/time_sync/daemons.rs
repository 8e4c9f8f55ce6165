//! The programs that can keep a machine's clock: what their installation left on disk,
//! whether systemd starts them, and whether they run and how they were started.

use nodeward_domain::facts::TimeDaemon;

use super::units;
use crate::host::{Found, HostError, HostRoot, find_processes_of};

/// chrony's daemon.
pub(super) const CHRONYD: &str = "chronyd";

/// What is known of one program.
struct Known {
    name: &'static str,
    /// Its process's name, of which the kernel keeps 15 bytes.
    process: &'static str,
    /// Its unit, by the names that distributions give it.
    units: &'static [&'static str],
    traces: &'static [&'static str],
}

/// By name.
const KNOWN: [Known; 8] = [
    Known {
        name: "VBoxService",
        process: "VBoxService",
        units: &["virtualbox-guest-utils.service", "vboxadd-service.service"],
        traces: &["/usr/sbin/VBoxService"],
    },
    Known {
        name: CHRONYD,
        process: CHRONYD,
        units: &["chrony.service", "chronyd.service"],
        traces: &["/usr/bin/chronyd", "/usr/sbin/chronyd"],
    },
    Known {
        // ntpd-rs.
        name: "ntp-daemon",
        process: "ntp-daemon",
        units: &["ntpd-rs.service"],
        traces: &["/usr/bin/ntp-daemon"],
    },
    Known {
        // NTP, NTPsec and OpenNTPD.
        name: "ntpd",
        process: "ntpd",
        units: &["ntp.service", "ntpd.service", "ntpsec.service", "openntpd.service"],
        traces: &["/usr/sbin/ntpd"],
    },
    Known {
        name: "phc2sys",
        process: "phc2sys",
        units: &["phc2sys.service"],
        traces: &["/usr/sbin/phc2sys"],
    },
    Known {
        name: "ptp4l",
        process: "ptp4l",
        units: &["ptp4l.service"],
        traces: &["/usr/sbin/ptp4l"],
    },
    Known {
        name: "systemd-timesyncd",
        process: "systemd-timesyn",
        units: &["systemd-timesyncd.service"],
        traces: &["/lib/systemd/systemd-timesyncd", "/usr/lib/systemd/systemd-timesyncd"],
    },
    Known {
        name: "vmtoolsd",
        process: "vmtoolsd",
        units: &["open-vm-tools.service", "vmtoolsd.service"],
        traces: &["/usr/bin/vmtoolsd"],
    },
];

/// A program that was found, and how it was started.
pub(super) struct FoundDaemon {
    /// What is reported of it.
    pub daemon: TimeDaemon,
    /// Its arguments when it runs, its own name first.
    pub arguments: Vec<String>,
}

/// The programs that are installed or run, by name.
pub(super) fn find(root: &HostRoot) -> Result<Vec<FoundDaemon>, HostError> {
    let processes = find_processes_of(root, &KNOWN.map(|known| known.process))?;
    let wanted = units::wanted(root)?;
    let mut found = Vec::new();
    for known in KNOWN {
        let traces = root.existing(known.traces)?;
        let unit = units::of(root, known.units, &wanted)?;
        // chronyd has a second process that resolves names: the first one is meant.
        let process = processes.iter().find(|process| process.name == known.process);
        if traces.is_empty() && unit.is_none() && process.is_none() {
            continue;
        }
        let arguments =
            process.map(|Found { arguments, .. }| arguments.clone()).unwrap_or_default();
        found.push(FoundDaemon {
            daemon: TimeDaemon {
                name: known.name.to_owned(),
                traces,
                unit,
                process: process.map(|Found { process, .. }| process.clone()),
                only_watches: only_watches(known.name, &arguments),
            },
            arguments,
        });
    }
    Ok(found)
}

/// Whether a program was started so that it leaves the clock alone.
fn only_watches(name: &str, arguments: &[String]) -> bool {
    match name {
        CHRONYD => ChronydArguments::of(arguments).only_watches,
        // phc2sys sets hardware clocks by each other with -a, and the system's with -r too.
        "phc2sys" => {
            let has = |flag| arguments.iter().skip(1).any(|one| one.starts_with(flag));
            has("-a") && !has("-r")
        }
        _ => false,
    }
}

/// What the arguments of chronyd say, chronyd(8).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChronydArguments {
    /// `-f`: the configuration file.
    pub file: Option<String>,
    /// `-x`: the clock is left alone.
    pub only_watches: bool,
    /// Directives, in the place of a configuration file.
    pub directives: Vec<String>,
}

impl ChronydArguments {
    /// Reads them. The first one is the program's own name.
    pub(super) fn of(arguments: &[String]) -> Self {
        let mut read = Self::default();
        let mut arguments = arguments.iter().skip(1);
        while let Some(argument) = arguments.next() {
            let Some(flags) = argument.strip_prefix('-').filter(|flags| !flags.is_empty()) else {
                read.directives.push(argument.clone());
                continue;
            };
            for (at, flag) in flags.char_indices() {
                let rest = &flags[at + flag.len_utf8()..];
                match flag {
                    'x' => read.only_watches = true,
                    'f' | 'F' | 'l' | 'L' | 'N' | 'P' | 't' | 'u' => {
                        let value = if rest.is_empty() {
                            arguments.next().cloned()
                        } else {
                            Some(rest.to_owned())
                        };
                        if flag == 'f' {
                            read.file = value;
                        }
                        break;
                    }
                    _ => {}
                }
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn flags_of_chronyd_are_read_apart_and_together() {
        for (line, file, only_watches) in [
            ("chronyd -F 1", None, false),
            ("chronyd -x -F 1", None, true),
            ("chronyd -nxf /a", Some("/a"), true),
            ("chronyd -f/a -n", Some("/a"), false),
            // The user is called x.
            ("chronyd -u x", None, false),
            ("chronyd -ux", None, false),
        ] {
            let read = ChronydArguments::of(&arguments(line));
            assert_eq!((read.file.as_deref(), read.only_watches), (file, only_watches), "{line}");
        }
        let read = ChronydArguments::of(&["chronyd".to_owned(), "cmdport 1".to_owned()]);
        assert_eq!(read.directives, ["cmdport 1"]);
    }

    #[test]
    fn phc2sys_among_hardware_clocks_leaves_the_systems_alone() {
        assert!(only_watches("phc2sys", &arguments("phc2sys -a -m")));
        assert!(!only_watches("phc2sys", &arguments("phc2sys -a -r")));
        assert!(!only_watches("phc2sys", &arguments("phc2sys -s eth0 -w")));
        assert!(!only_watches("ntpd", &arguments("ntpd -x")));
    }
}
