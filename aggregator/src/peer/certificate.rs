//! Agents and relays that connect over mutual TLS: the identity is the client certificate's
//! ([`nodeward_proto::identity`]). That it is signed has been verified with the connection (RFC
//! 5280); that it is in force is looked at again with each request, because a connection, or one
//! that is resumed, may outlast it.

use std::sync::Arc;

use jiff::Timestamp;
use nodeward_domain::check::{Credential, Presented};
use nodeward_proto::identity::{Clusters, Identity, Role, is_uid};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tonic::metadata::MetadataMap;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Extensions, Status};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Authenticator, Peer, name};

/// Believes a client certificate that the connection has verified, and nothing else.
#[derive(Debug)]
pub struct CertificateAuthenticator;

impl Authenticator for CertificateAuthenticator {
    fn authenticate(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Peer, Status> {
        let needed = || Status::unauthenticated("a client certificate is needed");
        let shown = shown(extensions).ok_or_else(needed)?;
        match identity(shown.first().ok_or_else(needed)?, Timestamp::now())? {
            Identity::Node { cluster, node, uid } => own(metadata, Peer { cluster, node, uid }),
            Identity::Holder { role: Role::Relay, clusters: Clusters::Only(names), .. } => {
                relayed(metadata, &names.into_iter().next().unwrap_or_default())
            }
            other @ Identity::Holder { .. } => {
                tracing::warn!(who = %other, what = "report", "refused: no role for it");
                Err(Status::permission_denied("this credential may not report"))
            }
        }
    }

    fn shown(&self, extensions: &Extensions) -> Presented {
        let shown = shown(extensions);
        let own = shown.as_ref().and_then(|shown| credential(shown.first()?));
        own.map_or(Presented::Nothing, Presented::Certificate)
    }
}

/// How long a node's certificate is in force; none of another's: what a relay shows is not the
/// node's.
fn credential(leaf: &[u8]) -> Option<Credential> {
    let Ok(Identity::Node { .. }) = identity(leaf, Timestamp::now()) else { return None };
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let (from, until) = (certificate.validity().not_before, certificate.validity().not_after);
    Some(Credential {
        not_before: Timestamp::from_second(from.timestamp()).ok()?,
        not_after: Timestamp::from_second(until.timestamp()).ok()?,
    })
}

/// The certificates that the connection shows.
fn shown(extensions: &Extensions) -> Option<Arc<Vec<CertificateDer<'static>>>> {
    extensions.get::<TlsConnectInfo<TcpConnectInfo>>().and_then(TlsConnectInfo::peer_certs)
}

/// A node speaks for itself: names that it claims beside its certificate must be its own.
fn own(metadata: &MetadataMap, peer: Peer) -> Result<Peer, Status> {
    for (key, own) in [
        ("nodeward-cluster", &peer.cluster),
        ("nodeward-node", &peer.node),
        ("nodeward-node-uid", &peer.uid),
    ] {
        let mut claimed = metadata.get_all(key).iter();
        if claimed.any(|claim| claim.as_bytes() != own.as_bytes()) {
            tracing::warn!(cluster = peer.cluster, node = peer.node, key, "identity_mismatch");
            return Err(Status::permission_denied(format!(
                "request metadata {key} is not what the certificate says"
            )));
        }
    }
    Ok(peer)
}

/// A relay speaks for the nodes of its cluster, and says for which.
fn relayed(metadata: &MetadataMap, cluster: &str) -> Result<Peer, Status> {
    let claimed = name(metadata, "nodeward-cluster")?;
    if claimed != cluster {
        tracing::warn!(cluster, claimed, "identity_mismatch");
        return Err(Status::permission_denied("this relay may not speak for that cluster"));
    }
    let node = name(metadata, "nodeward-node")?;
    let uid = metadata.get("nodeward-node-uid").and_then(|uid| uid.to_str().ok());
    match uid.filter(|uid| is_uid(uid)) {
        Some(uid) => Ok(Peer { cluster: claimed, node, uid: uid.to_owned() }),
        None => {
            Err(Status::unauthenticated("request metadata nodeward-node-uid is missing or no UID"))
        }
    }
}

/// Whom a certificate names, if it is in force.
pub(crate) fn identity(der: &[u8], now: Timestamp) -> Result<Identity, Status> {
    let refused = |why: &str| Status::unauthenticated(format!("client certificate: {why}"));
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| refused("cannot be read"))?;
    let (from, until) = (certificate.validity().not_before, certificate.validity().not_after);
    if now.as_second() < from.timestamp() {
        return Err(refused("is not in force yet"));
    }
    if now.as_second() > until.timestamp() {
        return Err(refused("has expired"));
    }
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| refused("its subject alternative names cannot be read"))?
        .ok_or_else(|| refused("has no subject alternative name"))?;
    let uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    Identity::from_uris(uris).map_err(|error| refused(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};

    use super::*;

    const NODE: &str = "nodeward://prod/node/aks-a/9a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d";

    fn der(uri: &str, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().expect("an IA5 string"))];
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    fn saying(pairs: &[(&'static str, &str)]) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        for (key, value) in pairs {
            metadata.insert(*key, value.parse().expect("metadata"));
        }
        metadata
    }

    #[test]
    fn a_certificate_counts_while_it_is_in_force() {
        let now = Timestamp::now();
        assert!(identity(&der(NODE, |_| {}), now).is_ok());
        let why = |der: &[u8]| identity(der, now).expect_err("refused").message().to_owned();
        let old = der(NODE, |params| params.not_after = date_time_ymd(2020, 1, 1));
        assert!(why(&old).contains("expired"));
        let new = der(NODE, |params| params.not_before = date_time_ymd(2999, 1, 1));
        assert!(why(&new).contains("not in force yet"));
        let nameless = der(NODE, |params| params.subject_alt_names.clear());
        assert!(why(&nameless).contains("no subject alternative name"));
        assert!(why(b"no certificate").contains("cannot be read"));
    }

    #[test]
    fn a_node_may_name_itself_and_nobody_else() {
        let peer = Peer { cluster: "prod".to_owned(), node: "a".to_owned(), uid: "1".to_owned() };
        let good = [("nodeward-cluster", "prod"), ("nodeward-node", "a")];
        assert_eq!(own(&saying(&good), peer.clone()).expect("itself"), peer);
        for claim in [("nodeward-cluster", "b"), ("nodeward-node", "b"), ("nodeward-node-uid", "2")]
        {
            let refused = own(&saying(&[claim]), peer.clone()).expect_err("another");
            assert_eq!(refused.code(), tonic::Code::PermissionDenied);
        }
    }

    #[test]
    fn a_relay_names_the_nodes_of_its_cluster() {
        let of_a = [("nodeward-cluster", "a"), ("nodeward-node", "n"), ("nodeward-node-uid", "1")];
        let peer = relayed(&saying(&of_a), "a").expect("its own");
        assert_eq!((peer.node.as_str(), peer.uid.as_str()), ("n", "1"));
        let refused = relayed(&saying(&of_a), "b").expect_err("another cluster's");
        assert_eq!(refused.code(), tonic::Code::PermissionDenied);
        assert!(relayed(&saying(&of_a[..2]), "a").is_err());
    }
}
