//! What collectors read, told beside their code: the generated page of collectors is made
//! from it, and a test holds it against what collectors really ask for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Places of which the same is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Paths on the host, addresses, or calls; none where only `told_by` names one. `{pid}`
    /// stands for a number, any other name in braces for one part of a path, `**` at the end
    /// for a folder and everything below.
    pub places: &'static [&'static str],
    /// What may name another place instead; empty when nothing may.
    pub told_by: &'static str,
    /// What is taken from each.
    pub what: &'static str,
}

impl Read {
    /// Those places, and no others.
    #[must_use]
    pub const fn of(places: &'static [&'static str], what: &'static str) -> Self {
        Self { places, told_by: "", what }
    }

    /// The usual places, and what may name another.
    #[must_use]
    pub const fn usually(
        places: &'static [&'static str],
        told_by: &'static str,
        what: &'static str,
    ) -> Self {
        Self { places, told_by, what }
    }

    /// Whether a path is of the form of one of the places.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        self.places.iter().any(|place| covers(place, path))
    }
}

/// Whether a path is of that form.
#[must_use]
pub fn covers(place: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    for form in place.split('/') {
        if form == "**" {
            return true;
        }
        let Some(part) = parts.next() else { return false };
        if !part_covers(form, part) {
            return false;
        }
    }
    parts.next().is_none()
}

/// What several collectors read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// What it is about, in one word.
    pub word: &'static str,
    /// The places.
    pub reads: &'static [Read],
}

/// One part of a path: text with at most one name in braces.
fn part_covers(form: &str, part: &str) -> bool {
    let braces = form.split_once('{').and_then(|(before, rest)| {
        let (name, after) = rest.split_once('}')?;
        Some((before, name, after))
    });
    let Some((before, name, after)) = braces else { return form == part };
    let inner = part.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    inner.is_some_and(|inner| {
        !inner.is_empty() && (name != "pid" || inner.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// What is never opened, although it lies beside what is, and why its secrets stay where
/// they are. Of some it is looked at whose they are, and who may read them.
pub const NEVER: &[Read] = &[
    Read::of(&["/etc/kubernetes/azure.json"], "Credentials of the cloud."),
    Read::of(
        &["/etc/kubernetes/certs/{name}.key"],
        "Private keys. Of a file that holds a certificate and its key, such as \
         `/var/lib/kubelet/pki/kubelet-client-current.pem`, reading goes byte by byte and stops \
         before the key.",
    ),
    Read::of(&["/var/lib/kubelet/pki/{name}.key"], "Private keys."),
    Read::of(&["/var/lib/kubelet/bootstrap-kubeconfig"], "The bootstrap token."),
    Read::of(
        &["/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~secret/**"],
        "Secrets and tokens of pods; of their volumes only ConfigMaps of kube-proxy are read.",
    ),
    Read::of(
        &["/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~projected/**"],
        "Tokens of pods.",
    ),
    Read::of(&["/etc/chrony/chrony.keys", "/etc/chrony.keys"], "Keys of time servers."),
    Read::of(
        &["/etc/containerd/certs.d/**"],
        "Credentials of registries. `config.toml` may hold some too: of it three keys are kept, \
         and nothing else even in a buffer. Into its digest nothing goes of a line from a word on \
         behind which a credential may stand.",
    ),
    Read::of(
        &["/var/lib/waagent/{extension}/config/{number}.settings", "/var/lib/waagent/{name}.prv"],
        "Settings of extensions of the virtual machine, and the keys to them.",
    ),
    Read::of(&["/etc/shadow"], "Passwords."),
    Read::of(
        &["/root/**", "/home/**"],
        "People's own files, but for the lists of public keys that may log in, \
         `.ssh/authorized_keys`.",
    ),
    Read::of(&["/proc/{pid}/environ"], "The environment of processes."),
    Read::of(&["/proc/{pid}/mem"], "The memory of processes."),
    Read::of(
        &["/proc/sys/net/ipv4/tcp_fastopen_key", "/proc/sys/net/ipv6/conf/{link}/stable_secret"],
        "A key of the kernel's.",
    ),
];

/// What is read all the same below such a place.
pub const BUT: &[&str] = &[
    "/root/.ssh/authorized_keys",
    "/root/.ssh/authorized_keys2",
    "/home/{user}/.ssh/authorized_keys",
    "/home/{user}/.ssh/authorized_keys2",
];

/// Whether a file is one that is never opened.
#[must_use]
pub fn is_never_opened(path: &str) -> bool {
    let is_but = BUT.iter().any(|place| covers(place, path));
    !is_but && NEVER.iter().any(|read| read.covers(path))
}

/// Notes which places were asked for, and which of them were opened. Off unless a test wants
/// to know.
#[derive(Debug, Clone, Default)]
pub struct Asked(Option<Arc<Mutex<Places>>>);

#[derive(Debug, Default)]
struct Places {
    asked: BTreeSet<String>,
    opened: BTreeSet<String>,
}

impl Asked {
    /// One that notes.
    #[must_use]
    pub fn noting() -> Self {
        Self(Some(Arc::default()))
    }

    /// Notes a place, if anybody wants to know.
    pub fn note(&self, place: impl FnOnce() -> String) {
        self.put(|places| {
            places.asked.insert(place());
        });
    }

    /// Notes a file that is opened to be read.
    pub fn note_opened(&self, place: impl FnOnce() -> String) {
        self.put(|places| {
            places.opened.insert(place());
        });
    }

    fn put(&self, note: impl FnOnce(&mut Places)) {
        if let Some(places) = &self.0 {
            note(&mut places.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Every place so far, sorted.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        self.all(|places| &places.asked)
    }

    /// Every file that was opened so far, sorted.
    #[must_use]
    pub fn opened(&self) -> Vec<String> {
        self.all(|places| &places.opened)
    }

    fn all(&self, of: impl Fn(&Places) -> &BTreeSet<String>) -> Vec<String> {
        let places = self.0.as_ref();
        places.map_or_else(Vec::new, |places| {
            of(&places.lock().unwrap_or_else(PoisonError::into_inner)).iter().cloned().collect()
        })
    }
}

/// What was asked for is no part of what holds it.
impl PartialEq for Asked {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_covers_its_paths_and_no_others() {
        assert!(covers("/etc/os-release", "/etc/os-release"));
        assert!(!covers("/etc/os-release", "/etc/os-release/x"));
        assert!(covers("/proc/{pid}/stat", "/proc/17/stat"));
        assert!(!covers("/proc/{pid}/stat", "/proc/self/stat"));
        assert!(covers("/etc/sysctl.d/{name}.conf", "/etc/sysctl.d/60-CIS.conf"));
        assert!(!covers("/etc/sysctl.d/{name}.conf", "/etc/sysctl.d/.conf"));
        assert!(covers("/proc/sys/**", "/proc/sys/net/core/somaxconn"));
        assert!(covers("/proc/sys/**", "/proc/sys"));
        assert!(!covers("/proc/sys/**", "/proc/system"));
        assert!(covers("http://{address}/livez", "http://127.0.0.1:10256/livez"));
        assert!(!covers("http://{address}/livez", "https://127.0.0.1:10256/livez"));
    }

    #[test]
    fn only_one_that_notes_keeps_anything() {
        for (asked, expected) in [(Asked::default(), 0), (Asked::noting(), 1)] {
            asked.clone().note(|| "/a".to_owned());
            asked.note(|| "/a".to_owned());
            assert_eq!(asked.places().len(), expected);
        }
    }
}
