//! Facts of `sysctl`: what kernel parameters are, and what the host's files say they
//! should be. Source: sysctl.d(5), `/proc/sys`.

use serde::Serialize;

use super::Headline;

/// The kernel parameters that a file of the host or a support policy names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sysctl {
    /// By key.
    pub settings: Vec<Setting>,
    /// The files with lines that say nothing, in the order in which they are read.
    pub passed_over: Vec<PassedOver>,
}

/// Lines of a file that say nothing of any parameter: whatever was meant by them is not in
/// force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// The file.
    pub file: String,
    /// How many of its lines.
    pub lines: u32,
    /// The first of them, from 1.
    pub first_line: u32,
    /// What that one is.
    pub why: String,
}

/// One kernel parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Such as `net.core.somaxconn`.
    pub key: String,
    /// What it is now.
    pub live: LiveValue,
    /// What the host's files say; none when none of them names it.
    pub expected: Option<ExpectedValue>,
}

/// What a kernel parameter is now. Blanks between the parts of a value are single spaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveValue {
    /// This.
    Value(String),
    /// The running kernel has no such parameter; its module may not be loaded.
    Missing,
    /// It could not be read, for this reason.
    Unreadable(String),
}

/// The value that counts when all files of sysctl.d(5) are read in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpectedValue {
    /// The value, its blanks as in [`LiveValue`].
    pub value: String,
    /// The file that it comes from.
    pub file: String,
}

/// A namespace that a kernel parameter belongs to, namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Namespace {
    /// Each network namespace has its own value, or does not show the machine's.
    Network,
    /// Each IPC namespace has its own value.
    Ipc,
    /// Each PID namespace has its own value.
    Pid,
    /// Each UTS namespace has its own value.
    Uts,
}

impl Namespace {
    /// The namespace that a parameter belongs to; none for one of the whole machine.
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        if key.starts_with("fs.mqueue.")
            || key.starts_with("kernel.shm")
            || key.starts_with("kernel.msg")
            || key == "kernel.sem"
        {
            Some(Self::Ipc)
        } else if key == "kernel.pid_max" {
            // Since Linux 6.14.
            Some(Self::Pid)
        } else if key == "kernel.hostname" || key == "kernel.domainname" {
            Some(Self::Uts)
        } else if key.starts_with("net.") {
            // Some of these the machine has once; in another namespace they do not show.
            Some(Self::Network)
        } else {
            None
        }
    }

    /// Its name below `/proc/PID/ns`.
    #[must_use]
    pub const fn link(self) -> &'static str {
        match self {
            Self::Network => "net",
            Self::Ipc => "ipc",
            Self::Pid => "pid",
            Self::Uts => "uts",
        }
    }
}

impl Headline for Sysctl {
    fn headline(&self) -> String {
        let named = self.settings.iter().filter(|setting| setting.expected.is_some()).count();
        let unread = self
            .settings
            .iter()
            .filter(|setting| matches!(setting.live, LiveValue::Unreadable(_)))
            .count();
        let unread =
            if unread == 0 { String::new() } else { format!(", {unread} could not be read") };
        let lines: u32 =
            self.passed_over.iter().map(|file| file.lines).fold(0, u32::saturating_add);
        let passed_over = match lines {
            0 => String::new(),
            1 => ", one line of a file passed over".to_owned(),
            lines => format!(", {lines} lines of files passed over"),
        };
        format!("{} parameters, {named} named by files{unread}{passed_over}", self.settings.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_knows_whose_it_is() {
        for (key, namespace) in [
            ("net.ipv4.ip_forward", Some(Namespace::Network)),
            ("net.core.somaxconn", Some(Namespace::Network)),
            ("net.core.netdev_max_backlog", Some(Namespace::Network)),
            ("kernel.shmmax", Some(Namespace::Ipc)),
            ("fs.mqueue.msg_max", Some(Namespace::Ipc)),
            ("kernel.hostname", Some(Namespace::Uts)),
            ("kernel.pid_max", Some(Namespace::Pid)),
            ("kernel.panic", None),
            ("vm.swappiness", None),
        ] {
            assert_eq!(Namespace::of(key), namespace, "{key}");
        }
    }
}
