//! Certificates of a kubelet as they lie on disk, RFC 5280. Keys are never read.

use jiff::Timestamp;
use serde::Serialize;

/// A file of certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateFile {
    /// What the kubelet uses it for.
    pub role: CertificateRole,
    /// Where it lies.
    pub path: String,
    /// What is in it.
    pub content: CertificateContent,
}

/// What a kubelet uses a certificate for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateRole {
    /// To show who it is to the API server.
    Client,
    /// To show who it is to those who connect to it.
    Serving,
    /// To know who connects to it: the cluster's authorities.
    ClientAuthority,
}

impl CertificateRole {
    /// The role for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Client => "client certificate",
            Self::Serving => "serving certificate",
            Self::ClientAuthority => "authority of clients",
        }
    }
}

/// What is in a file of certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateContent {
    /// These, in their order. At least one.
    Certificates(Vec<Certificate>),
    /// There is no such file.
    Missing,
    /// It could not be read, for this reason.
    Unreadable(String),
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Distinguished name of its owner, such as `O=system:nodes, CN=system:node:a`.
    pub subject: String,
    /// Distinguished name of who signed it.
    pub issuer: String,
    /// It is valid from then on, …
    pub not_before: Timestamp,
    /// … and up to and with then.
    pub not_after: Timestamp,
}

impl CertificateContent {
    /// The certificates; none when they could not be read.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        match self {
            Self::Certificates(certificates) => certificates,
            Self::Missing | Self::Unreadable(_) => &[],
        }
    }
}
