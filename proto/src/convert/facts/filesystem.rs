//! `filesystem` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, required, text};
use crate::v1;
use crate::v1::filesystem::place::Size;
use crate::v1::filesystem::{BlockMount, Place, Role};

/// Limits of the lists: a machine has some ten devices.
const MOUNTS: usize = 1024;
const PLACES: usize = 16;

impl From<&domain::Filesystem> for v1::Filesystem {
    fn from(filesystem: &domain::Filesystem) -> Self {
        let mount = |mount: &domain::BlockMount| BlockMount {
            device: mount.device.clone(),
            source: mount.source.clone(),
            r#type: mount.kind.clone(),
            mount_point: mount.mount_point.clone(),
            went_read_only: mount.went_read_only,
        };
        let place = |place: &domain::FilesystemPlace| Place {
            role: role_out(place.role).into(),
            path: place.path.clone(),
            device: place.device.clone(),
            mount_point: place.mount_point.clone(),
            size: Some(match &place.size {
                domain::FilesystemSize::Bytes(total) => Size::TotalBytes(*total),
                domain::FilesystemSize::Unseen(why) => Size::Unseen(why.clone()),
            }),
        };
        Self {
            source: filesystem.source.clone(),
            mounts: filesystem.mounts.iter().map(mount).collect(),
            untold: filesystem.untold,
            places: filesystem.places.iter().map(place).collect(),
        }
    }
}

impl TryFrom<v1::Filesystem> for domain::Filesystem {
    type Error = Invalid;

    fn try_from(filesystem: v1::Filesystem) -> Result<Self, Invalid> {
        Ok(Self {
            source: text(filesystem.source),
            mounts: list("mounts", filesystem.mounts, MOUNTS, |mount| {
                Ok(domain::BlockMount {
                    device: name("device", mount.device)?,
                    source: text(mount.source),
                    kind: text(mount.r#type),
                    mount_point: name("mount_point", mount.mount_point)?,
                    went_read_only: mount.went_read_only,
                })
            })?,
            untold: filesystem.untold,
            places: list("places", filesystem.places, PLACES, |place| {
                Ok(domain::FilesystemPlace {
                    role: role_in(place.role)?,
                    path: name("path", place.path)?,
                    device: name("device", place.device)?,
                    mount_point: name("mount_point", place.mount_point)?,
                    size: match required("size", place.size)? {
                        Size::TotalBytes(total) => domain::FilesystemSize::Bytes(total),
                        Size::Unseen(why) => domain::FilesystemSize::Unseen(text(why)),
                    },
                })
            })?,
        })
    }
}

const fn role_out(role: domain::PlaceRole) -> Role {
    match role {
        domain::PlaceRole::Root => Role::Root,
        domain::PlaceRole::Kubelet => Role::Kubelet,
        domain::PlaceRole::Images => Role::Images,
        domain::PlaceRole::Logs => Role::Logs,
    }
}

fn role_in(role: i32) -> Result<domain::PlaceRole, Invalid> {
    match Role::try_from(role) {
        Ok(Role::Root) => Ok(domain::PlaceRole::Root),
        Ok(Role::Kubelet) => Ok(domain::PlaceRole::Kubelet),
        Ok(Role::Images) => Ok(domain::PlaceRole::Images),
        Ok(Role::Logs) => Ok(domain::PlaceRole::Logs),
        Ok(Role::Unspecified) | Err(_) => {
            Err(Invalid::new("role", format!("{role} is not a role known here")))
        }
    }
}
