//! Collects `egress`: whether endpoints outside of the cluster are reached that the operator
//! asked to be looked at, with TCP and the TLS handshake over it. Nothing is asked there, no
//! certificate is judged, and where nobody asked nothing is connected to.

mod proxy;

use std::sync::Arc;
use std::time::Duration;

use nodeward_domain::egress::Endpoint;
use nodeward_domain::facts::{ComponentState, Egress, EgressEndpoint, Reach};
use nodeward_domain::observed::State;

use super::{Collected, resolver, state};
use crate::host::{Host, HostError};
use crate::probe::reach::{Errand, Seen};
use crate::reads::Read;

/// What was reached is looked at again after this long: other people's servers answer.
const AGAIN_AFTER: Duration = Duration::from_secs(600);

const OFF: &str = "not asked for: no endpoints were named (--egress)";

/// What is read.
pub(super) const READS: &[Read] = &[
    Read::usually(
        &proxy::PLACES,
        "`EnvironmentFile=` in units of containerd and the kubelet",
        "Units of containerd and the kubelet, what is added to them or to all services, and \
         systemd's own `system.conf`: whether it sets `HTTPS_PROXY`, where endpoints are looked at: then none is probed, as \
         what lies behind a proxy is not known. The value may hold a password and is not kept.",
    ),
    Read::usually(
        &["https://{endpoint}"],
        "`--egress`; nothing without it",
        "Whether it is reached, and whom its certificate is by. Its name is looked up at the \
         node's nameservers. Nothing is asked there. What was reached is looked at again after \
         ten minutes; what was not, in every round.",
    ),
];

pub(super) fn collect(host: &Host) -> Collected {
    ComponentState::Egress(state(read(host))).into()
}

fn read(host: &Host) -> Result<State<Egress>, HostError> {
    let Some(endpoints) = host.beyond.asked() else {
        return Ok(State::NotApplicable(OFF.to_owned()));
    };
    let proxy = proxy::file(&host.root)?.unwrap_or_default();
    let seen = match proxy.as_str() {
        "" => {
            let errands: Result<Vec<Errand>, HostError> =
                endpoints.iter().map(|endpoint| errand(host, endpoint)).collect();
            host.reach(errands?, AGAIN_AFTER)
        }
        path => {
            let why = format!("{path} leads through a proxy, behind which nothing is probed");
            let stopped = || Seen::stopped(Reach::NotProbed { why: why.clone() });
            endpoints.iter().map(|_| stopped()).collect()
        }
    };
    let endpoints = endpoints.iter().zip(seen).map(|(endpoint, seen)| EgressEndpoint {
        endpoint: endpoint.to_string(),
        reach: seen.reach,
        issuer: seen.issuer,
    });
    Ok(State::Present(Arc::new(Egress { endpoints: endpoints.collect(), proxy })))
}

fn errand(host: &Host, endpoint: &Endpoint) -> Result<Errand, HostError> {
    Ok(Errand {
        endpoint: endpoint.clone(),
        path: None,
        names: resolver::names(host, &endpoint.host)?,
        server_name: None,
        authorities: Vec::new(),
    })
}
