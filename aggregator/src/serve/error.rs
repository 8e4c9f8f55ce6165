//! Why an aggregator could not serve, in one line each.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::advisories::AdvisoriesError;
use crate::config::ConfigError;
use crate::reload::ReloadError;
use crate::store::StoreError;

/// Why an aggregator could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address cannot be listened on.
    #[error("{setting} {address}: {source}; choose another with {setting} {example}")]
    Listen {
        /// The setting.
        setting: &'static str,
        /// Its value.
        address: SocketAddr,
        /// Another value that is likely to work.
        example: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are no advisories to judge by.
    #[error(transparent)]
    Advisories(#[from] AdvisoriesError),
    /// The socket for administrators cannot be made.
    #[error("--admin-socket {path}: {source}")]
    AdminSocket {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Serving gRPC failed.
    #[error("gRPC: {0}")]
    Grpc(#[from] tonic::transport::Error),
    /// Certificates or key cannot be used.
    #[error("--tls-certificate, --tls-key, --tls-client-ca: {0}")]
    Tls(#[source] ReloadError),
    /// The authority that gives agents their certificates cannot be used.
    #[error("--authority-certificate, --authority-key: {0}")]
    Authority(#[source] ReloadError),
    /// The way from a relay to its aggregator cannot be made.
    #[error("--to-ca, --to-certificate, --to-key: {0}")]
    Way(#[source] ReloadError),
    /// Serving HTTP failed.
    #[error("HTTP: {0}")]
    Http(#[source] std::io::Error),
    /// Reflection could not be set up.
    #[error("gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Signals cannot be received.
    #[error("signals cannot be received: {0}")]
    Signal(#[source] std::io::Error),
}
