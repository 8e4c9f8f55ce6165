//! Facts of `files`: how files lie on a node that its provider or its distribution puts there:
//! units, and the configuration of kubelet, container runtime, clock, sshd, sudo and kernel.
//! What stands in them never leaves the node: a digest does. Source: inode(7).

use jiff::Timestamp;
use serde::Serialize;

use super::Headline;
use crate::component::Component;

/// The files of the places that are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Files {
    /// Each of them, by path.
    pub files: Vec<ManagedFile>,
    /// So many more there are, beyond the most that are looked at.
    pub left_out: u32,
    /// Places of which it is not known what lies there, by path.
    pub unread: Vec<UnreadPlace>,
}

/// A place that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct UnreadPlace {
    /// Which.
    pub path: String,
    /// Why.
    pub why: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManagedFile {
    /// Its path.
    pub path: String,
    /// What two nodes of one image have alike.
    pub form: FileForm,
    /// Its length; none of what is not read, whose length would tell something too, and of
    /// what is no file.
    pub size_bytes: Option<u64>,
    /// When it was last written, by the node's clock. Where the provider marks when it has set
    /// a node up, only if that was later: else it is the hour of the node, which no two share.
    pub written_at: Option<Timestamp>,
}

/// What two nodes of one image have alike of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FileForm {
    /// What lies there.
    pub content: FileContent,
    /// Its permissions, with the bits above them: four octal digits.
    pub mode: u32,
    /// Whose it is.
    pub uid: u32,
    /// Of which group.
    pub gid: u32,
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileContent {
    /// A file of that SHA-256, in hexadecimal; without the parts that are a node's own, and
    /// without secrets, where the place says so.
    Digest(String),
    /// A symbolic link, which is not followed, and where it leads.
    Link(String),
    /// A file that may hold secrets: it is never opened.
    NotRead,
    /// Something that is no file, in its kind's name.
    Other(String),
    /// A file that could not be read, for this reason.
    Unreadable(String),
}

impl Files {
    /// The file at a path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&ManagedFile> {
        let place = self.files.binary_search_by(|file| file.path.as_str().cmp(path));
        place.ok().and_then(|place| self.files.get(place))
    }

    /// Whether a path that is not among them is known not to be there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left_out == 0 && self.unread.is_empty()
    }
}

impl FileForm {
    /// The same as text: `SHA-256 2c26b46b68ff, mode 0644, owner 0:0`.
    #[must_use]
    pub fn words(&self) -> String {
        let content = match &self.content {
            FileContent::Digest(digest) => {
                format!("SHA-256 {}", digest.get(..12).unwrap_or(digest))
            }
            FileContent::Link(target) => return format!("link to {target}"),
            FileContent::NotRead => "a file".to_owned(),
            FileContent::Other(kind) => format!("a {kind}"),
            FileContent::Unreadable(why) => format!("unreadable: {why}"),
        };
        format!("{content}, mode {:04o}, owner {}:{}", self.mode, self.uid, self.gid)
    }

    /// Whether it was seen what lies there.
    #[must_use]
    pub const fn is_seen(&self) -> bool {
        !matches!(self.content, FileContent::Unreadable(_))
    }
}

/// The component that a file makes what it is: who changes the one has changed the other.
#[must_use]
pub fn component_of(path: &str) -> Option<Component> {
    const OF: [(&str, Component); 16] = [
        ("/etc/systemd/system/kubelet.service", Component::Kubelet),
        ("/etc/default/kubelet", Component::Kubelet),
        ("/var/lib/kubelet/", Component::Kubelet),
        ("/etc/kubernetes/manifests/", Component::Kubelet),
        ("/etc/systemd/system/containerd.service", Component::Containerd),
        ("/etc/containerd/", Component::Containerd),
        ("/etc/systemd/system/chrony", Component::TimeSync),
        ("/etc/chrony", Component::TimeSync),
        ("/etc/sysctl.", Component::Sysctl),
        ("/etc/modprobe.d/", Component::KernelModules),
        ("/etc/modules-load.d/", Component::KernelModules),
        ("/etc/ssh/", Component::NodeAccess),
        ("/etc/sudoers", Component::NodeAccess),
        ("/etc/systemd/system/ssh", Component::NodeAccess),
        ("/etc/systemd/system/docker", Component::Docker),
        ("/etc/systemd/system/", Component::Systemd),
    ];
    OF.iter().find(|(begins, _)| path.starts_with(begins)).map(|(_, component)| *component)
}

impl Headline for Files {
    fn headline(&self) -> String {
        let unseen = self.files.iter().filter(|file| !file.form.is_seen()).count();
        let mut line = match self.files.len() {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        if unseen + self.unread.len() > 0 {
            line.push_str(&format!(", {} could not be read", unseen + self.unread.len()));
        }
        if self.left_out > 0 {
            line.push_str(&format!(", {} more left out", self.left_out));
        }
        line
    }
}
