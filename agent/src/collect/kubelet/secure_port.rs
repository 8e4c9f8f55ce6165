//! What a kubelet says on its port for the API server: its health by parts, `/configz`
//! and `/metrics`. A token of ours opens them; it is shown to the kubelet alone.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use nodeward_domain::facts::HttpAnswer;
use nodeward_domain::facts::kubelet::{Credential, SecurePort, Version};
use nodeward_domain::measured::Measurements;

use super::metrics::{self, Metrics};
use crate::host::Host;
use crate::probe::http::{Get, Keep, Reply, Secure, Token};

/// All of it must be over in this time, connecting included.
const LIMIT: Duration = Duration::from_secs(5);

/// A kubelet that refuses later than this has asked its API server and waited for it.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A token has a few kilobytes.
const TOKEN_LIMIT_BYTES: u64 = 64 * 1024;

/// The questions, all asked at the same time.
pub(super) const QUESTIONS: usize = 3;

/// A port that is to be asked.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    credential: Credential,
    secure: Secure,
}

impl Port {
    /// How it is asked; an error says why not. `certificate` is what the kubelet's
    /// serving certificate on disk is: nobody else is shown the token.
    pub(super) fn of(
        host: &Host,
        address: SocketAddr,
        certificate: Result<Vec<u8>, String>,
    ) -> Result<Self, String> {
        let Some(path) = &host.kubelet_token_file else {
            return Ok(Self {
                address,
                credential: Credential::None,
                secure: Secure::anonymous()?,
            });
        };
        let token = token(path).and_then(|token| Ok((token, certificate?)));
        Ok(match token {
            Ok((token, certificate)) => Self {
                address,
                credential: Credential::Token,
                secure: Secure::with_token(token, certificate)?,
            },
            Err(why) => Self {
                address,
                credential: Credential::Unusable(why),
                secure: Secure::anonymous()?,
            },
        })
    }

    /// Health, configuration and metrics.
    pub(super) fn questions(&self) -> [Get; QUESTIONS] {
        let ask = |path, keep| Get {
            keep,
            secure: Some(self.secure.clone()),
            ..Get::whole(self.address, path, LIMIT)
        };
        [
            ask("/healthz?verbose", Keep::Whole),
            ask("/configz", Keep::Whole),
            ask("/metrics", Keep::Lines(metrics::is_wanted)),
        ]
    }

    /// What the answers say.
    pub(super) fn heard(self, replies: [Reply; QUESTIONS], now: Option<Timestamp>) -> Heard {
        let refused_late = replies.iter().any(is_refused_late);
        let [healthz, configz, metrics] = replies;
        let told = match metrics.answer.is_ok() {
            true => Metrics::read(&metrics.body),
            false => Metrics::default(),
        };
        let source = format!("https://{}/metrics", self.address);
        Heard {
            measured: told.measured(now),
            version: told.build.version.map(|version| Version { version, source }),
            configz: configz.answer.is_ok().then_some(configz.body),
            port: SecurePort {
                endpoint: format!("https://{}", self.address),
                credential: self.credential,
                healthz: healthz.answer,
                configz: without_line(configz.answer),
                alpha_features: told.build.alpha_features,
                metrics: without_line(metrics.answer),
                refused_late,
            },
        }
    }
}

/// What was heard on the port.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) port: SecurePort,
    pub(super) version: Option<Version>,
    pub(super) measured: Measurements,
    /// The body of `/configz`, if it was told.
    pub(super) configz: Option<String>,
}

impl Heard {
    /// Nobody was asked, for this reason.
    pub(super) fn nothing(why: &str) -> Self {
        Self {
            port: SecurePort::not_asked(why),
            version: None,
            measured: Measurements::default(),
            configz: None,
        }
    }
}

/// The token of a file of ours.
fn token(path: &Path) -> Result<Token, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(TOKEN_LIMIT_BYTES).read_to_string(&mut text))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Token::new(&text).ok_or_else(|| format!("{}: is not a token", path.display()))
}

fn is_refused_late(reply: &Reply) -> bool {
    matches!(reply.answer, HttpAnswer::Answered { status: 401 | 403, .. })
        && reply.took.is_some_and(|took| took > AT_ONCE)
}

/// A body that was told is no line of a state.
fn without_line(answer: HttpAnswer) -> HttpAnswer {
    match answer {
        HttpAnswer::Answered { status: 200, .. } => {
            HttpAnswer::Answered { status: 200, body: String::new() }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_late_refusal_is_late() {
        let reply = |status, milliseconds| Reply {
            took: Some(Duration::from_millis(milliseconds)),
            ..Reply::from(HttpAnswer::Answered { status, body: String::new() })
        };
        assert!(is_refused_late(&reply(401, 1500)) && is_refused_late(&reply(403, 1500)));
        assert!(!is_refused_late(&reply(401, 20)) && !is_refused_late(&reply(200, 1500)));
    }
}
