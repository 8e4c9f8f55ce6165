//! TLS of the listener for other machines. Certificates and authorities come from files that may
//! change while it serves (rotation); a client certificate may be shown, and who shows one must
//! have it signed by one of the authorities and in force (RFC 8446, RFC 5280).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::connections::{Connection, Connections};
use crate::reload::{ReloadError, Reloaded};

/// A connection that does not get through TLS in this time is given up.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// So many connections may have got through TLS and wait to be served.
const READY: usize = 64;

/// Where the listener is and what it shows.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// The address.
    pub address: SocketAddr,
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM.
    pub client_ca: PathBuf,
}

/// What connections are made with now, and until when it is in force.
#[derive(Debug)]
pub struct Shown {
    config: Arc<ServerConfig>,
    clients: Arc<dyn ClientCertVerifier>,
    /// The server's own certificate is in force until then.
    pub certificate_expires_at: Timestamp,
    /// The first of the authorities to end is in force until then.
    pub authority_expires_at: Timestamp,
}

impl TlsSettings {
    /// Reads the files.
    pub fn open(&self) -> Result<Reloaded<Shown>, ReloadError> {
        let files = vec![self.certificate.clone(), self.key.clone(), self.client_ca.clone()];
        Reloaded::open("certificates", files, |contents| match contents {
            [certificate, key, client_ca] => shown(certificate, key, client_ca),
            _ => Err("three files are needed".to_owned()),
        })
    }
}

fn shown(certificate: &[u8], key: &[u8], client_ca: &[u8]) -> Result<Shown, String> {
    let chain = certificates(certificate)?;
    // What is wrong with a key is not told.
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|_| "the key cannot be read".to_owned())?;
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    let authorities = certificates(client_ca)?;
    let certificate_expires_at = first_end(chain.get(..1).unwrap_or_default())?;
    let authority_expires_at = first_end(&authorities)?;
    for authority in authorities {
        roots.add(authority).map_err(|error| error.to_string())?;
    }
    // Who enrols has no certificate yet; what each caller must show, each service says.
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| error.to_string())?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(Arc::clone(&clients))
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    Ok(Shown { config, clients, certificate_expires_at, authority_expires_at })
}

impl Shown {
    /// Whether a chain that a connection showed when it began would be let through now.
    #[must_use]
    pub fn trusts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((leaf, others)) = chain.split_first() else { return false };
        self.clients.verify_client_cert(leaf, others, UnixTime::now()).is_ok()
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| error.to_string())?;
    if all.is_empty() { Err("no certificate is in it".to_owned()) } else { Ok(all) }
}

/// When the first of them ends.
fn first_end(certificates: &[CertificateDer<'_>]) -> Result<Timestamp, String> {
    let ends = certificates.iter().map(|one| expires_at(one).ok_or("a certificate cannot be read"));
    let ends: Result<Vec<_>, _> = ends.collect();
    ends?.into_iter().min().ok_or_else(|| "no certificate is in it".to_owned())
}

/// When a certificate in DER ends.
#[must_use]
pub fn expires_at(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

/// From when on a certificate in DER is in force.
#[must_use]
pub fn in_force_from(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Timestamp::from_second(certificate.validity().not_before.timestamp()).ok()
}

/// Connections that have got through TLS. Each is let through on its own, so that one that
/// says nothing keeps no other one waiting.
pub fn incoming(
    connections: Connections,
    shown: Arc<Reloaded<Shown>>,
) -> impl Stream<Item = std::io::Result<TlsStream<Connection>>> {
    let (ready, taken) = mpsc::channel(READY);
    tokio::spawn(async move {
        let mut connections = connections.into_stream();
        while let Some(connection) = connections.next().await {
            if ready.is_closed() {
                return;
            }
            let Ok(connection) = connection else { continue };
            let (ready, shown) = (ready.clone(), shown.get());
            tokio::spawn(async move {
                let accepts = TlsAcceptor::from(Arc::clone(&shown.config)).accept(connection);
                // Who breaks off, or shows a certificate that does not hold, hears it by TLS.
                if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_LIMIT, accepts).await {
                    let _ = ready.send(Ok(stream)).await;
                }
            });
        }
    });
    ReceiverStream::new(taken)
}
