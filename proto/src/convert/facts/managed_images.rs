//! `managed_images` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, text, texts};
use crate::v1;
use crate::v1::managed_images::{Container, Image, Names};

/// Limits of the lists: what an agent reads at the most.
const IMAGES: usize = 1000;
const CONTAINERS: usize = 1000;
const NAMES: usize = 256;

impl From<&domain::ManagedImages> for v1::ManagedImages {
    fn from(images: &domain::ManagedImages) -> Self {
        Self { images: images.images.iter().map(Into::into).collect() }
    }
}

impl TryFrom<v1::ManagedImages> for domain::ManagedImages {
    type Error = Invalid;

    fn try_from(images: v1::ManagedImages) -> Result<Self, Invalid> {
        Ok(Self { images: list("images", images.images, IMAGES, TryInto::try_into)? })
    }
}

impl From<&domain::ManagedImage> for Image {
    fn from(image: &domain::ManagedImage) -> Self {
        let names = |names: &domain::ImageNames| Names {
            tags: names.tags.clone(),
            digests: names.digests.clone(),
        };
        let container = |container: &domain::ManagedContainer| Container {
            name: container.name.clone(),
            image: container.image.clone(),
            user_specified_image: container.user_specified_image.clone(),
            image_ref: container.image_ref.clone(),
        };
        Self {
            id: image.id.clone(),
            names: image.names.as_ref().map(names),
            containers: image.containers.iter().map(container).collect(),
        }
    }
}

impl TryFrom<Image> for domain::ManagedImage {
    type Error = Invalid;

    fn try_from(image: Image) -> Result<Self, Invalid> {
        let names = |names: Names| {
            Ok::<_, Invalid>(domain::ImageNames {
                tags: texts("names.tags", names.tags, NAMES)?,
                digests: texts("names.digests", names.digests, NAMES)?,
            })
        };
        Ok(Self {
            id: name("id", image.id)?,
            names: image.names.map(names).transpose()?,
            containers: list("containers", image.containers, CONTAINERS, |container| {
                Ok(domain::ManagedContainer {
                    name: text(container.name),
                    image: text(container.image),
                    user_specified_image: text(container.user_specified_image),
                    image_ref: text(container.image_ref),
                })
            })?,
        })
    }
}
