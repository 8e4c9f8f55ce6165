//! Facts of `api_server`: which API server this node's kubelet is told to use, and whether it
//! was reached from the node without a credential. Sources: the kubelet's kubeconfig, of
//! which nothing behind the cluster's entry is read; the API server's own answer.

use serde::Serialize;

use super::{Headline, HttpAnswer, Reach};

/// What was seen of the API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiServer {
    /// The kubeconfig that names it.
    pub kubeconfig: String,
    /// Its address, such as `https://name:443`.
    pub server: String,
    /// How far a connection got.
    pub reach: Reach,
    /// What it answered to a question for its health by nobody in particular.
    pub livez: HttpAnswer,
    /// By whom its certificate is signed.
    pub certificate: ServerCertificate,
    /// Whether the kubelet is told to believe whoever answers, `insecure-skip-tls-verify`; none
    /// by an agent that does not tell.
    pub is_unverified: Option<bool>,
}

/// By whom a server's certificate is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerCertificate {
    /// By an authority of the cluster, for that name, and it is valid.
    Verified {
        /// The file with the authorities.
        authority: String,
    },
    /// The kubelet would refuse it.
    Refused {
        /// The file with the authorities.
        authority: String,
        /// Who issued it, by its own words.
        issuer: String,
        /// Why it is refused.
        why: String,
    },
    /// It was not compared, for this reason.
    NotCompared(String),
}

impl ApiServer {
    /// Whether its name was looked up and has led to an address, whatever came of that.
    #[must_use]
    pub fn is_name_resolved(&self) -> bool {
        let place = self.server.strip_prefix("https://").unwrap_or(&self.server);
        let host = place.split(['/', ':']).next().unwrap_or_default();
        let is_name = !host.starts_with('[') && host.parse::<std::net::IpAddr>().is_err();
        let is_open = matches!(
            self.reach,
            Reach::NoSuchName | Reach::NotResolved { .. } | Reach::NotProbed { .. }
        );
        is_name && !is_open
    }

    /// Whether the node cannot talk to it; none when that is not known. Whatever it answers
    /// to a question without a credential, it answers.
    #[must_use]
    pub const fn is_unreachable(&self) -> Option<bool> {
        match (&self.reach, &self.livez) {
            (Reach::Reached, HttpAnswer::TimedOut { .. }) => Some(true),
            (reach, _) => reach.is_blocked(),
        }
    }
}

impl Headline for ApiServer {
    fn headline(&self) -> String {
        let server = self.server.strip_prefix("https://").unwrap_or(&self.server);
        match &self.reach {
            // A refusal's body is a whole object of the API: the status says it.
            Reach::Reached => match &self.livez {
                HttpAnswer::Answered { status, .. } => format!("{server}: livez {status}"),
                livez => format!("{server}: livez {livez}"),
            },
            reach => format!("{server}: {reach}"),
        }
    }
}
