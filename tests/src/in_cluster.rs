//! An aggregator beside the API server of a cluster, as agents, readers and attackers meet it:
//! over TLS, with tokens and certificates.

use std::path::{Path, PathBuf};

use nodeward_proto::v1;
use nodeward_proto::v1::enrol_service_client::EnrolServiceClient;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::json;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::api_server::tokens::Token;
use crate::api_server::{ADMIN_TOKEN, ApiServer};
use crate::authority::{Authority, Credential};
use crate::service::Aggregator;

/// The service account of agents.
pub const AGENT: &str = "nodeward:nodeward-agent";

/// A cluster `prod` with nodes `a` and `b`, an agent's pod on each, and an aggregator.
#[derive(Debug)]
pub struct InCluster {
    /// The cluster's API server.
    pub api: ApiServer,
    /// Of the aggregator's certificates and its clients'.
    pub authority: Authority,
    /// The aggregator.
    pub aggregator: Aggregator,
    /// Its files.
    pub folder: tempfile::TempDir,
    /// The certificate that it shows.
    pub shown: Credential,
}

/// What enrolment gave, and the key that it was asked for.
#[derive(Debug)]
pub struct Enrolled {
    /// The answer.
    pub answer: v1::EnrolResponse,
    key: KeyPair,
}

impl Enrolled {
    /// As a client shows it.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let certificate = pem("CERTIFICATE", &self.answer.chain[0]);
        Identity::from_pem(certificate, self.key.serialize_pem())
    }
}

impl InCluster {
    /// With certificates of agents that last for a day.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("24h", "")
    }

    /// With certificates of agents that last so long, and more in the file that says who may do
    /// what.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(lifetime: &str, more: &str) -> Self {
        Self::begin(lifetime, more, false)
    }

    /// The same, and the aggregator watches what the API server knows.
    #[must_use]
    pub fn start_watching(lifetime: &str) -> Self {
        Self::begin(lifetime, "", true)
    }

    fn begin(lifetime: &str, more: &str, watches: bool) -> Self {
        let (api, token) = api_server();
        let folder = tempfile::tempdir().expect("a folder");
        let access = folder.path().join("access.toml");
        let text = format!(
            "[[cluster]]\nname = \"prod\"\nissuer = \"{url}\"\napi-server = \"{url}\"\n\
             api-server-ca = {ca:?}\napi-server-token-file = {token:?}\n{more}",
            url = api.url(),
            ca = api.ca(),
        );
        std::fs::write(&access, text.replace("$ISSUER", &api.url())).expect("written");
        let authority = Authority::default();
        let shown = authority.server();
        let store = folder.path().join("store.db");
        let aggregator = Aggregator::start_with(&store, "127.0.0.1:0", |command| {
            command.env("NODEWARD_LOG", "debug");
            command.args(["--tls-listen", "127.0.0.1:0", "--certificate-lifetime", lifetime]);
            command.arg("--tls-certificate").arg(&shown.certificate);
            command.arg("--tls-key").arg(&shown.key);
            command.arg("--tls-client-ca").arg(authority.certificate());
            command.arg("--authority-certificate").arg(authority.certificate());
            command.arg("--authority-key").arg(authority.key());
            command.arg("--access").arg(&access);
            if watches {
                let kubeconfig = api.kubeconfig(ADMIN_TOKEN);
                command.arg(format!("--kubernetes=prod={}", kubeconfig.display()));
            }
        });
        Self { api, authority, aggregator, folder, shown }
    }

    /// Where it serves over TLS.
    ///
    /// # Panics
    /// Never: it does.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.aggregator.tls.as_ref().expect("it serves over TLS"))
    }

    /// A token of the agent on that node, for the aggregator.
    #[must_use]
    pub fn token(&self, node: &str) -> String {
        self.api.token(&self.asked(node))
    }

    /// Such a token, as it is asked for.
    #[must_use]
    pub fn asked(&self, node: &str) -> Token {
        Token::of(AGENT, &format!("agent-{node}"), "nodeward")
    }

    /// A connection that shows that, if anything.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn connect(&self, shown: Option<Identity>) -> Channel {
        self.connect_to(self.url(), shown).await
    }

    /// The same to another address, whose certificate the same authority signed.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn connect_to(&self, url: String, shown: Option<Identity>) -> Channel {
        let ca = Certificate::from_pem(read(&self.authority.certificate()));
        let mut tls = ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
        if let Some(shown) = shown {
            tls = tls.identity(shown);
        }
        let endpoint = Endpoint::from_shared(url).expect("an address");
        endpoint.tls_config(tls).expect("good files").connect().await.expect("connected")
    }

    /// A connection that shows a certificate in files.
    pub async fn connect_as(&self, shown: &Credential) -> Channel {
        let identity = Identity::from_pem(read(&shown.certificate), read(&shown.key));
        self.connect(Some(identity)).await
    }

    /// The same to another address.
    pub async fn connect_to_as(&self, url: String, shown: &Credential) -> Channel {
        let identity = Identity::from_pem(read(&shown.certificate), read(&shown.key));
        self.connect_to(url, Some(identity)).await
    }

    /// A connection as the holder of a certificate with those names.
    pub async fn connect_named(&self, uris: &[&str]) -> Channel {
        self.connect_as(&self.authority.client_of(uris)).await
    }

    /// Enrols with a token, or without one.
    pub async fn enrol(&self, token: Option<&str>) -> Result<Enrolled, Status> {
        self.enrol_saying(token, &[]).await
    }

    /// The same, with further request metadata.
    ///
    /// # Panics
    /// When it is none.
    pub async fn enrol_saying(
        &self,
        token: Option<&str>,
        more: &[(&'static str, &str)],
    ) -> Result<Enrolled, Status> {
        let key = KeyPair::generate().expect("a key");
        let public_key = key.subject_public_key_info();
        let mut request = Request::new(v1::EnrolRequest { public_key });
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().expect("metadata");
            request.metadata_mut().insert("authorization", value);
        }
        for (name, value) in more {
            request.metadata_mut().insert(*name, value.parse().expect("metadata"));
        }
        let mut client = EnrolServiceClient::new(self.connect(None).await);
        let answer = client.enrol(request).await?.into_inner();
        Ok(Enrolled { answer, key })
    }

    /// Renews what was enrolled for.
    ///
    /// # Panics
    /// When no key can be made.
    pub async fn renew(&self, held: &Enrolled) -> Result<Enrolled, Status> {
        let key = KeyPair::generate().expect("a key");
        let public_key = key.subject_public_key_info();
        let mut client = EnrolServiceClient::new(self.connect(Some(held.identity())).await);
        let answer = client.renew(v1::EnrolRequest { public_key }).await?.into_inner();
        Ok(Enrolled { answer, key })
    }

    /// How often the API server was asked about tokens.
    #[must_use]
    pub fn reviews(&self) -> usize {
        let asked = self.api.asked();
        asked.iter().filter(|one| one.path.ends_with("/tokenreviews")).count()
    }

    /// Writes a file beside the store.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

/// The API server of a cluster with nodes `a` and `b` and an agent's pod on each, and a file with
/// the token that the aggregator has for it.
#[must_use]
pub fn api_server() -> (ApiServer, PathBuf) {
    let api = ApiServer::start();
    api.put(json!({ "kind": "Namespace", "metadata": { "name": "nodeward" } }));
    for node in ["a", "b"] {
        api.put(json!({ "kind": "Node", "metadata": { "name": node }, "spec": {} }));
        api.put(pod(node));
    }
    // No more rights than the manifests give.
    let own = "system:serviceaccount:nodeward:nodeward-aggregator";
    api.allow(own, "create", "tokenreviews.authentication.k8s.io");
    api.allow(own, "get", "nodes");
    api.allow(own, "get", "pods");
    let mut asked = Token::of("nodeward:nodeward-aggregator", "agent-a", &api.url());
    asked.pod = None;
    asked.lasts = jiff::SignedDuration::from_hours(1);
    let token = api.token_file(&api.token(&asked));
    (api, token)
}

/// The agent's pod on a node.
#[must_use]
pub fn pod(node: &str) -> serde_json::Value {
    json!({
        "kind": "Pod",
        "metadata": { "name": format!("agent-{node}"), "namespace": "nodeward" },
        "spec": { "nodeName": node },
    })
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("a file of the test")
}

/// PEM (RFC 7468) of what is given in DER.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = crate::api_server::tokens::base64(der).replace('-', "+").replace('_', "/");
    let padded = format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4));
    let lines: Vec<&str> = padded
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("ASCII"))
        .collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
