//! The agent's own parsers, on copies of the tests' host roots: a strange file or answer
//! is put in the place of a good one, and the collectors that read it run.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use nodeward_agent::collect::{COLLECTORS, Collector};
use nodeward_agent::host::{Host, HostRoot};
use nodeward_agent::nftables::{Direction, Fate, Packet, Ruleset, Stage, TCP, UDP};
use nodeward_agent::probe::{Probes, Recording};
use nodeward_domain::component::Component;
use nodeward_domain::facts::{ComponentState, HttpAnswer};
use nodeward_proto::content::Content;
use tempfile::TempDir;

use crate::project;
use crate::wire::is_judged;

const HOSTS: [&str; 4] = ["aks-ubuntu-2204", "aks-azurelinux-3", "aks-cilium", "debian-12-plain"];

const RPM_DATABASE: &str = "/var/lib/rpm/rpmdb.sqlite";

/// SQLite's header: with a damaged one the collector waits for a writer to finish.
const HEADER_BYTES: usize = 100;

/// A copy of a host root.
struct Copy {
    folder: TempDir,
    recording: Recording,
    /// Paths on the host of its files.
    files: Vec<String>,
}

impl Copy {
    fn of(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = Vec::new();
        copy(&project().join("tests/hosts").join(name), folder.path(), "", &mut files);
        let answers = project().join("tests/hosts").join(format!("{name}.answers.json"));
        Self { folder, recording: Recording::read(&answers).expect("a recording"), files }
    }

    fn inside(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    fn host(&self, recording: Recording) -> Host {
        Host {
            containerd_socket: "/run/containerd/containerd.sock".to_owned(),
            ..Host::new(
                HostRoot::open(self.folder.path()).expect("a folder"),
                Probes::Recorded(Box::new(recording)),
            )
        }
    }

    /// Runs what reads a file, with these bytes in its place.
    fn with_file(&self, path: &str, bytes: &[u8]) -> bool {
        let place = self.inside(path);
        let good = fs::read(&place).expect("a file of the copy");
        write(&place, bytes);
        let reads = |one: &Collector| one.all_reads().any(|read| read.covers(path));
        let is_known = collect(&self.host(self.recording.clone()), reads);
        write(&place, &good);
        is_known
    }

    /// Runs what asks an endpoint, with these bytes as its answer.
    fn with_answer(&self, url: &str, bytes: &[u8]) -> bool {
        let mut recording = self.recording.clone();
        let Some(answer) = recording.http.get_mut(url) else { return false };
        let body = String::from_utf8_lossy(bytes).into_owned();
        *answer = HttpAnswer::Answered { status: 200, body };
        let asks = |one: &Collector| {
            matches!(one.component, Component::Kubelet | Component::KubeProxy | Component::Cni)
        };
        collect(&self.host(recording), asks)
    }
}

fn copy(from: &Path, to: &Path, path: &str, files: &mut Vec<String>) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder of the project") {
        let entry = entry.expect("a readable folder");
        let (target, kind) = (to.join(entry.file_name()), entry.file_type().expect("a kind"));
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        if kind.is_symlink() {
            let link = fs::read_link(entry.path()).expect("a link can be read");
            std::os::unix::fs::symlink(link, target).expect("a link can be made");
        } else if kind.is_dir() {
            copy(&entry.path(), &target, &path, files);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
            files.push(path);
        }
    }
}

/// Writes a file that looks as if nobody had written to it lately.
fn write(place: &Path, bytes: &[u8]) {
    fs::write(place, bytes).expect("a file of the copy");
    let file = File::options().write(true).open(place).expect("a file of the copy");
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("a file of ours");
}

/// Runs those collectors: whatever they make of it reaches the judge, who answers. Tells
/// whether every state is known.
fn collect(host: &Host, wanted: impl Fn(&Collector) -> bool) -> bool {
    let wanted = COLLECTORS.iter().filter(|one| wanted(one));
    let states: Vec<ComponentState> =
        wanted.map(|one| arrived(&(one.collect)(host).state)).collect();
    is_judged(&states);
    !states.is_empty() && states.iter().all(|state| state.word() != "unavailable")
}

/// A state as it comes out of the wire.
fn arrived(state: &ComponentState) -> ComponentState {
    let arrived = Content::of(state).decode().expect("a component of ours");
    assert_eq!(arrived.word(), state.word(), "{}", arrived.headline());
    // Texts may have been cut, but once only.
    assert_eq!(Content::of(&arrived).decode().as_ref(), Some(&arrived));
    arrived
}

type Copies = BTreeMap<&'static str, Copy>;

/// The copies, one user at a time.
fn on_copies<T>(used: impl FnOnce(&Copies) -> T) -> T {
    static COPIES: OnceLock<Mutex<Copies>> = OnceLock::new();
    let made = || Mutex::new(HOSTS.into_iter().map(|name| (name, Copy::of(name))).collect());
    used(&COPIES.get_or_init(made).lock().unwrap_or_else(PoisonError::into_inner))
}

/// The first line is `HOST PATH` or `HOST URL`, the rest what is there.
pub(crate) fn files(bytes: &[u8]) -> bool {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return false };
    let (line, content) = (&bytes[..end], &bytes[end + 1..]);
    let Some((host, place)) = std::str::from_utf8(line).ok().and_then(|line| line.split_once(' '))
    else {
        return false;
    };
    on_copies(|copies| match copies.get(host) {
        Some(copy) if place.starts_with("http") => copy.with_answer(place, content),
        Some(copy) if copy.files.iter().any(|file| file == place) => copy.with_file(place, content),
        _ => false,
    })
}

/// Messages one behind the other, each with its length in its first four bytes.
pub(crate) fn packet_filter(mut bytes: &[u8]) -> bool {
    let mut ruleset = Ruleset::default();
    while let Some((length, _)) = bytes.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_ne_bytes(*length)).expect("32 bits");
        let Some(message) = bytes.get(..length).filter(|message| message.len() > 4) else {
            return false;
        };
        if ruleset.take(message).is_err() {
            return false;
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    let address = |octets: [u8; 4]| Some(octets.into());
    for direction in [Direction::In, Direction::Out] {
        for (stage, protocol) in [(Stage::First, TCP), (Stage::Answer, TCP), (Stage::First, UDP)] {
            let is_first = stage == Stage::First;
            let packet = Packet {
                direction,
                is_ipv6: false,
                protocol,
                link: is_first.then(|| "eth0".to_owned()),
                source: None,
                destination: address([168, 63, 129, 16]),
                source_port: None,
                destination_port: Some(10250),
                stage,
                is_tracked: true,
                is_roots: is_first,
            };
            let fate = ruleset.fate(&packet);
            // The same packet fares the same, and what nobody hooked sees none.
            assert_eq!(ruleset.fate(&packet), fate);
            if ruleset == Ruleset::default() {
                assert_eq!(fate, Fate::Passes);
            }
        }
    }
    true
}

/// Each four bytes change one byte of a good database behind its header: three for the
/// place, one for the value.
pub(crate) fn rpm_database(bytes: &[u8]) -> bool {
    on_copies(|copies| {
        let copy = &copies["aks-azurelinux-3"];
        let mut database = fs::read(copy.inside(RPM_DATABASE)).expect("a database");
        for change in bytes.chunks_exact(4) {
            let place = u32::from_le_bytes([change[0], change[1], change[2], 0]);
            let place = HEADER_BYTES + usize::try_from(place).expect("small");
            if let Some(byte) = database.get_mut(place) {
                *byte = change[3];
            }
        }
        copy.with_file(RPM_DATABASE, &database)
    })
}
