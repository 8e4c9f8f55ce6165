//! Questions to an API server: a page of a list, a watch line by line, the version. Nothing is
//! asked here but GET. Every answer has a limit in bytes and in time; what a server says when
//! it will not answer is told apart by what there is to do about it (Kubernetes API concepts:
//! efficient detection of changes, large result sets; API priority and fairness).

use std::time::Duration;

use http_body_util::BodyExt as _;
use kube::api::{ListParams, WatchParams};
use kube::client::Body;
use kube::core::Request;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::wire;
use crate::kubernetes::is_of_credential;

/// The longest page of a list, and the longest line of a watch.
const PAGE_BYTES: usize = 128 << 20;
const LINE_BYTES: usize = 16 << 20;

/// The most that is read of an answer that says no.
const REFUSAL_BYTES: usize = 16 << 10;

/// The longest that a server may ask us to wait.
const WAIT_LIMIT: Duration = Duration::from_secs(600);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// It cannot be reached, or breaks off.
    #[error("{0}")]
    Lost(String),
    /// It said nothing for too long.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// It has too much to do, and may have said how long to wait.
    #[error("it answers {code}: {why}")]
    Busy {
        /// HTTP status code.
        code: u16,
        /// What it said.
        why: String,
        /// How long to wait.
        after: Option<Duration>,
    },
    /// We have no right to it.
    #[error("it answers {code}: {why}")]
    Refused {
        /// HTTP status code.
        code: u16,
        /// What it said.
        why: String,
    },
    /// The place from which we asked to go on is forgotten there.
    #[error("the change from which to go on is forgotten there (410)")]
    Gone,
    /// It answers otherwise.
    #[error("it answers {code}: {why}")]
    Answer {
        /// HTTP status code.
        code: u16,
        /// What it said.
        why: String,
    },
    /// What it answers cannot be read.
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
}

impl AskError {
    /// The word under which it is counted.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Lost(_) => "lost",
            Self::Silent(_) => "silent",
            Self::Busy { .. } => "busy",
            Self::Refused { .. } => "refused",
            Self::Gone => "gone",
            Self::Answer { .. } => "answer",
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// What an answer of that code means.
    fn of(code: u16, why: String, after: Option<Duration>) -> Self {
        match code {
            410 => Self::Gone,
            401 | 403 => Self::Refused { code, why },
            429 | 503 | 504 => Self::Busy { code, why, after },
            _ => Self::Answer { code, why },
        }
    }
}

/// Asks one API server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Asker {
    client: kube::Client,
    /// An answer that has begun goes on within this time, or is given up.
    idle: Duration,
}

/// What the answer to a watch says next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<T> {
    /// Something about an object.
    Told(T),
    /// Nothing, but that all up to this change has been told.
    Bookmark(String),
}

/// The answer to a watch, as it comes.
pub(super) struct Watching {
    body: Body,
    buffer: Vec<u8>,
    /// So much of it has been looked through for the end of a line.
    scanned: usize,
    idle: Duration,
}

impl Asker {
    pub(super) const fn new(client: kube::Client, idle: Duration) -> Self {
        Self { client, idle }
    }

    /// One page of a list, as text; the token is that of the page before.
    pub(super) async fn page(
        &self,
        path: &str,
        fields: Option<&str>,
        size: u32,
        token: &str,
    ) -> Result<Vec<u8>, AskError> {
        let mut asked = ListParams::default().limit(size);
        asked.field_selector = fields.map(str::to_owned);
        asked.continue_token = Some(token.to_owned()).filter(|token| !token.is_empty());
        let request = Request::new(path).list(&asked);
        let body = self.get(request.map_err(|error| lost(&error))?).await?;
        whole(body, PAGE_BYTES, self.idle).await
    }

    /// What has changed since that change, and what will.
    pub(super) async fn watch(
        &self,
        path: &str,
        fields: Option<&str>,
        seconds: u32,
        since: &str,
    ) -> Result<Watching, AskError> {
        let asked = WatchParams {
            field_selector: fields.map(str::to_owned),
            timeout: Some(seconds),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = Request::new(path).watch(&asked, since);
        let body = self.get(request.map_err(|error| lost(&error))?).await?;
        Ok(Watching { body, buffer: Vec::new(), scanned: 0, idle: self.idle })
    }

    /// The API server's version.
    pub(super) async fn version(&self) -> Result<String, AskError> {
        let request = Request::new("/version").list(&ListParams::default());
        let body = self.get(request.map_err(|error| lost(&error))?).await?;
        let text = whole(body, REFUSAL_BYTES, self.idle).await?;
        Ok(read::<wire::Version>(&text)?.git_version)
    }

    /// The body of a good answer.
    async fn get(&self, request: axum::http::Request<Vec<u8>>) -> Result<Body, AskError> {
        let asked = self.client.send(request.map(Body::from));
        let answer = tokio::time::timeout(self.idle, asked)
            .await
            .map_err(|_| AskError::Silent(self.idle))?
            .map_err(|error| lost(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let after = answer
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(WAIT_LIMIT));
        let text = whole(answer.into_body(), REFUSAL_BYTES, self.idle).await.unwrap_or_default();
        let refusal = serde_json::from_slice::<wire::Refusal>(&text).unwrap_or_default();
        let why = if refusal.message.is_empty() {
            String::from_utf8_lossy(&text).trim().to_owned()
        } else {
            refusal.message
        };
        let why = if why.is_empty() { status.to_string() } else { why };
        Err(AskError::of(status.as_u16(), super::convert::bounded(why, 512), after))
    }
}

impl Watching {
    /// What is said next; none at the end of the answer. A line that cannot be read is an
    /// object that costs itself alone: it is told as one.
    pub(super) async fn next<T>(
        &mut self,
        read_line: impl Fn(&str, &RawValue) -> T,
    ) -> Result<Option<Line<T>>, AskError> {
        loop {
            let rest = self.buffer.get(self.scanned..).unwrap_or_default();
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=self.scanned + end).collect();
                self.scanned = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return self::line(&line, read_line).map(Some);
            }
            self.scanned = self.buffer.len();
            if self.scanned > LINE_BYTES {
                return Err(AskError::Unreadable(format!(
                    "a line has more than {LINE_BYTES} bytes"
                )));
            }
            match frame(&mut self.body, self.idle).await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None if self.buffer.trim_ascii().is_empty() => return Ok(None),
                // It broke off within a line: what that would have said comes once more.
                None => return Err(AskError::Lost("it broke off within a line".to_owned())),
            }
        }
    }
}

fn line<T>(text: &[u8], read_line: impl Fn(&str, &RawValue) -> T) -> Result<Line<T>, AskError> {
    let text = String::from_utf8_lossy(text);
    let change: wire::Change<'_> =
        serde_json::from_str(&text).map_err(|error| AskError::Unreadable(error.to_string()))?;
    match change.kind {
        "BOOKMARK" => {
            let named: wire::Named = read(change.object.get().as_bytes())?;
            Ok(Line::Bookmark(named.metadata.resource_version))
        }
        "ERROR" => {
            let refusal: wire::Refusal = read(change.object.get().as_bytes())?;
            let why = super::convert::bounded(refusal.message, 512);
            Err(AskError::of(refusal.code.unwrap_or(500), why, None))
        }
        kind => Ok(Line::Told(read_line(kind, change.object))),
    }
}

/// The next bytes of an answer; none at its end.
async fn frame(body: &mut Body, idle: Duration) -> Result<Option<axum::body::Bytes>, AskError> {
    loop {
        let next = tokio::time::timeout(idle, body.frame()).await;
        match next.map_err(|_| AskError::Silent(idle))? {
            None => return Ok(None),
            Some(Err(error)) => return Err(lost(&error)),
            // Trailers say nothing.
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(_) => continue,
            },
        }
    }
}

async fn whole(mut body: Body, limit: usize, idle: Duration) -> Result<Vec<u8>, AskError> {
    let mut text = Vec::new();
    while let Some(bytes) = frame(&mut body, idle).await? {
        if text.len() + bytes.len() > limit {
            return Err(AskError::Unreadable(format!("it has more than {limit} bytes")));
        }
        text.extend_from_slice(&bytes);
    }
    Ok(text)
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, AskError> {
    serde_json::from_slice(text).map_err(|error| AskError::Unreadable(error.to_string()))
}

/// It cannot be reached: with every cause, for the outermost says least.
fn lost(error: &(dyn std::error::Error + 'static)) -> AskError {
    AskError::Lost(causes_of(error))
}

/// An error with its causes. What a program says that makes a kubeconfig's credential, and what
/// it is told in its environment, may be secret and is not repeated.
pub(super) fn causes_of(error: &(dyn std::error::Error + 'static)) -> String {
    if is_of_credential(error) {
        return "the credential of the kubeconfig could not be had".to_owned();
    }
    super::convert::bounded(nodeward_feeds::causes::with_causes(error), 512)
}
