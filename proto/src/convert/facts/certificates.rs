//! Facts of `certificates` to and from the wire.

use nodeward_domain::facts as domain;
use nodeward_domain::facts::kubelet::{Certificate, CertificateContent};
use nodeward_domain::facts::{CertificateStore, StoredCertificates, TrustBundle};

use super::files::PLACES;
use crate::convert::{Invalid, list, name, required, text, timestamp_in, timestamp_out};
use crate::v1;
use crate::v1::certificates as wire;

const FILES: usize = 512;
const CERTIFICATES: usize = 1024;

impl From<&domain::Certificates> for v1::Certificates {
    fn from(certificates: &domain::Certificates) -> Self {
        Self {
            files: certificates.files.iter().map(file_out).collect(),
            left_out: certificates.left_out,
            unread: certificates.unread.iter().map(Into::into).collect(),
            trust: Some(match &certificates.trust {
                TrustBundle::NotThere => wire::Trust::NoTrust(wire::NoTrust {}),
                TrustBundle::Unreadable(unread) => wire::Trust::TrustUnread(unread.into()),
                TrustBundle::Read { path, authorities, newest, first_to_end } => {
                    wire::Trust::TrustRead(wire::TrustList {
                        path: path.clone(),
                        authorities: *authorities,
                        newest: Some(timestamp_out(*newest)),
                        first_to_end: first_to_end.iter().map(certificate_out).collect(),
                    })
                }
            }),
            ignored: certificates.ignored.clone(),
        }
    }
}

impl TryFrom<v1::Certificates> for domain::Certificates {
    type Error = Invalid;

    fn try_from(certificates: v1::Certificates) -> Result<Self, Invalid> {
        Ok(Self {
            files: list("files", certificates.files, FILES, file_in)?,
            left_out: certificates.left_out,
            unread: list("unread", certificates.unread, PLACES, TryInto::try_into)?,
            trust: match required("trust", certificates.trust)? {
                wire::Trust::NoTrust(_) => TrustBundle::NotThere,
                wire::Trust::TrustUnread(unread) => TrustBundle::Unreadable(unread.try_into()?),
                wire::Trust::TrustRead(trust) => TrustBundle::Read {
                    path: name("trust.path", trust.path)?,
                    authorities: trust.authorities,
                    newest: timestamp_in("trust.newest", trust.newest)?,
                    first_to_end: list(
                        "trust.first_to_end",
                        trust.first_to_end,
                        CERTIFICATES,
                        certificate_in,
                    )?,
                },
            },
            ignored: list("ignored", certificates.ignored, PLACES, |path| name("ignored", path))?,
        })
    }
}

fn file_out(file: &StoredCertificates) -> wire::File {
    wire::File {
        path: file.path.clone(),
        store: match file.store {
            CertificateStore::Provider => wire::Store::Provider,
            CertificateStore::Kubeadm => wire::Store::Kubeadm,
            CertificateStore::Added => wire::Store::Added,
        }
        .into(),
        certificates: file.content.certificates().iter().map(certificate_out).collect(),
        unreadable: match &file.content {
            CertificateContent::Unreadable(why) => Some(why.clone()),
            CertificateContent::Certificates(_) | CertificateContent::Missing => None,
        },
    }
}

fn file_in(file: wire::File) -> Result<StoredCertificates, Invalid> {
    let certificates = list("certificates", file.certificates, CERTIFICATES, certificate_in)?;
    Ok(StoredCertificates {
        path: name("path", file.path)?,
        store: match wire::Store::try_from(file.store) {
            Ok(wire::Store::Provider) => CertificateStore::Provider,
            Ok(wire::Store::Kubeadm) => CertificateStore::Kubeadm,
            Ok(wire::Store::Added) => CertificateStore::Added,
            Ok(wire::Store::Unspecified) | Err(_) => {
                return Err(Invalid::new("store", format!("{} is not known here", file.store)));
            }
        },
        content: match file.unreadable {
            Some(why) => CertificateContent::Unreadable(text(why)),
            None if certificates.is_empty() => CertificateContent::Missing,
            None => CertificateContent::Certificates(certificates),
        },
    })
}

fn certificate_out(certificate: &Certificate) -> wire::Certificate {
    wire::Certificate {
        subject: certificate.subject.clone(),
        issuer: certificate.issuer.clone(),
        not_before: Some(timestamp_out(certificate.not_before)),
        not_after: Some(timestamp_out(certificate.not_after)),
    }
}

fn certificate_in(certificate: wire::Certificate) -> Result<Certificate, Invalid> {
    Ok(Certificate {
        subject: text(certificate.subject),
        issuer: text(certificate.issuer),
        not_before: timestamp_in("not_before", certificate.not_before)?,
        not_after: timestamp_in("not_after", certificate.not_after)?,
    })
}
