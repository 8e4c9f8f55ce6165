//! Collects `certificates`: those that lie beside the kubelet's own, where the provider and
//! kubeadm put them, the list of authorities that the system's programs believe, and those
//! that somebody added to it. RFC 5280, update-ca-certificates(8), update-ca-trust(8).

use std::sync::Arc;

use nodeward_domain::facts::kubelet::{Certificate, CertificateContent};
use nodeward_domain::facts::{
    CertificateStore, Certificates, ComponentState, StoredCertificates, TrustBundle, UnreadPlace,
};
use nodeward_domain::observed::State;

use super::{Collected, x509};
use crate::host::{Host, HostError, HostRoot};
use crate::reads::Read;

/// So many files are read; of more it is told how many there are.
const FILES: usize = 64;

/// A list of all authorities of the web has some 220 KiB, one with comments twice as much.
const BUNDLE_LIMIT_BYTES: u64 = 2 * 1024 * 1024;

/// So many authorities of it are read, …
const AUTHORITIES: usize = 1024;

/// … and so many told of: those that end first.
const FIRST_TO_END: usize = 16;

/// Folders of certificates, whose they are, and how the files are named that are meant. Keys
/// lie beside them, in files of other names.
const FOLDERS: [(&str, CertificateStore, &[&str]); 6] = [
    ("/etc/kubernetes/certs", CertificateStore::Provider, &[".crt", ".pem"]),
    ("/etc/kubernetes/pki", CertificateStore::Kubeadm, &[".crt"]),
    ("/etc/kubernetes/pki/etcd", CertificateStore::Kubeadm, &[".crt"]),
    ("/etc/pki/ca-trust/source/anchors", CertificateStore::Added, &[".crt", ".pem", ".cer"]),
    ("/opt/certs", CertificateStore::Added, &[".crt", ".pem", ".cer"]),
    ("/usr/local/share/ca-certificates", CertificateStore::Added, &[".crt", ".pem", ".cer"]),
];

/// Where distributions keep the list: Debian and Ubuntu; Azure Linux and its kin.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::of(
        &["/etc/kubernetes/certs/**", "/etc/kubernetes/pki/**"],
        "Of files named `.crt` or `.pem` subject, issuer and validity of the certificates, byte by \
         byte, up to a private key that stands behind them. At most 64 files.",
    ),
    Read::of(
        &[
            "/etc/pki/ca-trust/source/anchors/**",
            "/opt/certs/**",
            "/usr/local/share/ca-certificates/**",
        ],
        "The same of authorities that somebody added to those of the system.",
    ),
    Read::of(
        &[
            "/etc/ssl/certs/ca-certificates.crt",
            "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
            "/etc/pki/tls/certs/ca-bundle.crt",
        ],
        "How many authorities the system believes, from when on the newest of them is valid, and \
         which end first. Read again only when it has changed.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    let mut certificates =
        Certificates { files: Vec::new(), left_out: 0, unread: Vec::new(), trust: trust(host) };
    for (folder, store, endings) in FOLDERS {
        look(&host.root, (folder, store, endings), &mut certificates);
    }
    certificates.files.sort_by(|a, b| a.path.cmp(&b.path));
    let Certificates { files, unread, trust, .. } = &certificates;
    let is_absent = files.is_empty() && unread.is_empty() && *trust == TrustBundle::NotThere;
    let state = match is_absent {
        true => State::Absent,
        false => State::Present(Arc::new(certificates)),
    };
    ComponentState::Certificates(state).into()
}

fn look(
    root: &HostRoot,
    (folder, store, endings): (&str, CertificateStore, &[&str]),
    certificates: &mut Certificates,
) {
    let names = match root.list(folder) {
        Ok(names) => names,
        Err(HostError::Missing { .. }) => return,
        Err(error) => {
            let (path, why) = (folder.to_owned(), error.to_string());
            certificates.unread.push(UnreadPlace { path, why });
            return;
        }
    };
    for name in names.iter().filter(|name| endings.iter().any(|ending| name.ends_with(ending))) {
        if certificates.files.len() >= FILES {
            certificates.left_out = certificates.left_out.saturating_add(1);
            continue;
        }
        let path = format!("{folder}/{name}");
        let content = match x509::certificates(root, &path) {
            Ok(read) => {
                CertificateContent::Certificates(read.into_iter().map(|(_, one)| one).collect())
            }
            // Gone since, or a link to what is not there.
            Err(HostError::Missing { .. }) => CertificateContent::Missing,
            Err(error) => CertificateContent::Unreadable(error.to_string()),
        };
        certificates.files.push(StoredCertificates { path, store, content });
    }
}

/// The first list that is there.
fn trust(host: &Host) -> TrustBundle {
    let Some(path) = BUNDLES.into_iter().find(|path| host.root.exists(path) != Ok(false)) else {
        return TrustBundle::NotThere;
    };
    let made = host.remembered.trust.or_made(&host.root, &[path], || {
        let text = host.root.read(path, BUNDLE_LIMIT_BYTES)?;
        let read = x509::of_pem(path, &text, AUTHORITIES)?;
        let mut all: Vec<Certificate> = read.into_iter().map(|(_, one)| one).collect();
        let newest = all.iter().map(|one| one.not_before).max().ok_or_else(|| {
            HostError::Malformed { path: path.to_owned(), why: "has no certificate".to_owned() }
        })?;
        let authorities = u32::try_from(all.len()).unwrap_or(u32::MAX);
        all.sort_by(|a, b| (a.not_after, &a.subject).cmp(&(b.not_after, &b.subject)));
        all.truncate(FIRST_TO_END);
        Ok(TrustBundle::Read { path: path.to_owned(), authorities, newest, first_to_end: all })
    });
    made.unwrap_or_else(|error| {
        let (path, why) = (error.path().to_owned(), error.to_string());
        TrustBundle::Unreadable(UnreadPlace { path, why })
    })
}
