//! Recordings of what real components answered, healthy and broken, in the folder that
//! `NODEWARD_CORPUS` names; stand-ins play them again. What could not be connected to is
//! gone, what did not answer in time hangs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::standin::{Answer, Does, Standin};

/// What was recorded of a node in one state.
#[derive(Debug)]
pub struct Capture {
    folder: PathBuf,
    /// What came of each probe, by the name of its file.
    probes: BTreeMap<String, Came>,
}

/// What came of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Status(u16),
    Refused,
    Nothing,
}

impl Capture {
    /// What was recorded in that state; none, and said so, when there is no corpus here.
    ///
    /// # Panics
    /// When there is one and it has no such recording.
    #[must_use]
    pub fn of(state: &str) -> Option<Self> {
        let Some(corpus) = std::env::var_os("NODEWARD_CORPUS") else {
            println!("left out: NODEWARD_CORPUS names no folder of recordings");
            return None;
        };
        let folder = Path::new(&corpus).join("captures").join(state);
        let summary = folder.join("SUMMARY.txt");
        let summary = std::fs::read_to_string(&summary)
            .unwrap_or_else(|error| panic!("{}: {error}", summary.display()));
        let probes: BTreeMap<String, Came> = summary.lines().filter_map(came).collect();
        assert!(!probes.is_empty(), "{state}: nothing was probed");
        Some(Self { folder, probes })
    }

    /// Every state that was recorded; none, and said so, when there is no corpus here.
    ///
    /// # Panics
    /// When there is one and it has no recordings.
    #[must_use]
    pub fn all() -> Vec<(String, Self)> {
        let Some(corpus) = std::env::var_os("NODEWARD_CORPUS") else {
            println!("left out: NODEWARD_CORPUS names no folder of recordings");
            return Vec::new();
        };
        let folder = Path::new(&corpus).join("captures");
        let mut all: Vec<(String, Self)> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("readable"))
            .filter(|entry| entry.path().join("SUMMARY.txt").is_file())
            .map(|entry| entry.file_name().into_string().expect("text"))
            .filter_map(|state| Self::of(&state).map(|capture| (state, capture)))
            .collect();
        assert!(!all.is_empty(), "{}: no recordings", folder.display());
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }

    /// What came of one probe, such as `kubelet-10250-healthz-anon`.
    ///
    /// # Panics
    /// When it was not probed, or its recording cannot be read.
    #[must_use]
    pub fn does(&self, probe: &str) -> Does {
        let came = self.probes.get(probe).unwrap_or_else(|| panic!("{probe} was not probed"));
        // A probe whose body is not kept is played as no answer.
        let has_body = self.folder.join(probe).exists();
        let (Came::Status(status), true) = (*came, has_body) else { return Does::Hang };
        let read = |name: String| {
            let path = self.folder.join(name);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let headers = String::from_utf8(read(format!("{probe}.hdr"))).expect("headers are text");
        Does::Answer(Answer {
            status,
            headers: headers.lines().skip(1).filter_map(header).collect(),
            body: read(probe.to_owned()),
            delay: Duration::ZERO,
        })
    }

    /// What was done by path, for a server such as `kube-proxy-10256`. Probes that were
    /// made with other credentials (`-anon`) are left to [`Self::does`].
    #[must_use]
    pub fn paths(&self, server: &str) -> BTreeMap<String, Does> {
        self.probes_of(server)
            .map(|(probe, path, _)| (format!("/{}", path.replace('_', "/")), self.does(probe)))
            .collect()
    }

    /// A text beside the probes, such as `kubelet-config.yaml`.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let path = self.folder.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A stand-in for a server such as `kube-proxy-10256`, in the state in which it was.
    ///
    /// # Panics
    /// When it was not probed.
    #[must_use]
    pub fn standin(&self, server: &str) -> Standin {
        assert!(self.probes_of(server).next().is_some(), "{server} was not probed");
        let all = |what| self.probes_of(server).all(|(_, _, came)| came == what);
        if all(Came::Refused) {
            Standin::gone()
        } else if all(Came::Nothing) {
            Standin::stopped()
        } else {
            Standin::by_path(self.paths(server))
        }
    }

    fn probes_of(&self, server: &str) -> impl Iterator<Item = (&str, &str, Came)> {
        self.probes.iter().filter_map(move |(probe, came)| {
            let path = probe.strip_prefix(server)?.strip_prefix('-')?;
            (!path.contains('-')).then_some((probe.as_str(), path, *came))
        })
    }
}

/// `NAME code=200 t=0.003717 size=2 err=`; code 000 stands for no answer.
fn came(line: &str) -> Option<(String, Came)> {
    let (name, rest) = line.split_once(" code=")?;
    let (code, rest) = rest.split_once(' ')?;
    let came = match code.parse() {
        Ok(0) if rest.contains("Failed to connect") => Came::Refused,
        Ok(0) => Came::Nothing,
        Ok(status) => Came::Status(status),
        Err(_) => return None,
    };
    Some((name.to_owned(), came))
}

/// A header, unless the stand-in frames the body by it itself.
fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let frames = ["content-length", "transfer-encoding", "connection"]
        .iter()
        .any(|framing| name.eq_ignore_ascii_case(framing));
    (!frames).then(|| (name.to_owned(), value.trim().to_owned()))
}
