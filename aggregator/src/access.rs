//! Who may do what: readers ask, administrators ask and import, agents and relays report. A
//! holder shows a client certificate or a token; a process of this machine needs neither on the
//! listener for this machine alone.

mod reviews;
mod settings;

use std::sync::Arc;

use jiff::Timestamp;
use nodeward_proto::identity::{Clusters, Identity, Role};
use tonic::metadata::MetadataMap;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo, UdsConnectInfo};
use tonic::{Extensions, Request, Status};

use crate::kubernetes::Reviewed;
use crate::peer::certificate;
use crate::token::{self, Issuer, TokenError};

use reviews::Reviews;
pub use settings::{AccessError, Cluster, Grant, Settings, To};

/// Decides who may do what.
#[derive(Debug)]
pub struct Access {
    settings: Settings,
    reviews: Reviews,
}

/// Whoever has shown who he is, and what he may see.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    name: String,
    roles: Vec<(Role, Clusters)>,
}

impl Access {
    /// Decides by that file.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, reviews: Reviews::default() }
    }

    /// The cluster of that name, if its agents enrol.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<&Cluster> {
        self.settings.clusters.iter().find(|cluster| cluster.name == name)
    }

    /// The clusters that whoever asks may see.
    pub async fn may_read(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Clusters, Status> {
        if is_of_this_machine(extensions) {
            return Ok(Clusters::All);
        }
        let holder = self.holder(metadata, extensions).await?;
        // Who may import may ask.
        let of = |wanted: Role| {
            holder.roles.iter().filter(move |(role, _)| *role == wanted).map(|(_, seen)| seen)
        };
        joined(of(Role::Reader).chain(of(Role::Admin))).ok_or_else(|| denied(&holder, "ask"))
    }

    /// Whether whoever asks may do what concerns every cluster.
    pub async fn may_read_all(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
        what: &str,
    ) -> Result<(), Status> {
        match self.may_read(metadata, extensions).await? {
            Clusters::All => Ok(()),
            Clusters::Only(_) => Err(Status::permission_denied(format!(
                "{what} go over all clusters, and this credential is for some of them"
            ))),
        }
    }

    /// Whether whoever asks may import. Feeds, images and plans are the whole fleet's, so an
    /// administrator of some clusters may not.
    pub async fn may_administer(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(), Status> {
        if let Some(socket) = extensions.get::<UdsConnectInfo>() {
            return of_socket(socket);
        }
        let holder = self.holder(metadata, extensions).await?;
        let is_admin = |(role, clusters): &(Role, Clusters)| {
            *role == Role::Admin && *clusters == Clusters::All
        };
        if holder.roles.iter().any(is_admin) {
            Ok(())
        } else {
            Err(denied(&holder, "change what is the whole fleet's"))
        }
    }

    /// Whether whoever asks may make and delete plans, which are the whole fleet's: as for
    /// imports, and a process of this machine where it is believed.
    pub async fn may_plan(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(), Status> {
        if is_of_this_machine(extensions) {
            return Ok(());
        }
        self.may_administer(metadata, extensions).await
    }

    async fn holder(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Holder, Status> {
        let Some(tls) = extensions.get::<TlsConnectInfo<TcpConnectInfo>>() else {
            return Err(Status::unauthenticated("a credential is taken over TLS alone"));
        };
        if let Some(shown) = tls.peer_certs().as_ref().and_then(|shown| shown.first()) {
            let identity = certificate::identity(shown, Timestamp::now())?;
            let name = identity.to_string();
            let roles = match identity {
                Identity::Holder { role, clusters, .. } => vec![(role, clusters)],
                Identity::Node { .. } => Vec::new(),
            };
            return Ok(Holder { name, roles });
        }
        let token = bearer(metadata)?;
        let issuer = token::issuer_of(token, self.settings.issuers()).map_err(|e| refused(&e))?;
        let (subject, groups) = self.subject(issuer, token).await?;
        let roles = self.settings.grants.iter().filter(|grant| {
            grant.issuer == issuer.name
                && match &grant.to {
                    To::Subject(name) => *name == subject,
                    To::Group(name) => groups.contains(name),
                }
        });
        let roles = roles.map(|grant| (grant.role, grant.clusters.clone())).collect();
        Ok(Holder { name: subject, roles })
    }

    /// Of whom a token speaks. Of one of a cluster the API server is asked too: it knows of
    /// pods that are gone.
    async fn subject(&self, issuer: &Issuer, token: &str) -> Result<(String, Vec<String>), Status> {
        let of_cluster = self.settings.clusters.iter().find(|one| one.issuer.name == issuer.name);
        match of_cluster {
            Some(cluster) => {
                let reviewed = self.review(cluster, token).await?;
                Ok((reviewed.username.clone(), reviewed.groups.clone()))
            }
            None => {
                let claims = issuer.verify(token).await.map_err(|error| refused(&error))?;
                Ok((claims.sub, claims.groups))
            }
        }
    }

    /// The cluster whose token this is, and who it belongs to by the cluster's API server.
    pub async fn reviewed(
        &self,
        metadata: &MetadataMap,
    ) -> Result<(&Cluster, Arc<Reviewed>), Status> {
        let token = bearer(metadata)?;
        let issuers = self.settings.clusters.iter().map(|cluster| &cluster.issuer);
        let issuer = token::issuer_of(token, issuers).map_err(|error| refused(&error))?;
        let cluster = self.settings.clusters.iter().find(|one| one.issuer.name == issuer.name);
        let cluster = cluster.ok_or_else(|| refused(&TokenError::Issuer))?;
        Ok((cluster, self.review(cluster, token).await?))
    }

    /// Who a token belongs to: first by what is known here, which refuses fast, then by the API
    /// server.
    async fn review(&self, cluster: &Cluster, token: &str) -> Result<Arc<Reviewed>, Status> {
        let claims = cluster.issuer.verify(token).await.map_err(|error| refused(&error))?;
        let reviewed = self.reviews.review(cluster, token, claims.exp).await?;
        if reviewed.username == claims.sub {
            Ok(reviewed)
        } else {
            Err(Status::unauthenticated("the API server takes the token for somebody else's"))
        }
    }
}

/// Lets through who shows a certificate over TLS; before a byte of what he sends is read.
pub fn shows_certificate(request: Request<()>) -> Result<Request<()>, Status> {
    if has_certificate(&request) {
        Ok(request)
    } else {
        Err(Status::unauthenticated("a client certificate is needed"))
    }
}

/// Lets through who shows a certificate over TLS or a token; whether they hold is told later.
pub fn shows_credential(request: Request<()>) -> Result<Request<()>, Status> {
    if has_certificate(&request) || request.metadata().contains_key("authorization") {
        Ok(request)
    } else {
        Err(Status::unauthenticated("a client certificate or a bearer token is needed"))
    }
}

fn has_certificate(request: &Request<()>) -> bool {
    let tls = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
    tls.and_then(TlsConnectInfo::peer_certs).is_some_and(|shown| !shown.is_empty())
}

/// All clusters of several lists; none of no list.
fn joined<'a>(all: impl Iterator<Item = &'a Clusters>) -> Option<Clusters> {
    all.fold(None, |sum, next| match (sum, next) {
        (Some(Clusters::All), _) | (_, Clusters::All) => Some(Clusters::All),
        (Some(Clusters::Only(mut sum)), Clusters::Only(next)) => {
            sum.extend(next.iter().cloned());
            Some(Clusters::Only(sum))
        }
        (None, next) => Some(next.clone()),
    })
}

/// The token that is shown.
fn bearer(metadata: &MetadataMap) -> Result<&str, Status> {
    let mut all = metadata.get_all("authorization").iter();
    let missing = || Status::unauthenticated("a client certificate or a bearer token is needed");
    let shown = all.next().ok_or_else(missing)?;
    if all.next().is_some() {
        return Err(Status::unauthenticated("more than one token is shown"));
    }
    shown.to_str().ok().and_then(|shown| shown.strip_prefix("Bearer ")).ok_or_else(missing)
}

/// A refusal, as the one who showed the token may mend it.
fn refused(error: &TokenError) -> Status {
    match error {
        TokenError::Keys(_) => Status::unavailable(error.to_string()),
        _ => Status::unauthenticated(error.to_string()),
    }
}

fn denied(holder: &Holder, what: &str) -> Status {
    tracing::warn!(who = holder.name, what, "refused: no role for it");
    Status::permission_denied(format!("this credential may not {what}"))
}

/// Whether a connection came in plain text from this machine. Nothing else is served so.
fn is_of_this_machine(extensions: &Extensions) -> bool {
    extensions
        .get::<TcpConnectInfo>()
        .and_then(TcpConnectInfo::remote_addr)
        .is_some_and(|address| address.ip().is_loopback())
}

/// Whether whoever is behind a socket of the file system may administer: the socket says which
/// user he is.
fn of_socket(socket: &UdsConnectInfo) -> Result<(), Status> {
    let user = socket.peer_cred.as_ref().map(|peer| peer.uid());
    let own = nix::unistd::geteuid().as_raw();
    match user {
        Some(user) if user == 0 || user == own => Ok(()),
        Some(user) => Err(Status::permission_denied(format!("user {user} may not import"))),
        None => Err(Status::unauthenticated("the socket does not say who asks")),
    }
}
