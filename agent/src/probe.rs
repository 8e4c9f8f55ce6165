//! Local endpoints: HTTP on loopback, the container runtime's socket, systemd's bus,
//! chronyd, the kernel's clock and its packet filter; and beyond the machine nameservers, the API server, and
//! what the operator names. Every probe is bounded in time and asks only what reads.

mod call;
pub mod chrony;
pub mod clock;
mod containerd_api;
pub mod cri;
pub mod http;
mod netfilter;
pub mod reach;
mod recording;
pub mod resolver;
pub mod series;
mod socket;
pub(crate) mod systemd;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use nodeward_domain::facts::{
    CriAnswer, HttpAnswer, ManagedImage, NameserverAnswer, Reach, SystemManager, UnitState,
};

use tokio::task::JoinHandle;

use crate::host::{HostRoot, Space};
use crate::nftables::Ruleset;
use cri::Heard;
use http::{Get, Reply};
use reach::{Errand, Seen};

pub use recording::{RecordedReach, Recording, RecordingError, RuntimeRecording};

/// A connection must stand after this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// When a timer of ours rings so much too late, the agent got no processor, and what it did
/// not hear in time it may have been told.
const LATE: Duration = Duration::from_millis(500);

/// Why a wait that has passed its limit says nothing; none when it ended in time.
fn held_up(begun: tokio::time::Instant, limit: Duration) -> Option<String> {
    let late = begun.elapsed().checked_sub(limit).filter(|late| *late > LATE)?;
    Some(format!("the agent itself was held up for {} ms", late.as_millis()))
}

/// Who answers when a collector asks a local endpoint.
#[derive(Debug)]
pub enum Probes {
    /// The endpoints themselves: the host root is the machine that runs.
    Live {
        /// Where the probes' input and output runs.
        runtime: tokio::runtime::Handle,
    },
    /// A recording, for host roots that are not a running machine.
    Recorded(Box<Recording>),
    /// Nobody, for this reason.
    Off(String),
}

impl Probes {
    /// Live when the host root shows the machine that runs, which its boot id tells;
    /// else off, so that a copy of a node is never mixed with the machine it lies on.
    #[must_use]
    pub fn of(root: &HostRoot, runtime: tokio::runtime::Handle) -> Self {
        const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
        if root.path() == Path::new("/") {
            return Self::Live { runtime };
        }
        match (std::fs::read_to_string(BOOT_ID), root.read_text(BOOT_ID, 4096)) {
            (Ok(ours), Ok(theirs)) if ours.trim() == theirs.trim() => Self::Live { runtime },
            (Ok(_), Ok(_)) => Self::Off("the host root is not the machine that runs".to_owned()),
            (Err(error), _) => Self::Off(format!("own boot id: {error}")),
            (_, Err(error)) => Self::Off(format!("{} below the host root: {error}", error.path())),
        }
    }

    /// Whether the host root shows the machine that runs.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Live { .. })
    }

    /// The recording, if that is who answers.
    #[must_use]
    pub fn recording(&self) -> Option<&Recording> {
        match self {
            Self::Recorded(recording) => Some(recording),
            Self::Live { .. } | Self::Off(_) => None,
        }
    }

    /// Asks an HTTP endpoint on this machine.
    #[must_use]
    pub fn http_get(&self, address: SocketAddr, path: &str, limit: Duration) -> HttpAnswer {
        let [reply] = self.http([Get::whole(address, path, limit)]);
        reply.answer
    }

    /// Asks HTTP endpoints on this machine, all at the same time.
    #[must_use]
    pub fn http<const N: usize>(&self, gets: [Get; N]) -> [Reply; N] {
        self.http_where_known(gets.map(Ok))
    }

    /// Asks HTTP endpoints on this machine, all at the same time. Of those of which it is
    /// not known where they are, the reply is the reason.
    #[must_use]
    pub fn http_where_known<const N: usize>(&self, gets: [Result<Get, String>; N]) -> [Reply; N] {
        match self {
            Self::Live { runtime } => {
                let asked = gets.map(|get| get.map(|get| runtime.spawn(http::get(get))));
                asked.map(|reply| match reply {
                    Ok(reply) => {
                        runtime.block_on(reply).unwrap_or_else(|error| failed(&error).into())
                    }
                    Err(why) => not_asked(why).into(),
                })
            }
            Self::Recorded(recording) => gets.map(|get| match get {
                Ok(get) => recording.reply(&get),
                Err(why) => not_asked(why).into(),
            }),
            Self::Off(off) => gets.map(|get| not_asked(get.err().unwrap_or(off.clone())).into()),
        }
    }

    /// Asks nameservers for those of the root, all at the same time.
    #[must_use]
    pub fn nameservers(&self, addresses: &[IpAddr]) -> Vec<resolver::Heard> {
        let not_asked = |why: &str| resolver::Heard {
            answer: NameserverAnswer::NotAsked { why: why.to_owned() },
            took: None,
        };
        match self {
            Self::Live { runtime } => {
                let asked: Vec<_> = addresses
                    .iter()
                    .map(|address| runtime.spawn(resolver::nameserver(*address)))
                    .collect();
                let heard = |asked: JoinHandle<resolver::Heard>| {
                    runtime.block_on(asked).unwrap_or_else(|error| not_asked(&error.to_string()))
                };
                asked.into_iter().map(heard).collect()
            }
            Self::Recorded(recording) => {
                let recorded = |address: &IpAddr| {
                    recording.asked.note(|| format!("udp://{address}:53"));
                    match recording.nameservers.get(&address.to_string()) {
                        Some(answer) => resolver::Heard { answer: answer.clone(), took: None },
                        None => not_asked("it is not in the recording"),
                    }
                };
                addresses.iter().map(recorded).collect()
            }
            Self::Off(why) => addresses.iter().map(|_| not_asked(why)).collect(),
        }
    }

    /// Goes to endpoints beyond the machine, to all at the same time.
    #[must_use]
    pub fn reach(&self, errands: Vec<Errand>) -> Vec<Seen> {
        let not_probed = |why: String| Seen::stopped(Reach::NotProbed { why });
        match self {
            Self::Live { runtime } => {
                let gone: Vec<_> =
                    errands.into_iter().map(|errand| runtime.spawn(reach::go(errand))).collect();
                let seen = |gone: JoinHandle<Seen>| {
                    runtime.block_on(gone).unwrap_or_else(|error| not_probed(error.to_string()))
                };
                gone.into_iter().map(seen).collect()
            }
            Self::Recorded(recording) => {
                errands.iter().map(|errand| recording.seen(errand)).collect()
            }
            Self::Off(why) => errands.iter().map(|_| not_probed(why.clone())).collect(),
        }
    }

    /// Asks the chronyd that listens there.
    #[must_use]
    pub fn chrony(&self, address: SocketAddr, limit: Duration) -> chrony::Answer {
        match self {
            Self::Live { .. } => chrony::ask(address, limit),
            Self::Recorded(recording) => {
                recording.asked.note(|| format!("udp://{address}"));
                recording.chrony.clone().unwrap_or_else(|| chrony::Answer::NotAsked {
                    why: "chrony is not in the recording".to_owned(),
                })
            }
            Self::Off(why) => chrony::Answer::NotAsked { why: why.clone() },
        }
    }

    /// Asks the kernel for the state of its clock, or says why not.
    pub fn clock(&self) -> Result<clock::KernelTime, String> {
        match self {
            Self::Live { .. } => clock::read().map_err(|error| format!("adjtimex: {error}")),
            Self::Recorded(recording) => {
                recording.asked.note(|| "adjtimex(2)".to_owned());
                recording
                    .clock
                    .ok_or_else(|| "the kernel's clock is not in the recording".to_owned())
            }
            Self::Off(why) => Err(why.clone()),
        }
    }

    /// Asks the kernel for the rules of its packet filter nf_tables, in the network of whoever
    /// calls, or says why not.
    pub fn packet_filter(&self) -> Result<Ruleset, String> {
        match self {
            Self::Live { .. } => netfilter::rules(),
            Self::Recorded(recording) => {
                recording.asked.note(|| netfilter::PLACE.to_owned());
                recording.packet_filter()
            }
            Self::Off(why) => Err(why.clone()),
        }
    }

    /// Asks the kernel how big the file system is that a path of the host lies on, or says why
    /// not.
    pub fn space(&self, root: &HostRoot, path: &str) -> Result<Space, String> {
        match self {
            Self::Live { .. } => root.space(path).map_err(|error| error.to_string()),
            Self::Recorded(recording) => {
                recording.asked.note(|| "statfs(2)".to_owned());
                let space = recording.filesystems.get(path).copied();
                space.ok_or_else(|| "its size is not in the recording".to_owned())
            }
            Self::Off(why) => Err(why.clone()),
        }
    }

    /// Asks the container runtime behind a socket of the host.
    #[must_use]
    pub fn cri(&self, root: &HostRoot, socket: &str, limit: Duration) -> Heard {
        const LACKING: &str = "the runtime is not in the recording";
        let not_asked = |why: &str| CriAnswer::NotAsked { why: why.to_owned() };
        match self {
            Self::Live { runtime } => cri::ask(runtime, root, socket, limit),
            Self::Recorded(recording) => {
                recording.asked.note(|| socket.to_owned());
                let answer = recording.cri.clone().unwrap_or_else(|| not_asked(LACKING));
                // Where nobody answers, nothing else is answered.
                let nobody = matches!(
                    answer,
                    CriAnswer::NoSocket
                        | CriAnswer::Refused
                        | CriAnswer::TimedOut { .. }
                        | CriAnswer::NotAsked { .. }
                );
                match &recording.runtime {
                    Some(runtime) if !nobody => Heard {
                        answer,
                        replies: runtime.replies.clone(),
                        listener: None,
                        round_trip: runtime.round_trip_milliseconds.map(Duration::from_millis),
                        ready_sandboxes: runtime.ready_sandboxes,
                    },
                    _ => answer.into(),
                }
            }
            Self::Off(why) => not_asked(why).into(),
        }
    }

    /// Asks the container runtime behind a socket of the host which images run in the
    /// namespace `kube-system`; or says what it answered instead.
    pub fn managed_images(
        &self,
        root: &HostRoot,
        socket: &str,
        limit: Duration,
    ) -> Result<Vec<ManagedImage>, CriAnswer> {
        match self {
            Self::Live { runtime } => cri::images::ask(runtime, root, socket, limit),
            Self::Recorded(recording) => {
                recording.asked.note(|| socket.to_owned());
                recording.managed_images()
            }
            Self::Off(why) => Err(CriAnswer::NotAsked { why: why.clone() }),
        }
    }

    /// Asks systemd about units of the host, in the order in which they are named.
    #[must_use]
    pub fn units(&self, root: &HostRoot, names: &[&str]) -> Vec<UnitState> {
        let unreadable = |why: String| UnitState::Unreadable { why };
        match self {
            Self::Live { runtime } => systemd::ask(runtime, root, names),
            Self::Recorded(recording) => {
                let recorded = |name: &&str| {
                    recording.asked.note(|| format!("org.freedesktop.systemd1/{name}"));
                    recording.units.get(*name).cloned()
                };
                let lacking = || unreadable("the unit is not in the recording".to_owned());
                names.iter().map(|name| recorded(name).unwrap_or_else(lacking)).collect()
            }
            Self::Off(why) => vec![unreadable(why.clone()); names.len()],
        }
    }

    /// Asks systemd about itself and the units that stand out; none when the host runs without
    /// systemd. Or says why it did not tell.
    pub fn system_manager(&self, root: &HostRoot) -> Result<Option<SystemManager>, String> {
        match self {
            Self::Live { runtime } => systemd::manager::ask(runtime, root),
            Self::Recorded(recording) => {
                recording.asked.note(|| systemd::manager::PLACE.to_owned());
                let lacking = || "the service manager is not in the recording".to_owned();
                recording.system_manager.clone().map(Some).ok_or_else(lacking)
            }
            Self::Off(why) => Err(why.clone()),
        }
    }

    /// Asks systemd about one unit of the host while `others` are asked, so that both
    /// may hang and still cost one limit.
    pub fn beside_unit<T>(
        &self,
        root: &HostRoot,
        name: &str,
        others: impl FnOnce() -> T,
    ) -> (UnitState, T) {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| self.units(root, &[name]).pop());
            let answer = others();
            let unit = asked.join().ok().flatten();
            let failed = || UnitState::Unreadable { why: "asking systemd failed".to_owned() };
            (unit.unwrap_or_else(failed), answer)
        })
    }
}

const fn not_asked(why: String) -> HttpAnswer {
    HttpAnswer::NotAsked { why }
}

fn failed(error: &tokio::task::JoinError) -> HttpAnswer {
    HttpAnswer::Failed { why: error.to_string() }
}
