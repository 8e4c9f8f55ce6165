//! The public keys of an issuer (RFC 7517): from a file, from the API server of the issuer's
//! cluster, or from an address that is configured. Kept, and fetched anew when a token names one
//! that is not among them, but not for everybody who says so.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tokio_rustls::rustls::crypto::ring;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::kubernetes::{Kubernetes, KubernetesError};

/// Keys are fetched anew after this long, …
const LASTS: Duration = Duration::from_secs(3600);

/// … are believed for so long where that fails, for among them may be one that was withdrawn, …
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

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
    /// Held while they are fetched: many who wait for one key fetch it once.
    turn: tokio::sync::Mutex<()>,
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
        Self { source, known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// The key of that name for that algorithm; without a name the only one that fits.
    pub async fn find(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Option<DecodingKey>, KeysError> {
        let (is_known, is_due) = {
            let known = self.known();
            let is_known = known.are_believed() && known.find(kid, algorithm).is_some();
            (is_known, known.are_old() && known.may_be_tried())
        };
        // Where a key is known one caller sees to newer ones, and nobody waits for him.
        let turn = match (is_known, is_due) {
            (false, _) => Some(self.turn.lock().await),
            (true, true) => self.turn.try_lock().ok(),
            (true, false) => None,
        };
        // They may have been fetched for another meanwhile.
        if turn.is_some() && self.known().lack(kid, algorithm) {
            self.refresh().await?;
        }
        drop(turn);
        let found = self.known().find(kid, algorithm);
        if !self.known().are_believed() {
            return Err(KeysError::Lately);
        }
        found.map(|key| DecodingKey::from_jwk(&key).map_err(|_| KeysError::Unreadable)).transpose()
    }

    /// Fetches them. What was known before holds on for a while where that fails.
    async fn refresh(&self) -> Result<(), KeysError> {
        // Before, because who asks may go while it lasts, and after: a server that hangs would
        // be asked by one caller after the other.
        self.known().tried = Some(Instant::now());
        let fetched = self.fetch().await;
        let mut known = self.known();
        let now = Instant::now();
        known.tried = Some(now);
        match fetched {
            Ok(keys) => {
                known.keys = keys;
                known.fetched = Some(now);
                Ok(())
            }
            Err(error) if known.are_believed() => {
                tracing::warn!(%error, "keys of an issuer were not fetched anew");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Known {
    fn are_old(&self) -> bool {
        self.fetched.is_none_or(|fetched| fetched.elapsed() > LASTS)
    }

    fn are_believed(&self) -> bool {
        self.fetched.is_some_and(|fetched| fetched.elapsed() <= BELIEVED)
    }

    fn may_be_tried(&self) -> bool {
        self.tried.is_none_or(|tried| tried.elapsed() > AGAIN_AFTER)
    }

    /// Whether they are to be fetched for a key of that name.
    fn lack(&self, kid: Option<&str>, algorithm: Algorithm) -> bool {
        self.may_be_tried() && (self.are_old() || self.find(kid, algorithm).is_none())
    }

    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<Arc<Jwk>> {
        find(&self.keys, kid, algorithm)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_that_hangs_is_waited_for_once() {
        let hangs = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("https://{}/keys", hangs.local_addr().expect("an address"));
        let source = KeySource::Server { url, authorities: Vec::new() };
        let keys = Arc::new(Keys::new(source));
        let began = Instant::now();
        let asked: Vec<_> = (0..4)
            .map(|_| {
                let keys = Arc::clone(&keys);
                tokio::spawn(async move { keys.find(Some("a"), Algorithm::RS256).await.is_err() })
            })
            .collect();
        for one in asked {
            assert!(one.await.expect("asked"));
        }
        assert!(began.elapsed() >= LIMIT, "it was asked");
        assert!(began.elapsed() < 2 * LIMIT, "{:?}", began.elapsed());
    }
}
