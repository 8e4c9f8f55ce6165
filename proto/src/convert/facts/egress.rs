//! `egress` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, required, text};
use crate::v1;
use crate::v1::egress::Endpoint;

/// Endpoints: far more than are looked at.
const ENDPOINTS: usize = 256;

impl From<&domain::Egress> for v1::Egress {
    fn from(egress: &domain::Egress) -> Self {
        let endpoint = |one: &domain::EgressEndpoint| Endpoint {
            endpoint: one.endpoint.clone(),
            reach: Some((&one.reach).into()),
            issuer: one.issuer.clone(),
        };
        Self {
            proxy: egress.proxy.clone(),
            endpoints: egress.endpoints.iter().map(endpoint).collect(),
        }
    }
}

impl TryFrom<v1::Egress> for domain::Egress {
    type Error = Invalid;

    fn try_from(egress: v1::Egress) -> Result<Self, Invalid> {
        let endpoints = list("endpoints", egress.endpoints, ENDPOINTS, |one| {
            Ok(domain::EgressEndpoint {
                endpoint: name("endpoint", one.endpoint)?,
                reach: required("reach", one.reach)?.try_into()?,
                issuer: text(one.issuer),
            })
        })?;
        Ok(Self { proxy: text(egress.proxy), endpoints })
    }
}
