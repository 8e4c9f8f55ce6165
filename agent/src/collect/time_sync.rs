//! Collects `time_sync`: the kernel's state of the clock, the programs that can keep it,
//! what chrony is configured to do and answers, and the hardware clocks it may follow.

mod configuration;
mod container;
mod daemons;
mod listener;
mod ptp;
pub(super) mod units;

use std::sync::Arc;
use std::time::Duration;

use nodeward_domain::facts::{
    Chrony, ChronyAnswer, ComponentState, KernelClock, SourceState, TimeSource, TimeSync, Tracked,
};
use nodeward_domain::measured::Measurements;
use nodeward_domain::observed::State;

use super::{Collected, state};
use crate::host::{Host, HostError};
use crate::probe::chrony::{Answer, Report, ReportedSource};
use crate::probe::clock::KernelTime;
use crate::reads::Read;
use configuration::Endpoint;
use daemons::CHRONYD;
use listener::Listener;

/// chronyd must answer all questions in this time.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// The kernel's ceiling of the greatest error: `NTP_PHASE_LIMIT`.
const MAX_ERROR_CEILING_SECONDS: f64 = 16.0;

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["adjtimex(2)"],
        "The kernel's state of the clock, asked without changing anything. Not asked of a copy of \
         a node.",
    ),
    Read::of(
        &["udp://{address}"],
        "What `chronyc tracking`, `sources` and `activity` show. The usual port is 323; the \
         address is one of loopback, by `bindcmdaddress` and `cmdport`. Asked only where chronyd \
         is installed or runs, and only on the node's own loopback.",
    ),
    Read::of(
        &["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"],
        "Which sockets listen where chronyd is asked. The agent's own network is the host's, or \
         nothing is asked.",
    ),
    Read::of(
        &["/proc/{pid}/fd"],
        "Of chronyd alone the numbers of its files. Needs SYS_PTRACE: without it an answer is \
         believed, and that is told.",
    ),
    Read::of(
        &["/proc/{pid}/fd/{number}"],
        "Of chronyd alone which sockets are its own. Where another listens nothing is asked.",
    ),
    Read::usually(
        &["/etc/chrony/chrony.conf"],
        "chronyd's `-f`",
        "Sources, `cmdport`, `bindcmdaddress`, and which other files are taken in. Not there: \
         chronyd runs on its defaults.",
    ),
    Read::usually(
        &["/etc/chrony.conf"],
        "chronyd's `-f`",
        "The same, where other distributions keep it.",
    ),
    Read::usually(
        &["/etc/chrony/conf.d/**"],
        "`include` and `confdir`",
        "Files that chronyd takes into its configuration.",
    ),
    Read::usually(
        &["/etc/chrony/sources.d/**", "/run/chrony-dhcp/**"],
        "`sourcedir`",
        "Files of sources.",
    ),
    Read::of(&["/sys/class/ptp"], "The hardware clocks."),
    Read::of(&["/sys/class/ptp/{name}/clock_name"], "What the driver calls a clock."),
    Read::usually(
        &["/dev/{name}"],
        "`refclock PHC`",
        "Which hardware clock it is, by its name or what a link there names. The device itself is \
         never opened.",
    ),
    Read::of(
        &[
            "/usr/bin/chronyd",
            "/usr/sbin/chronyd",
            "/usr/bin/ntp-daemon",
            "/usr/sbin/ntpd",
            "/usr/sbin/phc2sys",
            "/usr/sbin/ptp4l",
            "/lib/systemd/systemd-timesyncd",
            "/usr/lib/systemd/systemd-timesyncd",
            "/usr/bin/vmtoolsd",
            "/usr/sbin/VBoxService",
        ],
        "Whether it is there, as of every program that can keep the time.",
    ),
    Read::of(
        &[
            "/etc/systemd/system/**",
            "/run/systemd/system/**",
            "/usr/local/lib/systemd/system/**",
            "/usr/lib/systemd/system/**",
            "/lib/systemd/system/**",
        ],
        "Whether systemd starts a unit by itself, for each program that can keep the time: names \
         and links alone, no content.",
    ),
    Read::of(
        &container::MARKS,
        "Whether it is there: the root is a container's, whose clock is another machine's \
         business.",
    ),
    Read::of(&["/proc/1/status"], "CapBnd: whether anybody on the node may set the clock."),
    Read::of(
        &["/proc/sys/kernel/osrelease"],
        "Whether Windows runs this Linux and keeps its clock.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    match read(host) {
        Ok((time, measured)) => {
            Collected { state: ComponentState::TimeSync(State::Present(Arc::new(time))), measured }
        }
        Err(error) => ComponentState::TimeSync(state(Err(error))).into(),
    }
}

fn read(host: &Host) -> Result<(TimeSync, Measurements), HostError> {
    let found = daemons::find(&host.root)?;
    let chronyd = found.iter().find(|found| found.daemon.name == CHRONYD);
    let ptp_clocks = ptp::clocks(&host.root)?;
    let (chrony, report) = match chronyd {
        None => (None, None),
        Some(chronyd) => {
            let arguments = daemons::ChronydArguments::of(&chronyd.arguments);
            let configuration = configuration::read(&host.root, &arguments, &ptp_clocks)?;
            let (endpoint, (answer, unverified)) = match configuration.endpoint {
                Endpoint::At(address) => (address.to_string(), ask(host, address)),
                Endpoint::Nowhere(why) => (String::new(), (Answer::NotAsked { why }, None)),
            };
            let report = match &answer {
                Answer::Answered(report) => Some(report.clone()),
                _ => None,
            };
            let chrony = Chrony {
                files: configuration.files,
                configured: configuration.sources,
                endpoint,
                answer: said(answer),
                unverified,
            };
            (Some(chrony), report)
        }
    };
    let kernel = host.probes.clock();
    let keeps = chronyd.is_some_and(|chronyd| chronyd.daemon.process.is_some()) || report.is_some();
    let measured = measured(kernel.as_ref().ok(), report.as_ref(), keeps);
    let time = TimeSync {
        container_marks: container::marks(&host.root)?,
        kernel: kernel.map_or_else(KernelClock::Unread, state_of),
        daemons: found.into_iter().map(|found| found.daemon).collect(),
        chrony,
        ptp_clocks,
    };
    Ok((time, measured))
}

/// Asks chronyd, unless the agent's loopback is another than the host's, or somebody else is
/// seen to listen. The second is why it could not be seen who does.
fn ask(host: &Host, address: std::net::SocketAddr) -> (Answer, Option<String>) {
    if let Some(foreign) = host.foreign("net") {
        return (Answer::NotAsked { why: foreign.to_string() }, None);
    }
    // Sockets belong to the machine that runs: of a copy a recording answers.
    let listener = match host.probes.is_live() {
        true => listener::at(&host.root, address),
        false => Listener::Chronyd,
    };
    match listener {
        Listener::Chronyd => (host.probes.chrony(address, CALL_LIMIT), None),
        Listener::Other => {
            let why = "something else answers on chrony's port".to_owned();
            (Answer::NotAsked { why }, None)
        }
        Listener::Unseen(why) => match host.probes.chrony(address, CALL_LIMIT) {
            answer @ Answer::Answered(_) => (answer, Some(why)),
            other => (other, None),
        },
    }
}

/// The part of the kernel's answer that is a state.
fn state_of(time: KernelTime) -> KernelClock {
    KernelClock::Read {
        status: time.status & KernelClock::STATES,
        is_error_bounded: time.max_error_seconds < MAX_ERROR_CEILING_SECONDS,
        tai_offset_seconds: time.tai_offset_seconds,
    }
}

/// The part of chronyd's answer that is a state.
fn said(answer: Answer) -> ChronyAnswer {
    match answer {
        Answer::Answered(report) => ChronyAnswer::Answered(Tracked {
            reference: report.reference,
            stratum: report.stratum.into(),
            leap: report.leap,
            sources: report.sources.into_iter().map(source).collect(),
            sources_left_out: report.sources_left_out,
            offline: report.offline,
            unresolved: report.unresolved,
        }),
        Answer::Refused => ChronyAnswer::Refused,
        Answer::TimedOut { call, after_milliseconds } => {
            ChronyAnswer::TimedOut { call, after_milliseconds }
        }
        Answer::Failed { call, why } => ChronyAnswer::Failed { call, why },
        Answer::NotAsked { why } => ChronyAnswer::NotAsked { why },
    }
}

fn source(source: ReportedSource) -> TimeSource {
    TimeSource {
        name: source.name,
        mode: source.mode,
        state: source.state,
        stratum: source.stratum.into(),
        is_reachable: source.reach != 0,
    }
}

/// What moves. chrony's own offset counts where chrony keeps the clock, the kernel's
/// elsewhere.
fn measured(kernel: Option<&KernelTime>, report: Option<&Report>, keeps: bool) -> Measurements {
    let by_kernel = kernel.filter(|_| !keeps).map(|kernel| -kernel.offset_seconds);
    Measurements {
        clock_offset_seconds: report.map(|report| report.offset_seconds).or(by_kernel),
        clock_max_error_seconds: kernel.map(|kernel| kernel.max_error_seconds),
        clock_estimated_error_seconds: kernel.map(|kernel| kernel.estimated_error_seconds),
        clock_root_dispersion_seconds: report
            .map(|report| report.root_dispersion_seconds)
            .filter(|seconds| *seconds >= 0.0),
        clock_update_age_seconds: report.and_then(|report| report.update_age_seconds),
        time_source_age_seconds: report.and_then(|report| {
            report
                .sources
                .iter()
                .filter_map(|source| source.sample_age_seconds)
                .min()
                .map(f64::from)
        }),
        time_source_poll_seconds: report.and_then(poll_seconds),
        ..Measurements::default()
    }
}

/// The interval of the source that the clock follows; where it follows none, the longest
/// one of those that can be reached.
fn poll_seconds(report: &Report) -> Option<f64> {
    let selected = report.sources.iter().find(|source| source.state == SourceState::Selected);
    let poll = selected.map(|source| source.poll).or_else(|| {
        let reachable = report.sources.iter().filter(|source| source.reach != 0);
        reachable.map(|source| source.poll).max()
    })?;
    Some(2f64.powi(poll.into()))
}
