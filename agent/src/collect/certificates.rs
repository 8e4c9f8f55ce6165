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
use crate::host::{Host, HostError, HostRoot, Identity};
use crate::reads::Read;

/// So many files are read; of more it is told how many there are.
const FILES: usize = 64;

/// A list of all authorities of the web has some 220 KiB, one with comments twice as much.
const BUNDLE_LIMIT_BYTES: u64 = 2 * 1024 * 1024;

/// So many authorities of it are read, …
const AUTHORITIES: usize = 1024;

/// … and so many told of: those that end first.
const FIRST_TO_END: usize = 16;

/// Which files of a folder are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    /// Those with one of these endings. Keys lie beside them, in files of other names.
    Ending(&'static [&'static str]),
    /// What update-ca-certificates(8) takes: every file `*.crt`, in subfolders too and over
    /// links (`find -L -type f -name '*.crt'`).
    Debian,
    /// What update-ca-trust(8) takes: whatever lies in the folder itself, by whatever name, and
    /// no subfolder (`loader_load_directory` of p11-kit, trust/token.c).
    P11Kit,
    /// What AKS copies to where the other two look: whatever lies there that the shell's `*`
    /// shows (update_certs.sh of its images).
    Copied,
}

/// Folders of certificates, whose they are, and which files in them are meant.
const FOLDERS: [(&str, CertificateStore, Meant); 7] = [
    ("/etc/kubernetes/certs", CertificateStore::Provider, Meant::Ending(&[".crt", ".pem"])),
    ("/etc/kubernetes/pki", CertificateStore::Kubeadm, Meant::Ending(&[".crt"])),
    ("/etc/kubernetes/pki/etcd", CertificateStore::Kubeadm, Meant::Ending(&[".crt"])),
    ("/etc/pki/ca-trust/source/anchors", CertificateStore::Added, Meant::P11Kit),
    (COPIED, CertificateStore::Added, Meant::Copied),
    ("/usr/local/share/ca-certificates", CertificateStore::Added, Meant::Debian),
    ("/usr/share/pki/ca-trust-source/anchors", CertificateStore::Added, Meant::P11Kit),
];

/// Where AKS puts the authorities that its customer names.
const COPIED: &str = "/opt/certs";

/// So many folders are gone through below one, and so many of what is ignored there are told.
const SUBFOLDERS: usize = 64;
const IGNORED: usize = 16;

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
            "/usr/share/pki/ca-trust-source/anchors/**",
        ],
        "The same of authorities that somebody added to those of the system: below \
         `/usr/local/share/ca-certificates` of every file `*.crt`, in subfolders too, as \
         update-ca-certificates(8) takes them; of whatever lies in the other folders themselves, \
         as update-ca-trust(8) does.",
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
    let mut certificates = Certificates {
        files: Vec::new(),
        left_out: 0,
        unread: Vec::new(),
        trust: trust(host),
        ignored: Vec::new(),
    };
    for (folder, store, meant) in FOLDERS {
        let mut looking = Looking { root: &host.root, store, meant, been: Vec::new() };
        looking.folder(folder, &mut certificates);
    }
    without_originals(&mut certificates.files);
    certificates.ignored.sort_unstable();
    certificates.ignored.truncate(IGNORED);
    certificates.files.sort_by(|a, b| a.path.cmp(&b.path));
    let Certificates { files, unread, trust, .. } = &certificates;
    let is_absent = files.is_empty() && unread.is_empty() && *trust == TrustBundle::NotThere;
    let state = match is_absent {
        true => State::Absent,
        false => State::Present(Arc::new(certificates)),
    };
    ComponentState::Certificates(state).into()
}

/// One who looks below a folder.
struct Looking<'a> {
    root: &'a HostRoot,
    store: CertificateStore,
    meant: Meant,
    /// Folders that were gone through: links may lead in circles.
    been: Vec<Identity>,
}

impl Looking<'_> {
    fn folder(&mut self, folder: &str, certificates: &mut Certificates) {
        let names = match self.names(folder) {
            Ok(names) => names,
            Err(HostError::Missing { .. }) => return,
            Err(error) => return unread(folder, &error, certificates),
        };
        for name in names {
            let path = format!("{folder}/{name}");
            let is_meant = match self.meant {
                Meant::Ending(endings) => endings.iter().any(|ending| name.ends_with(ending)),
                Meant::Debian => name.ends_with(".crt"),
                Meant::P11Kit => true,
                Meant::Copied => !name.starts_with('.'),
            };
            match (self.meant, is_meant) {
                (Meant::Ending(_), false) => {}
                (Meant::Ending(_), true) => self.file(path, certificates),
                _ => self.added(path, is_meant, certificates),
            }
        }
    }

    /// The names in a folder; none of one that was gone through.
    fn names(&mut self, folder: &str) -> Result<Vec<String>, HostError> {
        let identity = self.root.identity(folder)?;
        if self.been.contains(&identity) {
            return Ok(Vec::new());
        }
        if self.been.len() >= SUBFOLDERS {
            let why = format!("is not looked at: {SUBFOLDERS} other folders lie beside it");
            return Err(HostError::Malformed { path: folder.to_owned(), why });
        }
        self.been.push(identity);
        self.root.list(folder)
    }

    /// What lies where authorities are added.
    fn added(&mut self, path: String, is_meant: bool, certificates: &mut Certificates) {
        match self.root.kind(&path) {
            Ok("directory") if self.meant == Meant::Debian => self.folder(&path, certificates),
            Ok("regular file") if is_meant => self.file(path, certificates),
            Ok("directory" | "regular file") => certificates.ignored.push(path),
            // A link to what is not there, or what is no file: nobody takes either.
            Ok(_) | Err(HostError::Missing { .. }) => {}
            Err(error) => unread(&path, &error, certificates),
        }
    }

    fn file(&self, path: String, certificates: &mut Certificates) {
        if certificates.files.len() >= FILES {
            certificates.left_out = certificates.left_out.saturating_add(1);
            return;
        }
        let content = match x509::certificates(self.root, &path) {
            Ok(read) => {
                CertificateContent::Certificates(read.into_iter().map(|(_, one)| one).collect())
            }
            // Gone since, or a link to what is not there.
            Err(HostError::Missing { .. }) => CertificateContent::Missing,
            // Of other forms than PEM (DER, p11-kit's own) nothing is read here, and a text that
            // is none of them is no authority: which of the two it is nobody knows.
            Err(error @ HostError::Malformed { .. }) if self.meant == Meant::P11Kit => {
                return unread(&path, &error, certificates);
            }
            Err(error) => CertificateContent::Unreadable(error.to_string()),
        };
        certificates.files.push(StoredCertificates { path, store: self.store, content });
    }
}

fn unread(path: &str, error: &HostError, certificates: &mut Certificates) {
    if certificates.unread.len() >= FILES {
        certificates.left_out = certificates.left_out.saturating_add(1);
        return;
    }
    certificates.unread.push(UnreadPlace { path: path.to_owned(), why: error.to_string() });
}

/// Leaves out what AKS has copied to where it counts: one authority is told of once.
fn without_originals(files: &mut Vec<StoredCertificates>) {
    let is_original = |file: &StoredCertificates| {
        file.path.strip_prefix(COPIED).is_some_and(|rest| rest.starts_with('/'))
    };
    let copies: Vec<CertificateContent> = files
        .iter()
        .filter(|file| file.store == CertificateStore::Added && !is_original(file))
        .map(|file| file.content.clone())
        .collect();
    files.retain(|file| {
        let is_read = matches!(file.content, CertificateContent::Certificates(_));
        !(is_read && is_original(file) && copies.contains(&file.content))
    });
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    use crate::probe::Probes;

    /// An authority of nobody's, in PEM.
    const PEM: &str = "\
-----BEGIN CERTIFICATE-----
MIIBnTCCAUKgAwIBAgIUJiACgDNXAEox1RonHfzHHcPI9YkwCgYIKoZIzj0EAwIw
NDEgMB4GA1UEAwwXQ29udG9zbyBQcm94eSBBdXRob3JpdHkxEDAOBgNVBAoMB0Nv
bnRvc28wHhcNMjUwMzAxMDAwMDAwWhcNMzUwMzAxMDAwMDAwWjA0MSAwHgYDVQQD
DBdDb250b3NvIFByb3h5IEF1dGhvcml0eTEQMA4GA1UECgwHQ29udG9zbzBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABMC9M19+aAmiX48X5QDmqfwrYqOUDF73in2Y
qF7e3flFiLS2vNuHY2wr/M3ZRKzvZzoWixwJLc1PQwLQZa6/QSujMjAwMA8GA1Ud
EwEB/wQFMAMBAf8wHQYDVR0OBBYEFPCC4Dacjb9mxbM4GBFte4ahXjIuMAoGCCqG
SM49BAMCA0kAMEYCIQC29pVCVODWVSY8TOfMiLeAUml+iHYUegVm1ds35T8QOwIh
AOQ9AvisSCoMcB0+VviT493pVTIoWvwviLrktBmtZN1g
-----END CERTIFICATE-----
";

    /// What is seen of these files, and of these links.
    fn seen(files: &[(&str, &str)], links: &[(&str, &str)]) -> Certificates {
        let root = tempfile::tempdir().expect("a folder");
        let inside = |path: &str| {
            let path = root.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            path
        };
        for (path, text) in files {
            std::fs::write(inside(path), text).expect("written");
        }
        for (path, target) in links {
            symlink(target, inside(path)).expect("made");
        }
        let host = Host::new(
            HostRoot::open(root.path()).expect("a directory"),
            Probes::Off("a copy".to_owned()),
        );
        match collect(&host).state {
            ComponentState::Certificates(State::Present(seen)) => (*seen).clone(),
            other => panic!("{other:?}"),
        }
    }

    fn paths(seen: &Certificates) -> Vec<&str> {
        seen.files.iter().map(|file| file.path.as_str()).collect()
    }

    const DEBIAN: &str = "/usr/local/share/ca-certificates";

    #[test]
    fn of_debians_folder_every_crt_is_an_authority_however_deep_it_lies() {
        let path = |name: &str| format!("{DEBIAN}/{name}");
        let (top, deep, pem) = (path("a.crt"), path("certs/deeper/b.crt"), path("c.pem"));
        let hidden = path("certs/.d.crt");
        let seen = seen(
            &[(&top, PEM), (&deep, PEM), (&pem, PEM), (&hidden, PEM), ("/opt/ca/e.crt", PEM)],
            &[
                (&path("linked"), "/opt/ca"),
                (&path("certs/circle"), ".."),
                (&path("gone.crt"), "/nowhere"),
            ],
        );
        let linked = path("linked/e.crt");
        assert_eq!(paths(&seen), [&top, &hidden, &deep, &linked]);
        assert_eq!((seen.ignored, seen.unread), (vec![pem], Vec::new()));
    }

    #[test]
    fn of_anchors_every_file_is_one_and_no_subfolder() {
        for folder in ["/etc/pki/ca-trust/source/anchors", "/usr/share/pki/ca-trust-source/anchors"]
        {
            let path = |name: &str| format!("{folder}/{name}");
            let (plain, hidden, readme) = (path("company"), path(".a.pem"), path("README"));
            let seen = seen(
                &[(&plain, PEM), (&hidden, PEM), (&readme, "hello\n"), (&path("old/b.crt"), PEM)],
                &[],
            );
            assert_eq!(paths(&seen), [&hidden, &plain]);
            assert_eq!(seen.ignored, [path("old")]);
            let unread: Vec<&str> = seen.unread.iter().map(|one| one.path.as_str()).collect();
            assert_eq!(unread, [readme.as_str()]);
        }
    }

    #[test]
    fn what_was_copied_is_told_of_once() {
        let copy = format!("{DEBIAN}/certs/aks-custom-00000000000000cert0.crt");
        let original = "/opt/certs/00000000000000cert0.crt";
        assert_eq!(paths(&seen(&[(original, PEM), (&copy, PEM)], &[])), [&copy]);
        assert_eq!(paths(&seen(&[(original, PEM)], &[])), [original]);
    }
}
