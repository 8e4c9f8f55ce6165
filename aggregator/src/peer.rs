//! Who speaks. Identity comes from the connection alone, never from what is reported.

pub(crate) mod certificate;

use hmac::{Hmac, KeyInit as _, Mac as _};
use nodeward_domain::check::Presented;
pub(crate) use nodeward_proto::identity::{is_name, is_uid};
use sha2::Sha256;
use tonic::metadata::MetadataMap;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tonic::{Extensions, Status};

/// A verified node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its cluster.
    pub cluster: String,
    /// Its name.
    pub node: String,
    /// What names this life of the node: a node that is made anew under the same name
    /// has another.
    pub uid: String,
}

/// Whether a UID has the form that Kubernetes gives to every object: that of RFC 9562. Those of
/// our own making have another (`nodeward ca issue`, [`LoopbackAuthenticator`]).
pub(crate) fn is_of_kubernetes(uid: &str) -> bool {
    uid.len() == 36
        && uid.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Tells who speaks, or refuses.
pub trait Authenticator: Send + Sync + 'static {
    /// The peer behind a request.
    fn authenticate(&self, metadata: &MetadataMap, extensions: &Extensions)
    -> Result<Peer, Status>;

    /// The certificate that a node shows of itself, if it shows one.
    fn shown(&self, _: &Extensions) -> Presented {
        Presented::Nothing
    }
}

pub use certificate::CertificateAuthenticator;

/// Lets each kind of connection be judged by its own authenticator: what came over TLS by
/// its certificate, what came in plain text by its address.
#[derive(Debug)]
pub struct ByConnection {
    /// For connections in plain text, where they are served.
    pub plain: Option<LoopbackAuthenticator>,
    /// For connections over mutual TLS.
    pub tls: CertificateAuthenticator,
}

impl Authenticator for ByConnection {
    fn authenticate(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Peer, Status> {
        if extensions.get::<TlsConnectInfo<TcpConnectInfo>>().is_some() {
            self.tls.authenticate(metadata, extensions)
        } else if let Some(plain) = &self.plain {
            plain.authenticate(metadata, extensions)
        } else {
            Err(Status::unauthenticated("reports are taken over mutual TLS alone"))
        }
    }

    fn shown(&self, extensions: &Extensions) -> Presented {
        self.tls.shown(extensions)
    }
}

/// For plain machines: believes what a process on this very machine says of its
/// cluster and node. Honours nobody who connects from elsewhere.
#[derive(Debug)]
pub struct LoopbackAuthenticator {
    store_id: String,
}

impl LoopbackAuthenticator {
    /// An authenticator for the store with that id. The lives that it names are the
    /// store's: they must not end because the machine below it has another id.
    #[must_use]
    pub const fn new(store_id: String) -> Self {
        Self { store_id }
    }

    /// A keyed hash, so that nobody can make up what another machine's store would say.
    fn uid(&self, cluster: &str, node: &str) -> Result<String, Status> {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"nodeward loopback node uid v1")
            .map_err(|error| Status::internal(error.to_string()))?;
        for part in [self.store_id.as_str(), cluster, node] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let bytes = mac.finalize().into_bytes();
        Ok(bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Authenticator for LoopbackAuthenticator {
    fn authenticate(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Peer, Status> {
        let on_loopback = extensions
            .get::<TcpConnectInfo>()
            .and_then(TcpConnectInfo::remote_addr)
            .is_some_and(|address| address.ip().is_loopback());
        if !on_loopback {
            return Err(Status::unauthenticated(
                "only this machine may report without a credential",
            ));
        }
        let cluster = name(metadata, "nodeward-cluster")?;
        let node = name(metadata, "nodeward-node")?;
        let uid = self.uid(&cluster, &node)?;
        Ok(Peer { cluster, node, uid })
    }
}

/// A name from request metadata.
fn name(metadata: &MetadataMap, key: &'static str) -> Result<String, Status> {
    let value = metadata
        .get(key)
        .ok_or_else(|| Status::unauthenticated(format!("request metadata {key} is missing")))?
        .to_str()
        .map_err(|_| Status::unauthenticated(format!("request metadata {key} is not text")))?;
    if is_name(value) {
        Ok(value.to_owned())
    } else {
        Err(Status::unauthenticated(format!("request metadata {key} is not a name")))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn from(address: &str) -> Extensions {
        let address: SocketAddr = address.parse().expect("an address");
        let mut extensions = Extensions::new();
        extensions.insert(TcpConnectInfo { local_addr: Some(address), remote_addr: Some(address) });
        extensions
    }

    fn saying(cluster: &str, node: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert("nodeward-cluster", cluster.parse().expect("metadata"));
        metadata.insert("nodeward-node", node.parse().expect("metadata"));
        metadata
    }

    #[test]
    fn only_this_machine_is_believed() {
        let authenticator = LoopbackAuthenticator::new("m".to_owned());
        let metadata = saying("local", "a");
        assert!(authenticator.authenticate(&metadata, &from("127.0.0.1:9")).is_ok());
        assert!(authenticator.authenticate(&metadata, &from("[::1]:9")).is_ok());
        for elsewhere in [from("10.0.0.1:9"), Extensions::new()] {
            let refused = authenticator.authenticate(&metadata, &elsewhere).expect_err("elsewhere");
            assert_eq!(refused.code(), tonic::Code::Unauthenticated);
        }
    }

    #[test]
    fn names_are_needed_and_plain() {
        let authenticator = LoopbackAuthenticator::new("m".to_owned());
        let here = from("127.0.0.1:9");
        assert!(authenticator.authenticate(&MetadataMap::new(), &here).is_err());
        assert!(authenticator.authenticate(&saying("local", "A B"), &here).is_err());
        assert!(authenticator.authenticate(&saying("", "a"), &here).is_err());
    }

    #[test]
    fn a_uid_hangs_on_store_cluster_and_node_and_shows_none_of_them() {
        let uid = |store: &str, cluster, node| {
            LoopbackAuthenticator::new(store.to_owned()).uid(cluster, node).expect("a uid")
        };
        let one = uid("store", "c", "n");
        assert_eq!(one, uid("store", "c", "n"));
        for other in [uid("other", "c", "n"), uid("store", "d", "n"), uid("store", "cn", "")] {
            assert_ne!(one, other);
        }
        assert!(!one.contains("store"));
    }
}
