//! Facts of `dns`: which nameservers the node itself resolves names by, which ones the
//! kubelet hands to pods, and what each answered. Sources: resolv.conf(5),
//! systemd-resolved.service(8), the kubelet's `resolvConf`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Headline;

/// So many nameservers of a file are used, `MAXNS` of resolv.conf(5), and by the kubelet too.
pub const NAMESERVER_LIMIT: usize = 3;

/// Where AKS's localdns listens: for the node, and for pods.
const LOCAL_DNS: [&str; 2] = ["169.254.10.10", "169.254.10.11"];

/// What was seen of the node's resolving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// What programs on the node read, `/etc/resolv.conf`.
    pub node: ResolverFile,
    /// Whom systemd-resolved asks, where the node's file leads to its stub.
    pub uplink: Option<ResolverFile>,
    /// What the kubelet hands to pods.
    pub pods: PodResolver,
    /// The nameservers of all files that are used, each once, in the order of the files.
    pub nameservers: Vec<Nameserver>,
    /// The provider's cache of names on the node.
    pub local_dns: LocalDns,
}

/// A file in the form of resolv.conf(5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResolverFile {
    /// Its path.
    pub path: String,
    /// Whether it is there.
    pub is_there: bool,
    /// Its nameservers, in order.
    pub nameservers: Vec<String>,
    /// Domains that short names are looked for in.
    pub search: Vec<String>,
    /// Its options.
    pub options: Vec<String>,
}

/// What the kubelet hands to pods that resolve as the node does, CoreDNS among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PodResolver {
    /// There is no kubelet.
    NoKubelet,
    /// It is told to hand out none.
    Off,
    /// This.
    File(ResolverFile),
    /// Which one is not known, for this reason.
    Unreadable(String),
}

/// A nameserver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Nameserver {
    /// Its address, as it stands in the file.
    pub address: String,
    /// What it answered.
    pub answer: NameserverAnswer,
}

/// What a nameserver answered to the question for the nameservers of the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum NameserverAnswer {
    /// It answered with that code, such as `NOERROR` or `SERVFAIL`.
    Answered {
        /// The code's name.
        code: String,
    },
    /// Nobody listens there.
    Refused,
    /// No answer in time.
    TimedOut {
        /// The limit, in milliseconds.
        after_milliseconds: u64,
    },
    /// No question could be sent, or what came is no answer.
    Failed {
        /// What went wrong.
        why: String,
    },
    /// It was not asked, for this reason.
    NotAsked {
        /// Why not.
        why: String,
    },
}

/// The provider's cache of names on the node, `localdns.service` of AKS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalDns {
    /// No file leads to it.
    NotUsed,
    /// It is used, and there is no such unit.
    NoUnit,
    /// It is used; this is the state of its unit: ActiveState and SubState.
    Unit(String),
    /// It is used; its unit could not be seen, for this reason.
    Unreadable(String),
}

impl ResolverFile {
    /// The nameservers that are used; more are ignored.
    #[must_use]
    pub fn used(&self) -> &[String] {
        &self.nameservers[..self.nameservers.len().min(NAMESERVER_LIMIT)]
    }

    /// The nameservers that are used and lie on the loopback of whoever reads the file.
    pub fn loopbacks(&self) -> impl Iterator<Item = &str> {
        let is_loopback =
            |address: &&str| address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.used().iter().map(String::as_str).filter(is_loopback)
    }

    /// Whether it leads to AKS's localdns.
    #[must_use]
    pub fn is_to_local_dns(&self) -> bool {
        self.used().iter().any(|address| LOCAL_DNS.contains(&address.as_str()))
    }
}

impl NameserverAnswer {
    /// Whether it gives no answers; none when it was not asked.
    #[must_use]
    pub const fn is_silent(&self) -> Option<bool> {
        match self {
            Self::Answered { .. } => Some(false),
            Self::Refused | Self::TimedOut { .. } | Self::Failed { .. } => Some(true),
            Self::NotAsked { .. } => None,
        }
    }

    /// Whether it says itself that it cannot resolve for a fault of its own, RFC 1035 §4.1.1.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        matches!(self, Self::Answered { code } if code == "SERVFAIL")
    }

    /// Whether it does not want to tell, by its policy (RFC 1035 §4.1.1, RFC 8499 §3), or does
    /// not know the kind of question. A resolver takes that as it takes a failure and asks the
    /// next nameserver (glibc, resolv/res_send.c). Of the root some refuse to tell that tell of
    /// other names, so that it proves neither.
    #[must_use]
    pub fn is_declining(&self) -> bool {
        matches!(self, Self::Answered { code } if code == "REFUSED" || code == "NOTIMP")
    }

    /// Whether it told who the root's nameservers are.
    #[must_use]
    pub fn tells(&self) -> bool {
        matches!(self, Self::Answered { code } if code == "NOERROR")
    }
}

impl std::fmt::Display for NameserverAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered { code } => f.write_str(code),
            Self::Refused => f.write_str("nobody listens"),
            Self::TimedOut { after_milliseconds } => {
                write!(f, "no answer within {after_milliseconds} ms")
            }
            Self::Failed { why } => f.write_str(why),
            Self::NotAsked { why } => write!(f, "not asked: {why}"),
        }
    }
}

impl Dns {
    /// The files that are used, each once.
    #[must_use]
    pub fn files(&self) -> Vec<&ResolverFile> {
        let pods = match &self.pods {
            PodResolver::File(file) => Some(file),
            PodResolver::NoKubelet | PodResolver::Off | PodResolver::Unreadable(_) => None,
        };
        let mut files = vec![&self.node];
        for file in self.uplink.iter().chain(pods) {
            if !files.iter().any(|other| other.path == file.path) {
                files.push(file);
            }
        }
        files
    }

    /// What the nameserver at that address answered.
    #[must_use]
    pub fn answer(&self, address: &str) -> Option<&NameserverAnswer> {
        self.nameservers.iter().find(|one| one.address == address).map(|one| &one.answer)
    }
}

impl Headline for Dns {
    fn headline(&self) -> String {
        let silent = self.nameservers.iter().filter(|one| one.answer.is_silent() == Some(true));
        let silent: Vec<&str> = silent.map(|one| one.address.as_str()).collect();
        let used = match self.node.used() {
            [] => "no nameserver".to_owned(),
            used => format!("by {}", used.join(", ")),
        };
        match silent.as_slice() {
            [] => used,
            silent => format!("{used}; silent: {}", silent.join(", ")),
        }
    }
}
