//! Facts of `filesystem`: the file systems of the node's block devices, and on which of
//! them the places lie that fill. How full they are is measured. Source:
//! proc_pid_mountinfo(5).

use serde::Serialize;

use super::Headline;

/// The file systems of a node, as far as they matter to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filesystem {
    /// The file that they were read from.
    pub source: String,
    /// File systems of block devices, by device: each once, however often it is mounted.
    pub mounts: Vec<BlockMount>,
    /// So many more there are, of which none is broken.
    pub untold: u32,
    /// The places that fill, by role. What is not there is not among them.
    pub places: Vec<FilesystemPlace>,
}

/// The file system of a block device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct BlockMount {
    /// Numbers of the device, such as `8:1`.
    pub device: String,
    /// What is mounted, such as `/dev/sda1`.
    pub source: String,
    /// Its type, such as `ext4`.
    pub kind: String,
    /// Where: of several mounts the first one, or the first that is told to be writable while
    /// the file system is not.
    pub mount_point: String,
    /// The file system is read-only and the mount is not: nobody asked for that.
    pub went_read_only: bool,
}

/// A place that fills.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilesystemPlace {
    /// What lies there.
    pub role: PlaceRole,
    /// The folder.
    pub path: String,
    /// Numbers of the device of its file system.
    pub device: String,
    /// Where that is mounted.
    pub mount_point: String,
    /// How big it is, or why that was not seen.
    pub size: FilesystemSize,
}

/// What lies in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceRole {
    /// The system.
    Root,
    /// The kubelet's folder: volumes and logs of pods.
    Kubelet,
    /// The container runtime's folder: images, and what containers write.
    Images,
    /// Logs of the system and of containers.
    Logs,
}

/// How big a file system is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FilesystemSize {
    /// So many bytes in all.
    Bytes(u64),
    /// It was not seen, for this reason.
    Unseen(String),
}

impl PlaceRole {
    /// Every role, in their order.
    pub const ALL: [Self; 4] = [Self::Root, Self::Kubelet, Self::Images, Self::Logs];
}

impl Filesystem {
    /// The place of that role, if it is there.
    #[must_use]
    pub fn place(&self, role: PlaceRole) -> Option<&FilesystemPlace> {
        self.places.iter().find(|place| place.role == role)
    }

    /// The role under which the file system of a place is measured: that of the first place on
    /// it whose size was seen.
    #[must_use]
    pub fn measured_as(&self, place: &FilesystemPlace) -> PlaceRole {
        let mut shared = self.places.iter().filter(|other| other.device == place.device);
        let seen = shared.find(|other| matches!(other.size, FilesystemSize::Bytes(_)));
        seen.map_or(place.role, |other| other.role)
    }
}

impl Headline for Filesystem {
    fn headline(&self) -> String {
        let devices = match self.mounts.len() {
            1 => "1 file system on a device".to_owned(),
            count => format!("{count} file systems on devices"),
        };
        let broken = self.mounts.iter().filter(|mount| mount.went_read_only).count();
        match broken {
            0 => devices,
            broken => format!("{devices}, {broken} went read-only"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_on_one_file_system_are_measured_once() {
        let place = |role, device: &str, size| FilesystemPlace {
            role,
            path: "/x".to_owned(),
            device: device.to_owned(),
            mount_point: "/".to_owned(),
            size,
        };
        let unseen = || FilesystemSize::Unseen("EACCES".to_owned());
        let filesystem = Filesystem {
            source: String::new(),
            mounts: Vec::new(),
            untold: 0,
            places: vec![
                place(PlaceRole::Root, "8:1", unseen()),
                place(PlaceRole::Kubelet, "8:1", FilesystemSize::Bytes(1)),
                place(PlaceRole::Images, "8:16", unseen()),
                place(PlaceRole::Logs, "8:1", FilesystemSize::Bytes(1)),
            ],
        };
        let measured = filesystem.places.iter().map(|place| filesystem.measured_as(place));
        assert_eq!(
            measured.collect::<Vec<_>>(),
            [PlaceRole::Kubelet, PlaceRole::Kubelet, PlaceRole::Images, PlaceRole::Kubelet]
        );
    }
}
