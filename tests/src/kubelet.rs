//! A stand-in for a kubelet, which no package registry has: its health endpoint and its
//! secure port with TLS, below a host root whose kubelet is configured to be there.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use nodeward_agent::collect::{COLLECTORS, Collector, Observation};
use nodeward_agent::host::{Host, HostRoot};
use nodeward_agent::probe::Probes;
use nodeward_domain::component::Component;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::authority::{Authority, Credential};
use crate::host::{HostCopy, own_network};
use crate::judged::Judged;
use crate::standin::{Asked, Does, Standin};

/// The host root that it is a part of, and where its files lie there.
const ROOT: &str = "aks-ubuntu-2204";
const CONFIGURATION: &str = "/etc/default/kubeletconfig.json";
const SERVING: &str = "/var/lib/kubelet/pki/kubelet-server-current.pem";

/// A kubelet that a test has started.
#[derive(Debug)]
pub struct Kubelet {
    /// Its health endpoint.
    pub health: Standin,
    /// Its secure port.
    pub secure: Standin,
    host: HostCopy,
    token: Option<PathBuf>,
    authority: Authority,
}

/// Serves TLS on a port of its own with that certificate.
#[must_use]
pub fn serving_tls(
    credential: &Credential,
    answers: impl Fn(&Asked) -> Does + Send + Sync + 'static,
) -> Standin {
    serving_tls_on(Ipv4Addr::LOCALHOST.into(), credential, answers)
}

/// The same on another address of this machine.
///
/// # Panics
/// When there is no such address, or the credential is none.
#[must_use]
pub fn serving_tls_on(
    ip: IpAddr,
    credential: &Credential,
    answers: impl Fn(&Asked) -> Does + Send + Sync + 'static,
) -> Standin {
    let chain = CertificateDer::pem_file_iter(&credential.certificate).expect("a certificate");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("PEM");
    let key = PrivateKeyDer::from_pem_file(&credential.key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(
        tokio_rustls::rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("versions that are known")
    .with_no_client_auth()
    .with_single_cert(chain, key)
    .expect("a certificate and its key");
    let config = Arc::new(config);
    let over = move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config))
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(Box::new(StreamOwned::new(connection, stream)) as Box<_>)
    };
    Standin::serving_on(ip, over, answers)
}

impl Kubelet {
    /// One that answers its ports so. On the secure port it has a certificate of its own,
    /// which lies in the host root, too.
    #[must_use]
    pub fn answering(
        health: impl Fn(&Asked) -> Does + Send + Sync + 'static,
        secure: impl Fn(&Asked) -> Does + Send + Sync + 'static,
    ) -> Self {
        let authority = Authority::default();
        let credential = authority.server();
        let secure = serving_tls(&credential, secure);
        let kubelet = Self::at(Standin::serving(health), secure, authority);
        kubelet.put(SERVING, &std::fs::read_to_string(credential.certificate).expect("PEM"));
        kubelet
    }

    /// One whose ports are these.
    #[must_use]
    pub fn at(health: Standin, secure: Standin, authority: Authority) -> Self {
        let kubelet = Self { health, secure, host: HostCopy::of(ROOT), token: None, authority };
        let path = kubelet.host.inside(CONFIGURATION);
        let text = std::fs::read_to_string(path).expect("a configuration");
        let ports = format!(
            "{{\n    \"port\": {},\n    \"healthzPort\": {},",
            kubelet.secure.address().port(),
            kubelet.health.address().port()
        );
        kubelet.put(CONFIGURATION, &text.replacen('{', &ports, 1));
        kubelet.written_before_the_start("/etc/default/kubelet");
        kubelet.in_network(&own_network());
        kubelet
    }

    /// The node's network is that one.
    pub fn in_network(&self, network: &str) {
        for process in ["/proc/1", "/proc/2"] {
            self.host.in_network(process, network);
        }
    }

    /// The host root shows the machine that runs the test, so that the agent's program asks.
    ///
    /// # Panics
    /// When the machine has no boot id.
    pub fn is_of_this_machine(&self) {
        const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
        let own = std::fs::read_to_string(BOOT_ID).expect("a boot id");
        std::fs::write(self.host.inside(BOOT_ID), own).expect("written");
    }

    /// With that configuration instead, in JSON or YAML.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure(&self, text: &str) {
        self.put(CONFIGURATION, text);
    }

    /// The agent has a token for it.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        let path = self.host.path().join("token");
        std::fs::write(&path, token).expect("written");
        self.token = Some(path);
        self
    }

    /// A certificate that another server might have.
    #[must_use]
    pub fn another_certificate(&self) -> Credential {
        self.authority.server()
    }

    /// The path of its serving certificate in the host root.
    #[must_use]
    pub fn serving_certificate(&self) -> PathBuf {
        self.host.inside(SERVING)
    }

    /// It was started without that argument.
    pub fn lacks(&self, argument: &str) {
        self.host.replace("/proc/41552/cmdline", &[(&format!("{argument}\0"), "")]);
    }

    /// The process is gone.
    ///
    /// # Panics
    /// When it is gone already.
    pub fn ends(&self) {
        std::fs::remove_dir_all(self.host.inside("/proc/41552")).expect("it is there");
    }

    /// Writes a file of the host root, as if before the kubelet was started.
    fn put(&self, path: &str, text: &str) {
        let inside = self.host.inside(path);
        // Through a link another file would be written.
        let _ = std::fs::remove_file(&inside);
        std::fs::write(inside, text).expect("written");
        self.written_before_the_start(path);
    }

    fn written_before_the_start(&self, path: &str) {
        let before: Timestamp = "2026-11-10T08:13:34Z".parse().expect("a moment");
        let file = std::fs::File::options().write(true).open(self.host.inside(path));
        let before = SystemTime::try_from(before).expect("a time of the system");
        file.expect("a file").set_modified(before).expect("its owner may");
    }

    /// What the agent sees of it, and the other components as the host root recorded them.
    pub async fn observed(&self) -> Vec<Observation> {
        let is_kubelet = |collector: &Collector| collector.component == Component::Kubelet;
        let (kubelet, others): (Vec<Collector>, Vec<Collector>) =
            COLLECTORS.into_iter().partition(is_kubelet);
        let mut observed = self.host.round_of(others, Duration::from_secs(60)).await;
        let host = Host {
            kubelet_token_file: self.token.clone(),
            ..Host::new(
                HostRoot::open(self.host.path()).expect("a directory"),
                Probes::Live { runtime: tokio::runtime::Handle::current() },
            )
        };
        let collect = kubelet[0].collect;
        let collected = tokio::task::spawn_blocking(move || collect(&host)).await.expect("ends");
        observed.push(Observation {
            state: collected.state,
            measured: collected.measured,
            observed_at: Timestamp::now(),
            took: Duration::ZERO,
        });
        observed
    }

    /// What is said of it when that is seen as often as a weak probe needs.
    pub async fn judged(&self) -> Judged {
        Judged::of(Component::Kubelet, &self.observed().await)
    }

    /// The folder that is its host root.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.host.path()
    }
}
