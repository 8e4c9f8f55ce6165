//! Which images run in the namespace `kube-system`: of the CRI v1 `ListContainers`, asked for
//! containers of that namespace alone, and `ListImages`. One list of images is one call and
//! few bytes; asking for each image by itself would be as many calls as there are images.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nodeward_domain::facts::{CriAnswer, ImageNames, ManagedContainer, ManagedImage};
use tonic::transport::Channel;

use super::super::call::{Deadline, told};
use super::api::image_service_client::ImageServiceClient;
use super::api::runtime_service_client::RuntimeServiceClient;
use super::{LIST_LIMIT_BYTES, api, connection};
use crate::host::HostRoot;

/// The label by which a kubelet names the namespace of a container's pod.
const NAMESPACE_LABEL: &str = "io.kubernetes.pod.namespace";

const NAMESPACE: &str = "kube-system";

/// So many containers may run there, and so many names may an image have: more than on any
/// node, and no more than an aggregator takes.
const CONTAINERS: usize = 1000;
const NAMES: usize = 256;

/// Asks the runtime. `limit` holds for both calls together, which run side by side. Without
/// an answer to both there is no list, only the reason.
pub(in crate::probe) fn ask(
    runtime: &tokio::runtime::Handle,
    root: &HostRoot,
    socket: &str,
    limit: Duration,
) -> Result<Vec<ManagedImage>, CriAnswer> {
    let handle = connection::find(root, socket)?;
    runtime.block_on(async {
        let deadline = Deadline::after(limit);
        let stream = connection::connect(handle).await?;
        list(&connection::channel(stream).await?, deadline).await
    })
}

async fn list(channel: &Channel, deadline: Deadline) -> Result<Vec<ManagedImage>, CriAnswer> {
    let mut containers =
        RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(LIST_LIMIT_BYTES);
    let mut images =
        ImageServiceClient::new(channel.clone()).max_decoding_message_size(LIST_LIMIT_BYTES);
    let (containers, images) = tokio::join!(
        deadline.wait(containers.list_containers(running())),
        deadline.wait(images.list_images(api::ListImagesRequest {})),
    );
    let containers = containers.map_err(|unanswered| unanswered.to_answer("ListContainers"))?;
    let images = images.map_err(|unanswered| unanswered.to_answer("ListImages"))?;
    joined(&containers.containers, &images.images)
}

/// Only those that run, of that namespace.
fn running() -> api::ListContainersRequest {
    let state = api::ContainerStateValue { state: api::ContainerState::ContainerRunning.into() };
    let label = (NAMESPACE_LABEL.to_owned(), NAMESPACE.to_owned());
    api::ListContainersRequest {
        filter: Some(api::ContainerFilter {
            state: Some(state),
            label_selector: [label].into_iter().collect(),
        }),
    }
}

/// The containers by their images, both sorted.
fn joined(
    containers: &[api::Container],
    images: &[api::Image],
) -> Result<Vec<ManagedImage>, CriAnswer> {
    let refused = |call: &str, why: String| CriAnswer::Failed { call: call.to_owned(), why };
    if containers.len() > CONTAINERS {
        let why = format!("more than {CONTAINERS} containers run in {NAMESPACE}");
        return Err(refused("ListContainers", why));
    }
    let mut by_id: BTreeMap<String, (Option<&api::Image>, BTreeSet<ManagedContainer>)> =
        BTreeMap::new();
    for container in containers {
        let image = images.iter().find(|image| is_of(image, container));
        let id = match (image, container.image_id.as_str()) {
            (Some(image), _) => &image.id,
            (None, "") => &container.image_ref,
            (None, id) => id,
        };
        let (_, of_it) = by_id.entry(told(id)).or_insert_with(|| (image, BTreeSet::new()));
        of_it.insert(seen(container));
    }
    let image = |(id, (image, containers)): (_, (Option<&api::Image>, BTreeSet<_>))| {
        let names = image.map(names).transpose().map_err(|why| refused("ListImages", why))?;
        Ok(ManagedImage { id, names, containers: containers.into_iter().collect() })
    };
    by_id.into_iter().map(image).collect()
}

/// Whether a container runs that image. A runtime of before Kubernetes 1.30 tells the id in
/// `image_ref`, or a digest there.
fn is_of(image: &api::Image, container: &api::Container) -> bool {
    match container.image_id.as_str() {
        "" => image.id == container.image_ref || image.repo_digests.contains(&container.image_ref),
        id => image.id == id,
    }
}

fn seen(container: &api::Container) -> ManagedContainer {
    let spec = container.image.clone().unwrap_or_default();
    let name = container.metadata.as_ref().map(|metadata| told(&metadata.name));
    ManagedContainer {
        name: name.unwrap_or_default(),
        image: told(&spec.image),
        user_specified_image: told(&spec.user_specified_image),
        image_ref: told(&container.image_ref),
    }
}

fn names(image: &api::Image) -> Result<ImageNames, String> {
    if image.repo_tags.len() > NAMES || image.repo_digests.len() > NAMES {
        return Err(format!("an image has more than {NAMES} names"));
    }
    let sorted = |names: &[String]| {
        let names: BTreeSet<String> = names.iter().map(|name| told(name)).collect();
        names.into_iter().collect()
    };
    Ok(ImageNames { tags: sorted(&image.repo_tags), digests: sorted(&image.repo_digests) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, image_ref: &str, image_id: &str) -> api::Container {
        api::Container {
            metadata: Some(api::ContainerMetadata { name: name.to_owned() }),
            image: Some(api::ImageSpec {
                image: "sha256:a".to_owned(),
                user_specified_image: format!("registry/{name}:1"),
            }),
            image_ref: image_ref.to_owned(),
            image_id: image_id.to_owned(),
        }
    }

    fn image(id: &str, tags: &[&str], digests: &[&str]) -> api::Image {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        api::Image { id: id.to_owned(), repo_tags: texts(tags), repo_digests: texts(digests) }
    }

    #[test]
    fn containers_are_told_by_their_images_each_once() {
        let images = [
            image("sha256:b", &["r/b:2", "r/b:1"], &["r/b@sha256:bb"]),
            image("sha256:a", &["r/a:1"], &["r/a@sha256:aa"]),
            image("sha256:unused", &["r/c:1"], &[]),
        ];
        // By its id, as containerd has it, by a digest, and by a field of its own.
        let containers = [
            container("z", "sha256:a", ""),
            container("y", "r/b@sha256:bb", ""),
            container("x", "r/other", "sha256:b"),
            container("z", "sha256:a", ""),
            container("w", "sha256:gone", ""),
        ];
        let told = joined(&containers, &images).expect("few enough");
        let short: Vec<String> = told
            .iter()
            .map(|image| {
                let tags = image.names.as_ref().map(|names| names.tags.join(" "));
                let names: Vec<&str> = image.containers.iter().map(|one| &*one.name).collect();
                format!("{} {tags:?} {names:?}", image.id)
            })
            .collect();
        assert_eq!(
            short,
            [
                r#"sha256:a Some("r/a:1") ["z"]"#,
                r#"sha256:b Some("r/b:1 r/b:2") ["x", "y"]"#,
                r#"sha256:gone None ["w"]"#,
            ]
        );
        assert_eq!(told[0].containers[0].user_specified_image, "registry/z:1");
        assert_eq!(joined(&[], &images), Ok(Vec::new()));
    }

    #[test]
    fn more_than_are_taken_are_no_list() {
        let many = vec![container("a", "sha256:a", ""); CONTAINERS + 1];
        let refused = joined(&many, &[]).expect_err("too many");
        assert!(refused.to_string().contains("more than 1000"), "{refused}");
        let tags = vec!["r/a:1"; NAMES + 1];
        let of_it = [container("a", "sha256:a", "")];
        let refused = joined(&of_it, &[image("sha256:a", &tags, &[])]).expect_err("too many");
        assert!(refused.to_string().contains("ListImages"), "{refused}");
    }

    #[test]
    fn only_running_containers_of_the_namespace_are_asked_for() {
        let filter = running().filter.expect("a filter");
        assert_eq!(filter.state.map(|state| state.state), Some(1));
        assert_eq!(filter.label_selector[NAMESPACE_LABEL], "kube-system");
    }
}
