//! `api_server` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, name, required, text};
use crate::v1;
use crate::v1::api_server::{Certificate, Refused, Verified};

impl From<&domain::ApiServer> for v1::ApiServer {
    fn from(api: &domain::ApiServer) -> Self {
        Self {
            kubeconfig: api.kubeconfig.clone(),
            server: api.server.clone(),
            reach: Some((&api.reach).into()),
            livez: Some((&api.livez).into()),
            certificate: Some(match api.certificate.clone() {
                domain::ServerCertificate::Verified { authority } => {
                    Certificate::Verified(Verified { authority })
                }
                domain::ServerCertificate::Refused { authority, issuer, why } => {
                    Certificate::Refused(Refused { authority, issuer, why })
                }
                domain::ServerCertificate::NotCompared(why) => Certificate::NotCompared(why),
            }),
            is_unverified: api.is_unverified,
        }
    }
}

impl TryFrom<v1::ApiServer> for domain::ApiServer {
    type Error = Invalid;

    fn try_from(api: v1::ApiServer) -> Result<Self, Invalid> {
        Ok(Self {
            kubeconfig: name("kubeconfig", api.kubeconfig)?,
            server: name("server", api.server)?,
            reach: required("reach", api.reach)?.try_into()?,
            livez: required("livez", api.livez)?
                .try_into()
                .map_err(|invalid: Invalid| invalid.within("livez"))?,
            certificate: match required("certificate", api.certificate)? {
                Certificate::Verified(Verified { authority }) => {
                    domain::ServerCertificate::Verified { authority: text(authority) }
                }
                Certificate::Refused(Refused { authority, issuer, why }) => {
                    domain::ServerCertificate::Refused {
                        authority: text(authority),
                        issuer: text(issuer),
                        why: text(why),
                    }
                }
                Certificate::NotCompared(why) => domain::ServerCertificate::NotCompared(text(why)),
            },
            is_unverified: api.is_unverified,
        })
    }
}
