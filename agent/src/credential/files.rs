//! Certificate files that somebody else keeps: read anew before each report, so that they can be
//! rotated under a running agent. That one is about to expire is told in the log.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::link::Shown;
use super::{CredentialError, read};

/// So long before its end a certificate is told of.
const EXPIRES_SOON_SECONDS: i64 = 7 * 24 * 3600;

/// Certificate and key in files.
#[derive(Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    of: (Vec<u8>, Vec<u8>),
    shown: Shown,
    generation: u64,
    has_told: bool,
}

impl Files {
    pub(super) fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, CredentialError> {
        let of = (read(&certificate)?, read(&key)?);
        let shown = shown(&certificate, &key, &of)?;
        Ok(Self { certificate, key, of, shown, generation: 0, has_told: false })
    }

    /// The newest good ones, and their number.
    pub(super) fn newest(&mut self) -> (u64, &Shown) {
        if let (Ok(certificate), Ok(key)) = (read(&self.certificate), read(&self.key))
            && (&certificate, &key) != (&self.of.0, &self.of.1)
        {
            let of = (certificate, key);
            // Between the writing of one and of the other they do not go together.
            if let Ok(shown) = shown(&self.certificate, &self.key, &of) {
                tracing::info!("certificate taken anew from its files");
                self.of = of;
                self.shown = shown;
                self.generation += 1;
                self.has_told = false;
            }
        }
        self.tell();
        (self.generation, &self.shown)
    }

    fn tell(&mut self) {
        let Some(ends) = self.shown.chain.first().and_then(|leaf| expires_at(leaf)) else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let left = ends - i64::try_from(now).unwrap_or(i64::MAX);
        if left < EXPIRES_SOON_SECONDS && !self.has_told {
            tracing::warn!(left_seconds = left, "this node's certificate is about to expire");
            self.has_told = true;
        }
    }
}

fn shown(
    certificate: &std::path::Path,
    key: &std::path::Path,
    of: &(Vec<u8>, Vec<u8>),
) -> Result<Shown, CredentialError> {
    let unusable =
        |path: &std::path::Path, why| CredentialError::Unusable { path: path.to_owned(), why };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&of.0).collect();
    let chain = chain.map_err(|_| unusable(certificate, "is no PEM of certificates"))?;
    if chain.is_empty() {
        return Err(unusable(certificate, "no certificate is in it"));
    }
    let key = PrivateKeyDer::from_pem_slice(&of.1)
        .map_err(|_| unusable(key, "no private key is in it"))?;
    Ok(Shown { chain, key })
}

/// When a certificate ends, in seconds of Unix time.
fn expires_at(der: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}
