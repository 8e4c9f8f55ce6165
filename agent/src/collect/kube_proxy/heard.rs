//! Asks kube-proxy's endpoints where they are served, and where a refusal does not say
//! enough, at the next place where they may be.

use std::net::SocketAddr;
use std::time::Duration;

use nodeward_domain::facts::HttpAnswer;

use super::answers;
use super::metrics;
use super::served::{self, Served};
use crate::host::{Foreign, Host};
use crate::probe::http::{Get, Keep, Reply};

/// An endpoint must answer in this time, connecting included.
const CALL_LIMIT: Duration = Duration::from_secs(3);

const HEALTH: [&str; 2] = ["/livez", "/healthz"];
const OTHERS: [&str; 3] = ["/proxyMode", "/configz", "/metrics"];

/// What was heard, and where.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) health_at: Option<SocketAddr>,
    pub(super) livez: Reply,
    pub(super) healthz: Reply,
    pub(super) metrics_at: Option<SocketAddr>,
    pub(super) proxy_mode: Reply,
    pub(super) configz: Reply,
    pub(super) metrics: Reply,
}

/// Asks both endpoints. One that hangs stands for the other: a process that is stopped
/// answers on neither.
pub(super) fn ask(host: &Host, served: &Served) -> Heard {
    let foreign = host.foreign("net");
    if let Some(foreign @ Foreign::Another(_)) = &foreign {
        return nobody(served, &foreign.to_string());
    }
    let (health_at, [livez, healthz]) = first_that_answers(host, &served.health, HEALTH);
    if let HttpAnswer::TimedOut { .. } = livez.answer {
        return Heard { health_at, livez, healthz, ..nobody(served, "its health endpoint hangs") };
    }
    let (metrics_at, others) = first_that_answers(host, &served.metrics, OTHERS);
    let [proxy_mode, configz, metrics] = others;
    let mut heard = Heard { health_at, livez, healthz, metrics_at, proxy_mode, configz, metrics };
    // The configuration that is in force says it better than flags and files do.
    if gives_nothing(&heard.livez)
        && let Some(told) = answers::configuration(&heard.configz.body)
        && let Ok(health) = served::addresses("/configz", &told.health_bind_address, served::HEALTH)
        && health != served.health
    {
        let (health_at, [livez, healthz]) = first_that_answers(host, &health, HEALTH);
        heard = Heard { health_at, livez, healthz, ..heard };
    }
    match foreign {
        Some(foreign) => heard.unless_refused(&foreign),
        None => heard,
    }
}

/// Asks paths at the first of the addresses at which anybody is. No address is asked
/// where kube-proxy is told to have none.
fn first_that_answers<const N: usize>(
    host: &Host,
    addresses: &[SocketAddr],
    paths: [&str; N],
) -> (Option<SocketAddr>, [Reply; N]) {
    let mut first = None;
    for address in addresses {
        let replies = host.probes.http(paths.map(|path| get(*address, path)));
        if replies.first().is_some_and(|reply| !gives_nothing(reply)) {
            return (Some(*address), replies);
        }
        first = first.or(Some((Some(*address), replies)));
    }
    first.unwrap_or_else(|| (None, paths.map(|_| not_asked("kube-proxy is told not to serve it"))))
}

fn get(address: SocketAddr, path: &str) -> Get {
    let keep = if path == "/metrics" { Keep::Lines(metrics::is_wanted) } else { Keep::Whole };
    Get { keep, ..Get::whole(address, path, CALL_LIMIT) }
}

fn gives_nothing(reply: &Reply) -> bool {
    matches!(reply.answer, HttpAnswer::Refused | HttpAnswer::NotAsked { .. })
}

fn not_asked(why: &str) -> Reply {
    HttpAnswer::NotAsked { why: why.to_owned() }.into()
}

fn nobody(served: &Served, why: &str) -> Heard {
    let [livez, healthz] = HEALTH.map(|_| not_asked(why));
    let [proxy_mode, configz, metrics] = OTHERS.map(|_| not_asked(why));
    let (health_at, metrics_at) = (served.health.first().copied(), served.metrics.first().copied());
    Heard { health_at, livez, healthz, metrics_at, proxy_mode, configz, metrics }
}

impl Heard {
    fn unless_refused(self, foreign: &Foreign) -> Self {
        let checked =
            |reply: Reply| Reply { answer: foreign.unless_refused(reply.answer), ..reply };
        Self {
            livez: checked(self.livez),
            healthz: checked(self.healthz),
            proxy_mode: checked(self.proxy_mode),
            configz: checked(self.configz),
            metrics: checked(self.metrics),
            ..self
        }
    }
}
