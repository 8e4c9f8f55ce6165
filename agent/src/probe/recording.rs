//! Recorded answers of local endpoints, for host roots that are not a running machine.
//! Written by hand: the body of an HTTP answer is a text, a list of lines, or JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use jiff::Timestamp;
use nodeward_domain::facts::containerd::Replies;
use nodeward_domain::facts::{
    CriAnswer, HttpAnswer, ManagedImage, NameserverAnswer, Reach, SystemManager, UnitState,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use super::http::{Get, Reply};
use super::reach::{Errand, Seen};
use super::{chrony, clock};
use crate::host::Space;
use crate::nftables::Ruleset;
use crate::reads::Asked;

/// Recorded answers of local endpoints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// When it was made.
    pub recorded_at: Option<Timestamp>,
    /// Answers by address, such as `http://127.0.0.1:10248/healthz`, with whole bodies.
    #[serde(default, deserialize_with = "with_bodies")]
    pub http: BTreeMap<String, HttpAnswer>,
    /// The container runtime's answer.
    pub cri: Option<CriAnswer>,
    /// What the container runtime answered besides.
    pub runtime: Option<RuntimeRecording>,
    /// When files were last written, by path: what a copy of a node does not keep.
    #[serde(default)]
    pub modified: BTreeMap<String, Timestamp>,
    /// What systemd says of units, by name.
    #[serde(default)]
    pub units: BTreeMap<String, UnitState>,
    /// What systemd says of itself and of the units that stand out.
    pub system_manager: Option<SystemManager>,
    /// What chronyd answers, wherever it is asked.
    pub chrony: Option<chrony::Answer>,
    /// What the kernel says of its clock.
    pub clock: Option<clock::KernelTime>,
    /// How big file systems are and how much of them is left, by a path on each.
    #[serde(default)]
    pub filesystems: BTreeMap<String, Space>,
    /// What nameservers answer, by address.
    #[serde(default)]
    pub nameservers: BTreeMap<String, NameserverAnswer>,
    /// What is seen of endpoints beyond the machine, by address, such as
    /// `https://name:443/livez`.
    #[serde(default)]
    pub beyond: BTreeMap<String, RecordedReach>,
    /// What the kernel tells of its packet filter nf_tables: each message as it comes, in
    /// Base64.
    pub packet_filter: Option<Vec<String>>,
    /// Notes what is asked, if a test wants to know.
    #[serde(skip)]
    pub asked: Asked,
}

/// What was seen of an endpoint beyond the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedReach {
    /// How far a connection got.
    pub reach: Reach,
    /// What was answered to the question that was asked there, if one was.
    pub said: Option<HttpAnswer>,
    /// Who issued the certificate; empty where none was shown.
    #[serde(default)]
    pub issuer: String,
    /// Why no authority that was compared with it signed it; none where one did.
    pub refused: Option<String>,
}

/// What the container runtime answered beside `Version` and `Status`, and how fast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeRecording {
    /// From the question to the answer of the slower of `Version` and `Status`.
    pub round_trip_milliseconds: Option<u64>,
    /// How many sandboxes it listed.
    pub ready_sandboxes: Option<u64>,
    /// What each further call brought.
    pub replies: Replies,
    /// The images that run in the namespace `kube-system`, by id.
    pub managed_images: Option<Vec<ManagedImage>>,
}

/// Why a recording could not be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It could not be read.
    #[error("{path}: cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not a recording.
    #[error("{path}: is not a recording of answers")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
}

impl Recording {
    /// Reads a recording.
    pub fn read(path: &Path) -> Result<Self, RecordingError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecordingError::Unreadable { path: path.to_owned(), source })?;
        serde_json::from_str(&text)
            .map_err(|source| RecordingError::Malformed { path: path.to_owned(), source })
    }

    /// The images that run in the namespace `kube-system`. Where the runtime does not serve,
    /// they are not listed either.
    pub(super) fn managed_images(&self) -> Result<Vec<ManagedImage>, CriAnswer> {
        const LACKING: &str = "the images are not in the recording";
        let lacking = || CriAnswer::NotAsked { why: LACKING.to_owned() };
        match &self.cri {
            Some(CriAnswer::Serving { .. }) => self
                .runtime
                .as_ref()
                .and_then(|runtime| runtime.managed_images.clone())
                .ok_or_else(lacking),
            Some(answer) => Err(answer.clone()),
            None => Err(lacking()),
        }
    }

    /// The rules of the packet filter.
    pub(super) fn packet_filter(&self) -> Result<Ruleset, String> {
        let messages = self.packet_filter.as_ref();
        let messages = messages.ok_or("the packet filter is not in the recording")?;
        let mut ruleset = Ruleset::default();
        for message in messages {
            let message = BASE64.decode(message.as_bytes()).map_err(|error| error.to_string())?;
            ruleset.take(&message).map_err(|error| error.to_string())?;
        }
        Ok(ruleset)
    }

    /// What was seen of an endpoint beyond the machine.
    pub(super) fn seen(&self, errand: &Errand) -> Seen {
        self.asked.note(|| errand.url());
        let Some(recorded) = self.beyond.get(&errand.url()) else {
            let why = format!("{} is not in the recording", errand.url());
            return Seen::stopped(Reach::NotProbed { why });
        };
        let stopped = Seen::stopped(recorded.reach.clone());
        if recorded.reach != Reach::Reached {
            return stopped;
        }
        let is_compared = !errand.authorities.is_empty();
        Seen {
            answer: recorded.said.clone().unwrap_or(stopped.answer),
            issuer: recorded.issuer.clone(),
            verified: is_compared.then(|| recorded.refused.clone().map_or(Ok(()), Err)),
            ..stopped
        }
    }

    /// What an endpoint replied.
    pub(super) fn reply(&self, get: &Get) -> Reply {
        self.asked.note(|| get.url());
        match self.http.get(&get.url()) {
            Some(HttpAnswer::Answered { status, body }) => {
                Reply::answered(*status, get.keep.of(*status, body.as_bytes()))
            }
            Some(answer) => answer.clone().into(),
            None => {
                let why = format!("{} is not in the recording", get.url());
                HttpAnswer::NotAsked { why }.into()
            }
        }
    }
}

fn with_bodies<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, HttpAnswer>, D::Error> {
    BTreeMap::<String, Value>::deserialize(deserializer)?
        .into_iter()
        .map(|(url, mut answer)| {
            if let Some(body) = answer.get_mut("body") {
                *body = Value::String(text_of(body).map_err(D::Error::custom)?);
            }
            let answer = serde_json::from_value(answer)
                .map_err(|error| D::Error::custom(format!("{url}: {error}")))?;
            Ok((url, answer))
        })
        .collect()
}

/// The body as it would have come over the wire.
fn text_of(body: &Value) -> Result<String, &'static str> {
    match body {
        Value::String(text) => Ok(text.clone()),
        Value::Array(lines) => lines
            .iter()
            .map(|line| line.as_str().map(|line| format!("{line}\n")))
            .collect::<Option<String>>()
            .ok_or("a body of lines has a line that is no text"),
        Value::Object(_) => Ok(body.to_string()),
        _ => Err("a body is a text, a list of lines, or JSON"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(json: &str) -> Result<String, String> {
        let recording = format!(
            r#"{{"http": {{"u": {{"answer": "answered", "status": 200, "body": {json}}}}}}}"#
        );
        let recording: Recording =
            serde_json::from_str(&recording).map_err(|error| error.to_string())?;
        match &recording.http["u"] {
            HttpAnswer::Answered { status: 200, body } => Ok(body.clone()),
            other => Err(other.to_string()),
        }
    }

    #[test]
    fn a_body_is_a_text_or_lines_or_json() {
        assert_eq!(body(r#""ok""#), Ok("ok".to_owned()));
        assert_eq!(body(r#"["a 1", "b 2"]"#), Ok("a 1\nb 2\n".to_owned()));
        assert_eq!(body(r#"{"healthy": true}"#), Ok(r#"{"healthy":true}"#.to_owned()));
        assert!(body("7").is_err_and(|why| why.contains("a list of lines")));
        assert!(body("[7]").is_err_and(|why| why.contains("no text")));
    }

    #[test]
    fn an_answer_that_is_none_names_its_address() {
        let wrong = r#"{"http": {"http://127.0.0.1:1/x": {"answer": "perhaps"}}}"#;
        let error = serde_json::from_str::<Recording>(wrong).expect_err("no such answer");
        assert!(error.to_string().contains("http://127.0.0.1:1/x: "), "{error}");
    }
}
