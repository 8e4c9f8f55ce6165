//! A pod on a real containerd, made over CRI as a kubelet makes it: images of a static
//! busybox, a sandbox on the node's own network, so that no network plugin is needed, and
//! a container in it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tonic::transport::Channel;

use crate::containerd::{CRI_NAMESPACE, Containerd};
use crate::programs::installed;
use api::runtime_service_client::RuntimeServiceClient;

/// Generated messages and client of the calls that make and end pods.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod api {
    include!("gen/runtime.v1.rs");
}

/// The image of the process that holds a sandbox's namespaces.
pub(crate) const PAUSE_IMAGE: &str = "localhost/nodeward/pause:test";

/// The image of the container.
pub const BUSYBOX_IMAGE: &str = "localhost/nodeward/busybox:test";

/// Waits longer than any test lasts, and ends at once when it is killed.
const SLEEP: [&str; 3] = ["/bin/busybox", "sleep", "600"];

/// A pod with one container, both running.
#[derive(Debug)]
pub struct Pod {
    client: RuntimeServiceClient<Channel>,
    sandbox: String,
    container: String,
}

impl Pod {
    /// Makes one in a namespace of tests.
    ///
    /// # Panics
    /// When containerd does not take one of the calls.
    pub async fn run(containerd: &Containerd) -> Self {
        Self::run_in(containerd, "test").await
    }

    /// Makes one in that namespace of Kubernetes.
    ///
    /// # Panics
    /// When containerd does not take one of the calls.
    pub async fn run_in(containerd: &Containerd, namespace: &str) -> Self {
        for image in [PAUSE_IMAGE, BUSYBOX_IMAGE] {
            import(containerd, image);
        }
        let mut client = client(containerd).await;
        let config = sandbox_config(&containerd.name(), namespace);
        let asked = api::RunPodSandboxRequest { config: Some(config.clone()) };
        let sandbox = client.run_pod_sandbox(asked).await.expect("a sandbox").into_inner();
        let sandbox = sandbox.pod_sandbox_id;
        let asked = api::CreateContainerRequest {
            pod_sandbox_id: sandbox.clone(),
            config: Some(container_config(namespace)),
            sandbox_config: Some(config),
        };
        let container = client.create_container(asked).await.expect("a container").into_inner();
        let container = container.container_id;
        let asked = api::StartContainerRequest { container_id: container.clone() };
        client.start_container(asked).await.expect("it starts");
        Self { client, sandbox, container }
    }

    /// Whether its container runs, as the containerd that now listens says.
    ///
    /// # Panics
    /// When it cannot be asked.
    pub async fn runs(&mut self, containerd: &Containerd) -> bool {
        // The connection of before a restart is gone.
        self.client = client(containerd).await;
        let asked = api::ContainerStatusRequest { container_id: self.container.clone() };
        let status = self.client.container_status(asked).await.expect("its status").into_inner();
        status.status.expect("a status").state() == api::ContainerState::ContainerRunning
    }

    /// Stops it, as at the end of its life; it is still listed.
    ///
    /// # Panics
    /// When it cannot be stopped.
    pub async fn stop(&mut self) {
        let asked = api::StopPodSandboxRequest { pod_sandbox_id: self.sandbox.clone() };
        self.client.stop_pod_sandbox(asked).await.expect("it stops");
    }

    /// Removes it, with what it has left on disk.
    ///
    /// # Panics
    /// When it cannot be removed.
    pub async fn remove(mut self) {
        let asked = api::RemovePodSandboxRequest { pod_sandbox_id: self.sandbox.clone() };
        self.client.remove_pod_sandbox(asked).await.expect("it goes");
    }
}

async fn client(containerd: &Containerd) -> RuntimeServiceClient<Channel> {
    let address = format!("unix:{}", containerd.socket().display());
    let endpoint = tonic::transport::Endpoint::from_shared(address).expect("an address");
    RuntimeServiceClient::new(endpoint.connect().await.expect("it listens"))
}

fn sandbox_config(name: &str, namespace: &str) -> api::PodSandboxConfig {
    let options = api::NamespaceOption { network: api::NamespaceMode::Node.into() };
    let context = api::LinuxSandboxSecurityContext { namespace_options: Some(options) };
    api::PodSandboxConfig {
        metadata: Some(api::PodSandboxMetadata {
            name: "pod".to_owned(),
            uid: format!("{name}-{namespace}"),
            namespace: namespace.to_owned(),
        }),
        labels: labels(namespace),
        linux: Some(api::LinuxPodSandboxConfig {
            // Its control groups then lie at the top, and go with it.
            cgroup_parent: "/".to_owned(),
            security_context: Some(context),
        }),
    }
}

/// What a kubelet says of a pod.
fn labels(namespace: &str) -> HashMap<String, String> {
    HashMap::from([("io.kubernetes.pod.namespace".to_owned(), namespace.to_owned())])
}

fn container_config(namespace: &str) -> api::ContainerConfig {
    let options = api::NamespaceOption { network: api::NamespaceMode::Node.into() };
    let context = api::LinuxContainerSecurityContext { namespace_options: Some(options) };
    api::ContainerConfig {
        metadata: Some(api::ContainerMetadata { name: "busybox".to_owned() }),
        image: Some(api::ImageSpec { image: BUSYBOX_IMAGE.to_owned() }),
        command: SLEEP.map(str::to_owned).to_vec(),
        labels: labels(namespace),
        linux: Some(api::LinuxContainerConfig { security_context: Some(context) }),
    }
}

/// Gives containerd an image of a static busybox under that name.
fn import(containerd: &Containerd, name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let archive = archive(folder.path(), name);
    // Once more by its digest, as an image that was pulled is known.
    let (repository, _) = name.rsplit_once(':').expect("a tag");
    let mut command = containerd.ctr(&["--namespace", CRI_NAMESPACE, "image", "import"]);
    run(command.args(["--digests", "--base-name", repository]).arg(archive));
}

/// An OCI archive of one layer, in that folder.
fn archive(folder: &Path, name: &str) -> PathBuf {
    let root = folder.join("root");
    std::fs::create_dir_all(root.join("bin")).expect("made");
    std::fs::copy(installed("busybox"), root.join("bin/busybox")).expect("copied");
    let layer = folder.join("layer.tar");
    pack(&root, &layer);

    let image = folder.join("image");
    std::fs::create_dir_all(image.join("blobs/sha256")).expect("made");
    let blob = |bytes: &[u8]| {
        let digest = hex(&Sha256::digest(bytes));
        std::fs::write(image.join("blobs/sha256").join(&digest), bytes).expect("written");
        (format!("sha256:{digest}"), bytes.len())
    };
    let (layer, layer_bytes) = blob(&std::fs::read(&layer).expect("readable"));
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": machine,
        "os": "linux",
        // So that no two of them are one image.
        "config": { "Entrypoint": SLEEP, "Labels": { "name": name } },
        "rootfs": { "type": "layers", "diff_ids": [layer] },
    });
    let (config, config_bytes) = blob(config.to_string().as_bytes());
    let oci = "application/vnd.oci.image";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": format!("{oci}.manifest.v1+json"),
        "config": {
            "mediaType": format!("{oci}.config.v1+json"), "digest": config, "size": config_bytes,
        },
        "layers": [{
            "mediaType": format!("{oci}.layer.v1.tar"), "digest": layer, "size": layer_bytes,
        }],
    });
    let (manifest, manifest_bytes) = blob(manifest.to_string().as_bytes());
    let index = json!({
        "schemaVersion": 2,
        "manifests": [{
            "mediaType": format!("{oci}.manifest.v1+json"),
            "digest": manifest,
            "size": manifest_bytes,
            "annotations": { "io.containerd.image.name": name },
        }],
    });
    let write = |name: &str, text: String| std::fs::write(image.join(name), text).expect("written");
    write("index.json", index.to_string());
    write("oci-layout", json!({ "imageLayoutVersion": "1.0.0" }).to_string());
    let archive = folder.join("image.tar");
    pack(&image, &archive);
    archive
}

/// Packs what lies in a folder.
fn pack(folder: &Path, archive: &Path) {
    let mut command = Command::new(installed("tar"));
    run(command.arg("--create").arg("--file").arg(archive).arg("--directory").arg(folder).arg("."));
}

fn run(command: &mut Command) {
    let output = command.output().expect("it is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
