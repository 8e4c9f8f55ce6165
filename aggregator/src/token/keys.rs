//! The public keys of an issuer (RFC 7517): from a file, from the API server of the issuer's
//! cluster, or from an address that is configured. Kept, and fetched anew when a token names one
//! that is not among them, but not for everybody who says so.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio_rustls::rustls::crypto::ring;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::kubernetes::{Kubernetes, KubernetesError};

/// Keys are fetched anew after this long, …
const LASTS: Duration = Duration::from_secs(3600);

/// … and at most this often, whatever tokens name.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The longest list of keys.
const LONGEST_BYTES: u64 = 256 * 1024;

/// A server of keys must answer in this time.
const LIMIT: Duration = Duration::from_secs(10);

/// Why keys are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// The API server does not tell them.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    /// Their file cannot be read.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Their server does not tell them.
    #[error("{url}: {why}")]
    Server {
        /// The address.
        url: String,
        /// Why.
        why: String,
    },
    /// They are none.
    #[error("the keys cannot be read")]
    Unreadable,
    /// They could not be fetched a moment ago.
    #[error("they could not be fetched a moment ago")]
    Lately,
}

/// Where keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file.
    File(PathBuf),
    /// The API server of the issuer's cluster.
    Kubernetes(Kubernetes),
    /// A server of keys.
    Server {
        /// Its address, https.
        url: String,
        /// Authorities that it must be signed by.
        authorities: Vec<Certificate<'static>>,
    },
}

/// The keys of one issuer.
#[derive(Debug)]
pub struct Keys {
    source: KeySource,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    keys: Vec<Arc<Jwk>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

#[derive(Deserialize)]
struct Listed {
    keys: Vec<serde_json::Value>,
}

impl Keys {
    /// Keys from there; none are fetched yet.
    #[must_use]
    pub fn new(source: KeySource) -> Self {
        Self { source, known: Mutex::default() }
    }

    /// The key of that name for that algorithm; without a name the only one that fits.
    pub async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<DecodingKey>, KeysError> {
        // Held while they are fetched: many who wait for one key fetch it once.
        let mut known = self.known.lock().await;
        let is_old = known.fetched.is_none_or(|fetched| fetched.elapsed() > LASTS);
        let may = known.tried.is_none_or(|tried| tried.elapsed() > AGAIN_AFTER);
        if (is_old || find(&known.keys, kid, algorithm).is_none()) && may {
            known.tried = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => {
                    known.keys = keys;
                    known.fetched = Some(Instant::now());
                }
                // What was known before holds on.
                Err(error) if known.fetched.is_none() => return Err(error),
                Err(error) => tracing::warn!(%error, "keys of an issuer were not fetched anew"),
            }
        } else if known.fetched.is_none() {
            return Err(KeysError::Lately);
        }
        let found = find(&known.keys, kid, algorithm);
        found.map(|key| DecodingKey::from_jwk(&key).map_err(|_| KeysError::Unreadable)).transpose()
    }

    async fn fetch(&self) -> Result<Vec<Arc<Jwk>>, KeysError> {
        let text = match &self.source {
            KeySource::Kubernetes(kubernetes) => kubernetes.jwks().await?,
            KeySource::File(path) => {
                let read = tokio::fs::read_to_string(path).await;
                let why = |error: std::io::Error| KeysError::File {
                    path: path.clone(),
                    why: error.to_string(),
                };
                read.map_err(why)?
            }
            KeySource::Server { url, authorities } => {
                let (asked, authorities) = (url.clone(), authorities.clone());
                let asking = tokio::task::spawn_blocking(move || ask(&asked, authorities));
                let answer = asking.await.unwrap_or_else(|error| Err(error.to_string()));
                answer.map_err(|why| KeysError::Server { url: url.clone(), why })?
            }
        };
        let listed: Listed = serde_json::from_str(&text).map_err(|_| KeysError::Unreadable)?;
        // A key of a kind that this build does not know costs itself alone.
        let keys = listed.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Ok(keys.map(Arc::new).collect())
    }
}

/// The key of that name that is of the algorithm's own kind: with another kind the bytes of a
/// public key could be taken for a secret.
fn find(keys: &[Arc<Jwk>], kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<Jwk>> {
    let mut fitting = keys.iter().filter(|key| fits(key, algorithm));
    match kid {
        Some(kid) => fitting.find(|key| key.common.key_id.as_deref() == Some(kid)).cloned(),
        None => match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(Arc::clone(only)),
            _ => None,
        },
    }
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, PS256, PS384, PS512, RS256, RS384, RS512};
    let is_of_kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => {
            matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512)
        }
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => algorithm == ES256,
            EllipticCurve::P384 => algorithm == ES384,
            _ => false,
        },
        _ => false,
    };
    let told = key.common.key_algorithm.map(|one| one.to_string());
    is_of_kind && told.is_none_or(|told| told == format!("{algorithm:?}"))
}

fn ask(url: &str, authorities: Vec<Certificate<'static>>) -> Result<String, String> {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(authorities)))
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        // The address is the configured one and no other.
        .max_redirects(0)
        .timeout_global(Some(LIMIT))
        .build()
        .into();
    let mut answer = agent.get(url).call().map_err(|error| error.to_string())?;
    answer.body_mut().with_config().limit(LONGEST_BYTES).read_to_string().map_err(|e| e.to_string())
}
