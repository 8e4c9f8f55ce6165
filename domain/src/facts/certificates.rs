//! Facts of `certificates`: those that lie beside the kubelet's own, the authorities that the
//! system believes, and those that somebody added to them. RFC 5280. Keys are never read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Headline;
use super::files::UnreadPlace;
use super::kubelet::{Certificate, CertificateContent};

/// What was seen of certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificates {
    /// Files of certificates, by path.
    pub files: Vec<StoredCertificates>,
    /// So many more there are, beyond the most that are looked at.
    pub left_out: u32,
    /// Folders that could not be listed, and files of which it is not known whether they are
    /// authorities, by path.
    pub unread: Vec<UnreadPlace>,
    /// The authorities that programs of the system believe.
    pub trust: TrustBundle,
    /// What lies where authorities are added and is none, because of its name or because it is
    /// a folder: the first of them, by path.
    pub ignored: Vec<String>,
}

/// A file of certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredCertificates {
    /// Where it lies.
    pub path: String,
    /// Whose files lie there.
    pub store: CertificateStore,
    /// What is in it.
    pub content: CertificateContent,
}

/// Whose files lie at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateStore {
    /// The provider's, for its own parts of Kubernetes: `/etc/kubernetes/certs`.
    Provider,
    /// kubeadm's: `/etc/kubernetes/pki`.
    Kubeadm,
    /// Authorities that somebody added to those of the system.
    Added,
}

/// The authorities that programs of the system believe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustBundle {
    /// There is no such file.
    NotThere,
    /// It could not be read.
    Unreadable(UnreadPlace),
    /// It holds authorities.
    Read {
        /// Where it lies.
        path: String,
        /// How many.
        authorities: u32,
        /// From when on the newest of them is valid: about as old as the list is.
        newest: Timestamp,
        /// Those that end first, by when they end.
        first_to_end: Vec<Certificate>,
    },
}

impl Headline for Certificates {
    fn headline(&self) -> String {
        let added = self.files.iter().filter(|file| file.store == CertificateStore::Added).count();
        let files = match self.files.len() {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        let trust = match &self.trust {
            TrustBundle::NotThere => "no list of authorities".to_owned(),
            TrustBundle::Unreadable(_) => "authorities could not be read".to_owned(),
            TrustBundle::Read { authorities, .. } => format!("{authorities} authorities"),
        };
        match added {
            0 => format!("{files}, {trust}"),
            added => format!("{files}, {trust}, {added} added"),
        }
    }
}
