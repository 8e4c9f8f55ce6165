//! Facts of `managed_images`: the container images that run in the namespace `kube-system`,
//! where a provider of managed Kubernetes runs its own components. Source: the Container
//! Runtime Interface, v1.

use serde::{Deserialize, Serialize};

use super::Headline;

/// The images of running containers in the namespace `kube-system`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManagedImages {
    /// By id, each once. None of them when no container runs there.
    pub images: Vec<ManagedImage>,
}

/// One image, and the containers that run it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedImage {
    /// Its id on the node: of containerd the digest of its configuration.
    pub id: String,
    /// By what the runtime knows it; none where it is no longer listed, because its last
    /// name was removed while a container runs it.
    pub names: Option<ImageNames>,
    /// The containers that run it, sorted. Those that are alike stand here once.
    pub containers: Vec<ManagedContainer>,
}

/// By what a runtime knows an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageNames {
    /// With tags, such as `mcr.microsoft.com/oss/v2/kubernetes/coredns:v1.12.4-3`, sorted.
    pub tags: Vec<String>,
    /// With the digests of manifests, `REPOSITORY@sha256:…`, sorted.
    pub digests: Vec<String>,
}

/// A container, as far as it tells its image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedContainer {
    /// Its name in the pod.
    pub name: String,
    /// The image that the kubelet asked the runtime for: often the id.
    pub image: String,
    /// The image that the pod's specification names; empty where the kubelet does not say
    /// it, as before Kubernetes 1.28.
    pub user_specified_image: String,
    /// The runtime's own reference to the image.
    pub image_ref: String,
}

impl Headline for ManagedImages {
    fn headline(&self) -> String {
        match self.images.len() {
            0 => "no container runs in kube-system".to_owned(),
            1 => "1 image runs in kube-system".to_owned(),
            count => format!("{count} images run in kube-system"),
        }
    }
}
