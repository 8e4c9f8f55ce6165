//! Enrolment: a projected token of an agent's pod is exchanged for a certificate of the node
//! that the pod runs on, and a certificate for the next one of the same node. What may be
//! believed stands in [`crate::access`]; decisions are written down in docs/identity.md.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nodeward_proto::authority::{Authority, AuthorityError};
use nodeward_proto::identity::Identity;
use nodeward_proto::report::timestamp;
use nodeward_proto::v1;
use nodeward_proto::v1::enrol_service_server::EnrolService;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Extensions, Request, Response, Status};

use crate::access::{Access, Cluster};
use crate::kubernetes::{KubernetesError, Reviewed};
use crate::peer::{certificate, is_of_kubernetes};
use crate::reload::Reloaded;
use crate::tls;

/// A certificate is in force for so long where nothing else is told, and never for longer.
pub const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The shortest. An agent renews before a report: one whose reports are further apart than its
/// certificate lasts enrols anew each time, for which it needs the API server.
pub const SHORTEST_LIFETIME: Duration = Duration::from_secs(10);

/// The next one is asked for when this share of its life is over.
const RENEW_AT: f64 = 2.0 / 3.0;

/// Issues certificates to nodes.
#[derive(Debug, Clone)]
pub struct Enrol {
    access: Arc<Access>,
    authority: Arc<Reloaded<Authority>>,
    lifetime: Duration,
    /// Whose certificates are let through.
    trusted: Arc<Reloaded<tls::Shown>>,
}

impl Enrol {
    /// Issues by that authority, for so long; renews what is trusted.
    #[must_use]
    pub const fn new(
        access: Arc<Access>,
        authority: Arc<Reloaded<Authority>>,
        lifetime: Duration,
        trusted: Arc<Reloaded<tls::Shown>>,
    ) -> Self {
        Self { access, authority, lifetime, trusted }
    }

    fn issue(&self, identity: Identity, public_key: &[u8]) -> Result<v1::EnrolResponse, Status> {
        let now = Timestamp::now();
        let authority = self.authority.get();
        let issued = authority.issue(identity, public_key, now, self.lifetime);
        let issued = issued.map_err(|error| match error {
            AuthorityError::PublicKey => Status::invalid_argument(error.to_string()),
            _ => {
                tracing::error!(%error, "no certificate was issued");
                Status::internal("no certificate was issued")
            }
        })?;
        let left = Duration::try_from(issued.not_after.duration_since(now)).unwrap_or_default();
        Ok(v1::EnrolResponse {
            chain: vec![issued.der, authority.certificate_der().to_vec()],
            expires_at: Some(timestamp(issued.not_after)),
            renew_at: Some(timestamp(now + left.mul_f64(RENEW_AT))),
            answered_at: Some(timestamp(now)),
        })
    }

    /// Whether that life of a node goes on.
    async fn may_renew(&self, cluster: &str, node: &str, uid: &str) -> Result<(), Status> {
        let Some(asked) = self.access.cluster(cluster) else {
            // A plain machine goes on; a node of a cluster has nobody left who vouches for it.
            return if is_of_kubernetes(uid) {
                tracing::warn!(cluster, node, uid, "not renewed: nobody is asked of its cluster");
                Err(Status::permission_denied("nothing is known here of the node's cluster"))
            } else {
                Ok(())
            };
        };
        match asked.kubernetes.node_uid(node).await {
            Ok(now) if now.as_deref() == Some(uid) => Ok(()),
            Ok(_) => {
                tracing::warn!(cluster, node, uid, "not renewed: this life has ended");
                Err(Status::permission_denied("this life of the node has ended"))
            }
            // That we may not ask is ours to mend, and no reason to believe everybody. What is
            // in force lasts for a third of its life from here.
            Err(
                error @ (KubernetesError::Refused(401 | 403)
                | KubernetesError::Credential
                | KubernetesError::Untrusted),
            ) => {
                tracing::error!(cluster, node, %error, "not renewed: the aggregator cannot ask");
                Err(Status::unavailable(format!("cluster {cluster}: {error}; come again")))
            }
            // The path of a report must not depend on what it judges.
            Err(error) => {
                tracing::warn!(cluster, node, %error, "renewed without asking");
                Ok(())
            }
        }
    }
}

/// The node that a pod's token speaks for. The cluster is its issuer's; of the node's name and
/// UID neither comes from the caller.
async fn node_of(cluster: &Cluster, reviewed: &Reviewed) -> Result<Identity, Status> {
    if reviewed.username != cluster.agent {
        tracing::warn!(who = reviewed.username, cluster = cluster.name, "not the agents' account");
        return Err(Status::permission_denied("this service account is not the agents'"));
    }
    let away = |error: KubernetesError| {
        tracing::warn!(cluster = cluster.name, %error, "nobody can enrol");
        Status::unavailable(format!("cluster {}: {error}; come again", cluster.name))
    };
    let gone = |what: &str| Status::permission_denied(format!("the token's {what} is not there"));
    let (node, told) = match (&reviewed.node, &reviewed.pod) {
        (Some((node, uid)), Some(_)) => (node.clone(), Some(uid)),
        // Before Kubernetes 1.30 tokens say nothing of nodes.
        (None, Some((pod, uid))) => {
            let account = cluster.agent.split(':').nth(2).unwrap_or_default();
            let node = cluster.kubernetes.node_of_pod(account, pod, uid).await.map_err(away)?;
            (node.ok_or_else(|| gone("pod"))?, None)
        }
        (_, None) => {
            let why = "the token is bound to no pod: a projected one is needed";
            return Err(Status::permission_denied(why));
        }
    };
    // The API server does not look at the node of a token that is bound to a pod.
    let uid = cluster.kubernetes.node_uid(&node).await.map_err(away)?;
    let uid = uid.filter(|uid| told.is_none_or(|told| told == uid)).ok_or_else(|| gone("node"))?;
    Ok(Identity::Node { cluster: cluster.name.clone(), node, uid })
}

/// The node whose certificate the connection shows. The connection may be older than what is
/// trusted: an authority that was taken out since must not go on by the one in its place.
fn shown(
    extensions: &Extensions,
    trusted: &tls::Shown,
) -> Result<(String, String, String), Status> {
    let needed = || Status::unauthenticated("a node's certificate is needed");
    let connection = extensions.get::<TlsConnectInfo<TcpConnectInfo>>().ok_or_else(needed)?;
    let certificates = connection.peer_certs().ok_or_else(needed)?;
    let leaf = certificates.first().ok_or_else(needed)?;
    match certificate::identity(leaf, Timestamp::now())? {
        Identity::Node { .. } if !trusted.trusts(&certificates) => Err(Status::unauthenticated(
            "client certificate: its authority is not trusted any more",
        )),
        Identity::Node { cluster, node, uid } => Ok((cluster, node, uid)),
        Identity::Holder { .. } => Err(needed()),
    }
}

#[tonic::async_trait]
impl EnrolService for Enrol {
    async fn enrol(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        if extensions.get::<TlsConnectInfo<TcpConnectInfo>>().is_none() {
            return Err(Status::unauthenticated("a token is taken over TLS alone"));
        }
        let (cluster, reviewed) = self.access.reviewed(&metadata).await?;
        let identity = node_of(cluster, &reviewed).await?;
        let who = identity.to_string();
        let response = self.issue(identity, &request.public_key)?;
        tracing::info!(who, "enrolled");
        Ok(Response::new(response))
    }

    async fn renew(
        &self,
        request: Request<v1::EnrolRequest>,
    ) -> Result<Response<v1::EnrolResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        let (cluster, node, uid) = shown(&extensions, &self.trusted.get())?;
        self.may_renew(&cluster, &node, &uid).await?;
        let response = self.issue(Identity::Node { cluster, node, uid }, &request.public_key)?;
        Ok(Response::new(response))
    }
}
