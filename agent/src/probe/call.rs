//! One gRPC call that must be answered before a deadline, and the ways in which it is not.

use std::time::Duration;

use nodeward_domain::facts::CriAnswer;
use nodeward_domain::facts::containerd::Reply;
use tokio::time::{Instant, timeout_at};
use tonic::Code;

/// So much of a text that a runtime wrote is reported.
const TEXT_LIMIT_CHARS: usize = 1000;

/// Until when calls must be answered. Calls that run side by side share one, so that a
/// server that hangs costs it once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    limit: Duration,
}

/// A call without an answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The deadline passed.
    TimedOut(Duration),
    /// The server knows no such call.
    Unimplemented(String),
    /// The answer was longer than what is taken of one.
    TooLong(String),
    /// The server answered with an error, or not in gRPC.
    Failed(String),
}

impl Deadline {
    /// So long from now.
    pub(super) fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// Waits for one call.
    pub(super) async fn wait<T>(
        self,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, Unanswered> {
        match timeout_at(self.at, call).await {
            Err(_) => Err(Unanswered::TimedOut(self.limit)),
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Unanswered::from(&status)),
        }
    }
}

impl From<&tonic::Status> for Unanswered {
    fn from(status: &tonic::Status) -> Self {
        let message = told(status.message());
        match status.code() {
            Code::Unimplemented => Self::Unimplemented(message),
            // Our own limit, and not the server's fault.
            Code::OutOfRange => Self::TooLong(message),
            code => Self::Failed(format!("{code:?}: {message}")),
        }
    }
}

impl Unanswered {
    /// As the runtime's answer, where this call decides it.
    pub(super) fn to_answer(&self, call: &str) -> CriAnswer {
        let call = call.to_owned();
        match self {
            Self::TimedOut(limit) => {
                CriAnswer::TimedOut { call, after_milliseconds: milliseconds(*limit) }
            }
            Self::Unimplemented(message) => CriAnswer::Unimplemented { message: message.clone() },
            Self::TooLong(why) | Self::Failed(why) => CriAnswer::Failed { call, why: why.clone() },
        }
    }
}

/// What one call brought, as it is reported.
pub(super) fn reply<A, T>(answer: Result<A, Unanswered>, read: impl FnOnce(A) -> T) -> Reply<T> {
    match answer {
        Ok(answer) => Reply::Answered(read(answer)),
        Err(Unanswered::TimedOut(limit)) => {
            Reply::TimedOut { after_milliseconds: milliseconds(limit) }
        }
        Err(Unanswered::Unimplemented(message)) => Reply::Unimplemented { message },
        Err(Unanswered::TooLong(why)) => Reply::NotAsked { why },
        Err(Unanswered::Failed(why)) => Reply::Failed { why },
    }
}

/// A limit as it is reported.
pub(super) fn milliseconds(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

/// A text of the runtime's, as much of it as is reported.
pub(super) fn told(text: &str) -> String {
    match text.char_indices().nth(TEXT_LIMIT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_shows_it() {
        assert_eq!(told("é"), "é");
        let long = "é".repeat(TEXT_LIMIT_CHARS);
        assert_eq!(told(&long), long);
        assert_eq!(told(&format!("{long}x")), format!("{long}…"));
    }

    #[test]
    fn an_answer_that_is_too_long_for_us_accuses_nobody() {
        let status = tonic::Status::out_of_range("decoded message length too large");
        let cut = reply(Err::<(), _>(Unanswered::from(&status)), |()| ());
        assert!(matches!(cut, Reply::NotAsked { .. }), "{cut}");
        let status = tonic::Status::unavailable("store is closed");
        let failed = reply(Err::<(), _>(Unanswered::from(&status)), |()| ());
        assert_eq!(failed, Reply::Failed { why: "Unavailable: store is closed".to_owned() });
    }
}
