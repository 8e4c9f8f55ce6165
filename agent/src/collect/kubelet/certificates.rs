//! The certificates of a kubelet, RFC 5280: what it shows the API server, what it shows
//! those who connect to it, and whom of them it believes. Keys lie beside them, and often
//! in the same file: those are never read.

use nodeward_domain::facts::kubelet::{
    CertificateContent, CertificateFile, CertificateRole, Configuration,
};

use super::super::flags::Flags;
use super::super::x509;
use crate::host::{Host, HostError};

/// Where a kubelet keeps what it is given when no flag names another folder.
const FOLDER: &str = "/var/lib/kubelet/pki";

/// The certificates of a kubelet.
pub(super) struct Read {
    /// What is reported of them.
    pub(super) files: Vec<CertificateFile>,
    /// The one that it shows those who connect to it, in DER; else why it is not known.
    pub(super) serving: Result<Vec<u8>, String>,
}

/// Reads them.
pub(super) fn read(host: &Host, flags: &Flags, configuration: &Configuration) -> Read {
    let folder = flags.value("cert-dir").unwrap_or(FOLDER).trim_end_matches('/');
    let setting = |key| configuration.setting(key).map_or("", |setting| setting.effective());
    let serving = match setting("tlsCertFile") {
        "" if setting("serverTLSBootstrap") == "true" => {
            format!("{folder}/kubelet-server-current.pem")
        }
        "" => format!("{folder}/kubelet.crt"),
        path => path.to_owned(),
    };
    let serving_path = serving.clone();
    let mut paths = vec![
        (CertificateRole::Client, format!("{folder}/kubelet-client-current.pem")),
        (CertificateRole::Serving, serving),
    ];
    // Without settings it is not known which certificate is shown, nor whom it believes.
    if configuration.settings.is_empty() {
        paths.truncate(1);
    }
    let authority = setting("authentication.x509.clientCAFile");
    if !authority.is_empty() {
        paths.push((CertificateRole::ClientAuthority, authority.to_owned()));
    }
    let mut shown = Err("which certificate the kubelet shows is not known".to_owned());
    let mut files = Vec::new();
    for (role, path) in paths {
        let read = x509::certificates(&host.root, &path);
        if role == CertificateRole::Serving {
            shown = read.as_ref().map_err(|error| format!("{serving_path}: {error}")).and_then(
                |read| match read.first() {
                    Some((der, _)) => Ok(der.clone()),
                    None => Err(format!("{serving_path}: no certificate")),
                },
            );
        }
        let content = match read {
            Ok(read) => {
                CertificateContent::Certificates(read.into_iter().map(|(_, one)| one).collect())
            }
            Err(HostError::Missing { .. }) => CertificateContent::Missing,
            Err(error) => CertificateContent::Unreadable(error.to_string()),
        };
        files.push(CertificateFile { role, path, content });
    }
    Read { files, serving: shown }
}
