//! What is asked of a cluster's API server about identity: whether a token holds, on which node
//! a pod runs, which life of a node is the present one, and with which keys tokens are signed.
//! Answers are read here and not by the client's own types: a TokenReview holds the token, and
//! an answer that cannot be read would be written to the log.

use std::path::PathBuf;
use std::time::Duration;

use kube::core::Status;
use kube::{Client, Config};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio_rustls::rustls;
use tonic::codegen::http::{Request, Uri};

/// An answer must come in this time.
const LIMIT: Duration = Duration::from_secs(5);

/// Where the API server is and who asks it.
#[derive(Debug, Clone)]
pub struct KubernetesSettings {
    /// Its address, https.
    pub url: String,
    /// Authorities that its certificate must be signed by, PEM. Read anew when it changes.
    pub ca: Option<PathBuf>,
    /// Our own token. Read anew as it changes.
    pub token_file: PathBuf,
}

/// Why there is no answer. Neither tokens nor answers are told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubernetesError {
    /// The settings cannot be used.
    #[error("api-server: {0}")]
    Settings(String),
    /// It cannot be reached, or does not answer in time.
    #[error("the API server cannot be reached")]
    Away,
    /// Our own token cannot be used.
    #[error("our own token for the API server cannot be used")]
    Credential,
    /// Its certificate is not by the authorities that are configured.
    #[error("the API server's certificate is not trusted")]
    Untrusted,
    /// It has no such object.
    #[error("the API server has no such object")]
    Missing,
    /// It answers otherwise.
    #[error("the API server answers {0}")]
    Refused(u16),
    /// Its answer has another form.
    #[error("the API server's answer cannot be read")]
    Unreadable,
}

/// One cluster's API server.
#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes").finish_non_exhaustive()
    }
}

/// Who a token belongs to, by a TokenReview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reviewed {
    /// The user.
    pub username: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// The pod that the token is bound to: name and UID.
    pub pod: Option<(String, String)>,
    /// The node that the pod runs on, where the cluster tells it: name and UID (KEP-4193).
    pub node: Option<(String, String)>,
}

#[derive(Deserialize)]
struct ReviewAnswer {
    status: ReviewStatus,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ReviewStatus {
    authenticated: bool,
    audiences: Vec<String>,
    user: ReviewUser,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ReviewUser {
    username: String,
    groups: Vec<String>,
    extra: std::collections::BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    uid: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Spec {
    #[serde(rename = "nodeName")]
    node_name: String,
}

impl Kubernetes {
    /// A client. It connects with the first question. Needs a runtime.
    pub fn new(settings: &KubernetesSettings) -> Result<Self, KubernetesError> {
        let wrong = |why: &str| KubernetesError::Settings(why.to_owned());
        let url: Uri = settings.url.parse().map_err(|_| wrong("is no address"))?;
        if url.scheme_str() != Some("https") {
            return Err(wrong("must begin with https://"));
        }
        let mut config = Config::new(url);
        config.root_cert_file.clone_from(&settings.ca);
        config.auth_info.token_file = Some(settings.token_file.display().to_string());
        config.connect_timeout = Some(LIMIT);
        // A question that fails is told at once; who asks comes again.
        config.default_retry = false;
        let client = Client::try_from(config).map_err(|_| wrong("its files cannot be used"))?;
        Ok(Self { client })
    }

    /// Who a token belongs to that was made for that audience; none when it does not hold.
    pub async fn review(
        &self,
        token: &str,
        audience: &str,
    ) -> Result<Option<Reviewed>, KubernetesError> {
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": { "token": token, "audiences": [audience] },
        });
        let request = Request::post("/apis/authentication.k8s.io/v1/tokenreviews")
            .header("content-type", "application/json")
            .body(body.to_string().into_bytes());
        let answer: ReviewAnswer = self.ask(request).await?;
        let ReviewStatus { authenticated, audiences, user } = answer.status;
        // A server that knows nothing of audiences answers without them: that is no yes.
        if !authenticated || !audiences.iter().any(|one| one == audience) {
            return Ok(None);
        }
        let extra = |key: &str| {
            let all = user.extra.get(&format!("authentication.kubernetes.io/{key}"));
            match all.map(Vec::as_slice) {
                Some([one]) => Some(one.clone()),
                _ => None,
            }
        };
        Ok(Some(Reviewed {
            pod: extra("pod-name").zip(extra("pod-uid")),
            node: extra("node-name").zip(extra("node-uid")),
            username: user.username,
            groups: user.groups,
        }))
    }

    /// On which node a pod of that UID runs; none when it is not there or not placed.
    pub async fn node_of_pod(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
    ) -> Result<Option<String>, KubernetesError> {
        let path = format!("/api/v1/namespaces/{}/pods/{}", plain(namespace)?, plain(name)?);
        let pod = self.object(&path).await?.filter(|pod| pod.metadata.uid == uid);
        Ok(pod.map(|pod| pod.spec.node_name).filter(|node| !node.is_empty()))
    }

    /// The UID of the present life of a node; none when there is none.
    pub async fn node_uid(&self, name: &str) -> Result<Option<String>, KubernetesError> {
        let node = self.object(&format!("/api/v1/nodes/{}", plain(name)?)).await?;
        Ok(node.map(|node| node.metadata.uid))
    }

    /// The keys with which tokens are signed, as text.
    pub async fn jwks(&self) -> Result<String, KubernetesError> {
        self.text(Request::get("/openid/v1/jwks").body(Vec::new())).await
    }

    async fn object(&self, path: &str) -> Result<Option<Object>, KubernetesError> {
        match self.ask(Request::get(path).body(Vec::new())).await {
            Ok(object) => Ok(Some(object)),
            Err(KubernetesError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: Result<Request<Vec<u8>>, tonic::codegen::http::Error>,
    ) -> Result<T, KubernetesError> {
        let text = self.text(request).await?;
        serde_json::from_str(&text).map_err(|_| KubernetesError::Unreadable)
    }

    async fn text(
        &self,
        request: Result<Request<Vec<u8>>, tonic::codegen::http::Error>,
    ) -> Result<String, KubernetesError> {
        let request = request.map_err(|_| KubernetesError::Unreadable)?;
        match tokio::time::timeout(LIMIT, self.client.request_text(request)).await {
            Ok(Ok(text)) => Ok(text),
            Ok(Err(kube::Error::Api(status))) if is_missing(&status) => {
                Err(KubernetesError::Missing)
            }
            Ok(Err(kube::Error::Api(status))) => Err(KubernetesError::Refused(status.code)),
            Ok(Err(error)) => Err(without_answer(&error)),
            Err(_) => Err(KubernetesError::Away),
        }
    }
}

/// Whether it is about an object that it is not there. A path that is not known to whoever
/// answers, such as a proxy, gives 404 too.
fn is_missing(status: &Status) -> bool {
    let kind = status.details.as_ref().map(|details| details.kind.as_str());
    status.code == 404 && status.reason == "NotFound" && matches!(kind, Some("nodes" | "pods"))
}

/// Why nothing was answered: what is ours to mend is not taken for a server that is away.
fn without_answer(error: &kube::Error) -> KubernetesError {
    if is_of_credential(error) {
        return KubernetesError::Credential;
    }
    match causes(error).any(is_of_tls) {
        true => KubernetesError::Untrusted,
        false => KubernetesError::Away,
    }
}

/// An error, and what it comes from.
fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |one| one.source())
}

/// Whether what makes the credential that we show, or what it made, is to blame.
pub(crate) fn is_of_credential(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|one| {
        let of_kube = one.downcast_ref::<kube::Error>();
        one.is::<kube::client::AuthError>() || matches!(of_kube, Some(kube::Error::Auth(_)))
    })
}

/// Whether TLS was refused, by us or by whoever answers. What stands in an error of I/O, and
/// in one that stands in it, is not among its sources.
fn is_of_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || inner.is_some_and(|inner| is_of_tls(inner))
}

/// A name as it may stand in a path.
fn plain(name: &str) -> Result<&str, KubernetesError> {
    // Where what the API server itself told is no name, it is not asked further.
    if nodeward_proto::identity::is_name(name) {
        Ok(name)
    } else {
        Err(KubernetesError::Unreadable)
    }
}
