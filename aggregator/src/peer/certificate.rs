//! Agents that connect over mutual TLS: the identity is the client certificate's, in one
//! subject alternative name of type URI, `nodeward://CLUSTER/node/NODE/UID`. That the
//! certificate is signed and in force has been verified before (RFC 5280).

use tonic::metadata::MetadataMap;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Extensions, Status};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Authenticator, Peer, is_name};

/// The longest UID that is taken; Kubernetes' have 36 characters.
const UID_LIMIT_BYTES: usize = 64;

/// Believes a client certificate that the connection has verified, and nothing else.
#[derive(Debug)]
pub struct CertificateAuthenticator;

impl Authenticator for CertificateAuthenticator {
    fn authenticate(&self, _: &MetadataMap, extensions: &Extensions) -> Result<Peer, Status> {
        let certificates = extensions
            .get::<TlsConnectInfo<TcpConnectInfo>>()
            .and_then(TlsConnectInfo::peer_certs)
            .ok_or_else(|| Status::unauthenticated("a client certificate is needed"))?;
        let leaf = certificates
            .first()
            .ok_or_else(|| Status::unauthenticated("a client certificate is needed"))?;
        peer(leaf).map_err(|why| Status::unauthenticated(format!("client certificate: {why}")))
    }
}

/// Whom a certificate names.
fn peer(der: &[u8]) -> Result<Peer, &'static str> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| "cannot be read")?;
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| "its subject alternative names cannot be read")?
        .ok_or("has no subject alternative name")?;
    let mut ours = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix("nodeward://"),
        _ => None,
    });
    let path = ours.next().ok_or("names no node: nodeward://CLUSTER/node/NODE/UID")?;
    if ours.next().is_some() {
        return Err("names more than one node");
    }
    let mut parts = path.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(cluster), Some("node"), Some(node), Some(uid), None) => {
            if !is_name(cluster) || !is_name(node) {
                return Err("its cluster or node is not a name");
            }
            // Without it a node that is made anew would go on as the one before.
            if !is_uid(uid) {
                return Err("has no node UID");
            }
            let [cluster, node, uid] = [cluster, node, uid].map(str::to_owned);
            Ok(Peer { cluster, node, uid })
        }
        _ => Err("does not have the form nodeward://CLUSTER/node/NODE/UID"),
    }
}

pub(crate) fn is_uid(uid: &str) -> bool {
    !uid.is_empty()
        && uid.len() <= UID_LIMIT_BYTES
        && uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn named(uris: &[&str]) -> Result<Peer, &'static str> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().expect("an IA5 string")))
            .collect();
        let key = KeyPair::generate().expect("a key");
        peer(params.self_signed(&key).expect("a certificate").der())
    }

    #[test]
    fn one_uri_names_cluster_node_and_uid() {
        let uid = "9a2f3a6e-0c2b-4a6b-8d0e-1c1f3a2b4c5d";
        let peer = named(&["https://example.com", &format!("nodeward://prod/node/aks-a/{uid}")]);
        let peer = peer.expect("a good name");
        assert_eq!((peer.cluster.as_str(), peer.node.as_str()), ("prod", "aks-a"));
        assert_eq!(peer.uid, uid);
    }

    #[test]
    fn anything_else_is_refused() {
        for uris in [
            &[][..],
            &["https://prod/node/a/1"],
            &["nodeward://prod/node/a"],
            &["nodeward://prod/node/a/"],
            &["nodeward://prod/node/a/1/2"],
            &["nodeward://prod/reader/a/1"],
            &["nodeward:///node/a/1"],
            &["nodeward://Prod/node/a/1"],
            &["nodeward://prod/node/a%20b/1"],
            &["nodeward://prod/node/a/1", "nodeward://prod/node/b/1"],
        ] {
            assert!(named(uris).is_err(), "{uris:?}");
        }
        assert!(peer(b"no certificate").is_err());
    }
}
