//! Feeds over HTTPS: asked for now and then, with what the server said about the last state,
//! so that nothing is sent twice. What comes is bounded in size and time, lies on a file
//! without a name until it is whole, and is then imported like any other file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nodeward_feeds::causes::with_causes;
use nodeward_feeds::held::Declared;
use nodeward_feeds::intake::{Intake, IntakeError};
use tokio_rustls::rustls::crypto::ring;
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use crate::import::{ImportError, Imported, Importer};

/// How often feeds are pulled where nothing else is told.
pub const INTERVAL: Duration = Duration::from_secs(6 * 3600);

/// Nobody needs them more often, and servers are not ours.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(60);

/// A download may take so long in all, and as long as this without a byte.
const LONGEST: Duration = Duration::from_secs(30 * 60);
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// A connection must stand in this time.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// The longest download.
const LONGEST_BYTES: u64 = 4 << 30;

/// So often the log tells how far a download is.
const PROGRESS_BYTES: u64 = 64 << 20;

/// Where systems keep the authorities that they trust.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// What is pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its address.
    pub url: String,
    /// It has everything that its vendor published on the releases in it.
    pub is_complete: bool,
}

impl Source {
    /// Reads `https://…`, or that with `,complete`. None of anything else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (url, is_complete) = match text.strip_suffix(",complete") {
            Some(url) => (url, true),
            None => (text, false),
        };
        let uri: ureq::http::Uri = url.parse().ok()?;
        let is_https = uri.scheme_str() == Some("https") && uri.host().is_some();
        // Whoever puts a password into an address finds it in the log.
        let has_user = uri.authority().is_some_and(|one| one.as_str().contains('@'));
        (is_https && !has_user).then(|| Self { url: url.to_owned(), is_complete })
    }

    /// The name of what is at the end of the address.
    fn file(&self) -> &str {
        let path = self.url.split(['?', '#']).next().unwrap_or_default();
        path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("feed")
    }
}

/// What is pulled, how often, and by whose authorities.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What.
    pub sources: Vec<Source>,
    /// How often.
    pub interval: Duration,
    /// Authorities that servers must be signed by.
    pub authorities: Vec<Certificate<'static>>,
}

/// The authorities in a file, or those that the system trusts; or which file failed, and why.
pub fn authorities(named: Option<&Path>) -> Result<Vec<Certificate<'static>>, (PathBuf, String)> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => BUNDLES
            .iter()
            .map(PathBuf::from)
            .find(|path| path.is_file())
            .ok_or_else(|| (PathBuf::from(BUNDLES[0]), "no such file".to_owned()))?,
    };
    let failed = |why: String| (path.clone(), why);
    let pem = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
    let mut all = Vec::new();
    for one in ureq::tls::parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = one.map_err(|error| failed(error.to_string()))? {
            all.push(certificate);
        }
    }
    if all.is_empty() { Err(failed("no certificate is in it".to_owned())) } else { Ok(all) }
}

/// Why nothing was pulled from an address.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The server cannot be reached, or breaks off.
    #[error("{0}")]
    Http(#[from] Box<ureq::Error>),
    /// The server answers otherwise.
    #[error("the server answers {0}")]
    Status(StatusCode),
    /// It is too long.
    #[error("more than {LONGEST_BYTES} bytes")]
    TooLong,
    /// It is shorter than the server said.
    #[error("{received} of {expected} bytes came")]
    Short {
        /// So many came.
        received: u64,
        /// So many were to come.
        expected: u64,
    },
    /// It cannot be kept.
    #[error("it cannot be kept: {0}")]
    Kept(#[from] std::io::Error),
    /// It is no feed.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// It was refused.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// It came to an end before its time.
    #[error("the download was stopped")]
    Stopped,
}

/// What came of one address.
#[derive(Debug)]
pub struct Pulled {
    /// The address.
    pub url: String,
    /// So many bytes came.
    pub bytes: u64,
    /// What was imported; none when the server has nothing new.
    pub outcome: Result<Option<Imported>, PullError>,
}

/// What a server said about the state that it gave last.
#[derive(Debug, Clone, Default)]
struct Validators {
    etag: Option<String>,
    last_modified: Option<String>,
}

/// A download.
enum Answer {
    NotModified,
    Whole(File, u64, Validators),
}

/// Pulls feeds.
#[derive(Clone)]
pub struct Puller {
    sources: Arc<Vec<Source>>,
    interval: Duration,
    agent: Agent,
    importer: Importer,
    /// By address; of states that were imported.
    validators: Arc<Mutex<BTreeMap<String, Validators>>>,
}

impl std::fmt::Debug for Puller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Puller").field("sources", &self.sources).finish_non_exhaustive()
    }
}

impl Puller {
    /// Pulls into that importer.
    #[must_use]
    pub fn new(settings: Settings, importer: Importer) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(settings.authorities)))
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(5)
            .timeout_global(Some(LONGEST))
            .timeout_connect(Some(CONNECT_LIMIT))
            .timeout_per_read(Some(LONGEST_SILENCE))
            .user_agent(concat!("nodeward/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            sources: Arc::new(settings.sources),
            interval: settings.interval,
            agent,
            importer,
            validators: Arc::default(),
        }
    }

    /// Pulls for ever.
    pub async fn run(&self) {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.pull().await;
        }
    }

    /// Pulls all of them once, one after the other. One that fails costs itself alone.
    pub async fn pull(&self) -> Vec<Pulled> {
        let mut all = Vec::new();
        for source in self.sources.iter() {
            let (bytes, outcome) = self.pull_one(source).await;
            let url = &source.url;
            match &outcome {
                Ok(Some(_)) => tracing::info!(url, bytes, "feed pulled"),
                Ok(None) => tracing::info!(url, "feed has not changed"),
                Err(error) => {
                    tracing::error!(url, error = with_causes(error), "feed was not pulled");
                }
            }
            all.push(Pulled { url: url.clone(), bytes, outcome });
        }
        all
    }

    async fn pull_one(&self, source: &Source) -> (u64, Result<Option<Imported>, PullError>) {
        let known = self.lock().get(&source.url).cloned().unwrap_or_default();
        let (agent, url) = (self.agent.clone(), source.url.clone());
        let downloaded = tokio::task::spawn_blocking(move || download(&agent, &url, &known)).await;
        let (file, bytes, validators) = match downloaded.unwrap_or(Err(PullError::Stopped)) {
            Ok(Answer::NotModified) => return (0, Ok(None)),
            Ok(Answer::Whole(file, bytes, validators)) => (file, bytes, validators),
            Err(error) => return (0, Err(error)),
        };
        let imported = self.import(source, file).await;
        if imported.is_ok() {
            // Only what was taken need not be sent again.
            self.lock().insert(source.url.clone(), validators);
        }
        (bytes, imported.map(Some))
    }

    async fn import(&self, source: &Source, mut file: File) -> Result<Imported, PullError> {
        let name = source.file().to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let mut intake = Intake::default();
            intake.named(&name, &mut file)?;
            Ok::<_, PullError>(intake.finish())
        });
        let (feeds, passed_over, first) = read.await.unwrap_or(Err(PullError::Stopped))?;
        if passed_over > 0 {
            let url = &source.url;
            tracing::warn!(url, passed_over, first, "files of no known kind are in the feed");
        }
        let declared = Declared { is_complete: source.is_complete, as_of: None };
        Ok(self.importer.import(feeds, declared, Timestamp::now()).await?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Validators>> {
        self.validators.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Downloads what has changed since, onto a file without a name.
fn download(agent: &Agent, url: &str, known: &Validators) -> Result<Answer, PullError> {
    let mut request = agent.get(url);
    if let Some(etag) = &known.etag {
        request = request.header("if-none-match", etag);
    }
    if let Some(date) = &known.last_modified {
        request = request.header("if-modified-since", date);
    }
    let answer = request.call().map_err(Box::new)?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::NOT_MODIFIED => return Ok(Answer::NotModified),
        status => return Err(PullError::Status(status)),
    }
    let headers = answer.headers();
    let validators =
        Validators { etag: text(headers, "etag"), last_modified: text(headers, "last-modified") };
    // Of what is packed on the way the length is another.
    let is_packed = headers.contains_key("content-encoding");
    let expected: Option<u64> = text(headers, "content-length")
        .filter(|_| !is_packed)
        .and_then(|length| length.parse().ok());
    let mut body = answer.into_body().into_reader();
    let mut file = tempfile::tempfile()?;
    let mut buffer = vec![0; 64 << 10];
    let mut received: u64 = 0;
    let mut told = 0;
    loop {
        let count = body.read(&mut buffer).map_err(|error| Box::new(ureq::Error::from(error)))?;
        let Some(part) = buffer.get(..count).filter(|part| !part.is_empty()) else { break };
        file.write_all(part)?;
        received = received.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if received > LONGEST_BYTES {
            return Err(PullError::TooLong);
        }
        if received / PROGRESS_BYTES > told {
            told = received / PROGRESS_BYTES;
            tracing::info!(url, received, expected, "feed comes");
        }
    }
    if let Some(expected) = expected.filter(|expected| *expected != received) {
        return Err(PullError::Short { received, expected });
    }
    file.rewind()?;
    Ok(Answer::Whole(file, received, validators))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_without_a_password_is_pulled() {
        let read = |text: &str| Source::read(text).map(|one| (one.url.clone(), one.is_complete));
        let url = "https://example.org/osv/all.tar.xz?x=1";
        assert_eq!(read(url), Some((url.to_owned(), false)));
        assert_eq!(read(&format!("{url},complete")), Some((url.to_owned(), true)));
        for wrong in
            ["http://example.org/a", "https://u:p@example.org/a", "example.org", "", "https://"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(
            Source::read(url).map(|one| one.file().to_owned()).as_deref(),
            Some("all.tar.xz")
        );
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let refused = authorities(Some(file.path())).map(|all| all.len());
        assert_eq!(refused, Err((file.path().to_owned(), "no certificate is in it".to_owned())));
    }
}
