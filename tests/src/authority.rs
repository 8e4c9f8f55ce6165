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
#[derive(Debug, Clone)]
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
        std::fs::write(folder.path().join("ca.key"), key.serialize_pem()).expect("written");
        Self { folder, issuer: Issuer::new(params, key) }
    }
}

impl Authority {
    /// Its own certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Its own private key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("ca.key")
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
        self.client_of(uri.as_slice())
    }

    /// A certificate with all of those names.
    #[must_use]
    pub fn client_of(&self, uris: &[&str]) -> Credential {
        self.issue("client", &client(uris))
    }

    /// A certificate of that node that ends so many seconds from now; before now, if they are
    /// negative.
    ///
    /// # Panics
    /// When there is no such date.
    #[must_use]
    pub fn client_for(&self, uri: &str, seconds: i64) -> Credential {
        let end = jiff::Timestamp::now().as_second() + seconds;
        let mut params = client(&[uri]);
        params.not_after = time::OffsetDateTime::from_unix_timestamp(end).expect("a date");
        self.issue("client", &params)
    }

    /// A certificate of that node that has been in force for so many seconds.
    ///
    /// # Panics
    /// When there is no such date.
    #[must_use]
    pub fn client_since(&self, uri: &str, seconds: i64) -> Credential {
        let from = jiff::Timestamp::now().as_second() - seconds;
        let mut params = client(&[uri]);
        params.not_before = time::OffsetDateTime::from_unix_timestamp(from).expect("a date");
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

fn client(uris: &[&str]) -> CertificateParams {
    let mut params = named("client of a test");
    let names = uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("an IA5 string")));
    params.subject_alt_names.extend(names);
    params
}

/// Authority and issued certificates must have different names, or OpenSSL refuses them.
fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
