//! What a kubelet says on its port for the API server, TCP 10250 over TLS. What it tells
//! hangs on the credential that it is shown, and whether it can check one on its API
//! server: a refusal proves that the server runs and nothing else.

use serde::Serialize;

use super::HttpAnswer;

/// What was heard on a kubelet's secure port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecurePort {
    /// Where it was asked, such as `https://127.0.0.1:10250`; empty when it was not.
    pub endpoint: String,
    /// What was shown there.
    pub credential: Credential,
    /// Answer of `/healthz?verbose`.
    pub healthz: HttpAnswer,
    /// Answer of `/configz`, without what it says: see the settings.
    pub configz: HttpAnswer,
    /// Answer of `/metrics`, without what it says.
    pub metrics: HttpAnswer,
    /// A refusal came later than a second after the question: the kubelet asked its API
    /// server, in vain.
    pub refused_late: bool,
    /// The alpha features that are on by the metrics, sorted; none when those did not say.
    pub alpha_features: Option<Vec<String>>,
}

/// What an agent shows a kubelet to be told more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// Nothing: none is configured.
    None,
    /// A token.
    Token,
    /// Nothing: one is configured and could not be used, for this reason.
    Unusable(String),
}

impl SecurePort {
    /// A port that nobody was asked on, for this reason.
    #[must_use]
    pub fn not_asked(why: &str) -> Self {
        let answer = || HttpAnswer::NotAsked { why: why.to_owned() };
        Self {
            endpoint: String::new(),
            credential: Credential::None,
            healthz: answer(),
            configz: answer(),
            metrics: answer(),
            refused_late: false,
            alpha_features: None,
        }
    }
}
