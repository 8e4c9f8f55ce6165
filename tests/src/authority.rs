//! A certificate authority of a test, with files in a folder of its own.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tempfile::TempDir;

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM files.
#[derive(Debug)]
pub struct Credential {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Default for Authority {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut params = named("authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        Self { folder, issuer: Issuer::new(params, key) }
    }
}

impl Authority {
    /// Its own certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A certificate of a server on this machine.
    #[must_use]
    pub fn server(&self) -> Credential {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "server of a test");
        self.issue("server", &params)
    }

    /// A certificate of a server of that name.
    ///
    /// # Panics
    /// When that is none.
    #[must_use]
    pub fn server_named(&self, name: &str) -> Credential {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, "API server of a test");
        self.issue("server", &params)
    }

    /// A certificate of that node; of nobody without a name.
    #[must_use]
    pub fn client(&self, uri: Option<&str>) -> Credential {
        let mut params = named("client of a test");
        let name = uri.map(|uri| SanType::URI(uri.try_into().expect("an IA5 string")));
        params.subject_alt_names.extend(name);
        self.issue("client", &params)
    }

    fn issue(&self, file: &str, params: &CertificateParams) -> Credential {
        let key = KeyPair::generate().expect("a key");
        let issued = params.signed_by(&key, &self.issuer).expect("a certificate");
        // Each has files of its own: a test may ask for several.
        let folder = tempfile::tempdir_in(self.folder.path()).expect("a folder").keep();
        let credential = Credential {
            certificate: folder.join(format!("{file}.pem")),
            key: folder.join(format!("{file}.key")),
        };
        std::fs::write(&credential.certificate, issued.pem()).expect("written");
        std::fs::write(&credential.key, key.serialize_pem()).expect("written");
        credential
    }
}

/// Authority and issued certificates must have different names, or OpenSSL refuses them.
fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
