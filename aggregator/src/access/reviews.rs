//! What API servers said about tokens, kept for a minute: a fleet that enrols at one moment must
//! not ask for the same token over and over, nor for many at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OnceCell, Semaphore};
use tonic::Status;

use super::Cluster;
use crate::kubernetes::{KubernetesError, Reviewed};

/// A yes is believed for so long, …
const YES: Duration = Duration::from_secs(60);

/// … and a no for so long: a pod that was just made may not be known everywhere yet.
const NO: Duration = Duration::from_secs(10);

/// So many are kept.
const KEPT: usize = 10_000;

/// So many are asked for at once, …
const AT_ONCE: usize = 16;

/// … and whoever has to wait longer than this comes again.
const WAIT: Duration = Duration::from_secs(5);

/// The cluster, and the SHA-256 of the token: the token itself is not kept.
type Key = (String, [u8; 32]);

#[derive(Debug)]
struct Entry {
    /// Asked once, however many wait for it.
    answer: Arc<OnceCell<Option<Arc<Reviewed>>>>,
    until: Instant,
}

/// Answers of API servers.
#[derive(Debug)]
pub(super) struct Reviews {
    entries: Mutex<HashMap<Key, Entry>>,
    turns: Semaphore,
}

impl Default for Reviews {
    fn default() -> Self {
        Self { entries: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl Reviews {
    /// Who a token belongs to that ends at `exp`, in seconds of Unix time.
    pub(super) async fn review(
        &self,
        cluster: &Cluster,
        token: &str,
        exp: i64,
    ) -> Result<Arc<Reviewed>, Status> {
        let key = (cluster.name.clone(), Sha256::digest(token.as_bytes()).into());
        let answer = self.entry(&key)?;
        let asked = answer.get_or_try_init(|| self.ask(cluster, token)).await;
        match asked {
            Ok(Some(reviewed)) => {
                let left = exp.saturating_sub(Timestamp::now().as_second());
                let left = Duration::from_secs(u64::try_from(left).unwrap_or(0));
                self.shorten(&key, left.min(YES));
                Ok(Arc::clone(reviewed))
            }
            Ok(None) => {
                self.shorten(&key, NO);
                Err(Status::unauthenticated("the cluster's API server does not accept the token"))
            }
            Err(status) => {
                // What was not answered is asked again.
                self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                Err(status)
            }
        }
    }

    async fn ask(&self, cluster: &Cluster, token: &str) -> Result<Option<Arc<Reviewed>>, Status> {
        let turn = tokio::time::timeout(WAIT, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Status::resource_exhausted("too many tokens are asked for: come again"));
        };
        let reviewed = cluster.kubernetes.review(token, &cluster.issuer.audience).await;
        Ok(reviewed.map_err(|error| unavailable(cluster, &error))?.map(Arc::new))
    }

    fn entry(&self, key: &Key) -> Result<Arc<OnceCell<Option<Arc<Reviewed>>>>, Status> {
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= KEPT {
            entries.retain(|_, entry| entry.until > now);
        }
        match entries.get(key) {
            Some(entry) if entry.until > now => Ok(Arc::clone(&entry.answer)),
            _ if entries.len() >= KEPT => {
                Err(Status::resource_exhausted("too many tokens are asked for: come again"))
            }
            _ => {
                let answer = Arc::default();
                let entry = Entry { answer: Arc::clone(&answer), until: now + YES };
                entries.insert(key.clone(), entry);
                Ok(answer)
            }
        }
    }

    /// Lets an answer hold no longer than that from now, if it would.
    fn shorten(&self, key: &Key, left: Duration) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(key) {
            entry.until = entry.until.min(Instant::now() + left);
        }
    }
}

/// The API server does not say whether it holds: nothing is decided without it.
pub(crate) fn unavailable(cluster: &Cluster, error: &KubernetesError) -> Status {
    tracing::warn!(cluster = cluster.name, %error, "nobody can enrol");
    Status::unavailable(format!("cluster {}: {error}; come again", cluster.name))
}
