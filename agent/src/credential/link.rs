//! One connection to the aggregator over TLS, by rustls itself: a certificate that changes while
//! the agent runs, with a key that was never written as PEM, has no place in tonic's own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Channel, Endpoint, Uri};

use super::CredentialError;

/// A connection must stand in this time, TLS and all.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Where the aggregator is.
#[derive(Debug, Clone)]
pub struct Target {
    url: Uri,
    host: String,
    port: u16,
    name: ServerName<'static>,
}

/// A certificate and its key, as they are shown.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Shown {
    pub(super) fn copy(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl Target {
    /// Of an address like `https://HOST:PORT`.
    pub fn of(url: &Uri) -> Result<Self, CredentialError> {
        let wrong = || CredentialError::Address(url.to_string());
        let host = url.host().map(|host| host.trim_matches(['[', ']'])).ok_or_else(wrong)?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
        let port = url.port_u16().unwrap_or(443);
        Ok(Self { url: url.clone(), host: host.to_owned(), port, name })
    }

    /// A connection, made with the first call.
    pub(super) fn channel(&self, config: ClientConfig) -> Result<Channel, CredentialError> {
        let (host, port, name) = (self.host.clone(), self.port, self.name.clone());
        let tls = TlsConnector::from(Arc::new(config));
        let connects = tower::service_fn(move |_: Uri| {
            let (host, name, tls) = (host.clone(), name.clone(), tls.clone());
            async move {
                let stream = TcpStream::connect((host.as_str(), port)).await?;
                let stream = tls.connect(name, stream).await?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        // TLS is laid by the connector: tonic must not lay its own, and says https all the same.
        let plain = format!("http://{}", self.url.authority().map_or("", |one| one.as_str()));
        let endpoint = Endpoint::from_shared(plain)
            .map_err(|_| CredentialError::Address(self.url.to_string()))?
            .origin(self.url.clone())
            .connect_timeout(CONNECT_LIMIT);
        Ok(endpoint.connect_with_connector_lazy(connects))
    }
}

/// How TLS is spoken: whom one trusts, and what is shown.
pub(super) fn config(
    authorities: &[u8],
    path: &Path,
    shown: Option<&Shown>,
) -> Result<ClientConfig, CredentialError> {
    let unusable = |why| CredentialError::Unusable { path: path.to_owned(), why };
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authorities) {
        let authority = authority.map_err(|_| unusable("is no PEM of certificates"))?;
        roots.add(authority).map_err(|_| unusable("has a certificate that cannot be used"))?;
    }
    if roots.is_empty() {
        return Err(unusable("no certificate is in it"));
    }
    let failed = |error: tokio_rustls::rustls::Error| CredentialError::Tls(error.to_string());
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?
        .with_root_certificates(roots);
    let mut config = match shown.map(Shown::copy) {
        Some(Shown { chain, key }) => config.with_client_auth_cert(chain, key).map_err(failed)?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
