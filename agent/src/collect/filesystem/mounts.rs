//! The table of mounts, proc_pid_mountinfo(5). A node with a hundred pods has a thousand
//! lines of overlays and memory: they are counted as they are read, and nothing of them is
//! kept.

use std::collections::BTreeMap;

use nodeward_domain::facts::BlockMount;

use crate::host::{HostError, HostRoot};

/// Room for some hundred thousand mounts. A line of an overlay names every layer of its image.
const LIMITS_BYTES: (u64, u64) = (64 * 1024 * 1024, 64 * 1024);

/// So many devices are told.
const DEVICES: usize = 256;

/// So long are texts kept.
const TEXT_LIMIT_BYTES: usize = 1024;

/// Types that nobody can write to: of these the file system is read-only by nature.
const READ_ONLY_TYPES: [&str; 5] = ["cramfs", "erofs", "iso9660", "romfs", "squashfs"];

/// Numbers of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Device {
    major: u64,
    minor: u64,
}

impl Device {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }

    /// Whether stat(2) names it so. btrfs and overlays show a stat(2) another number than the
    /// table, of the same kind: one that belongs to no device.
    pub(super) const fn is(self, (major, minor): (u64, u64)) -> bool {
        (self.major == major && self.minor == minor) || (self.major == 0 && major == 0)
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// The mount that a path lies under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Under {
    pub(super) device: Device,
    pub(super) point: String,
}

/// What was read of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mounts {
    /// Those of block devices, by device.
    pub(super) devices: Vec<BlockMount>,
    /// So many more there are, of which none is broken.
    pub(super) untold: u32,
    /// How many mounts there are in all.
    pub(super) count: u64,
    /// What each of the paths lies under, in their order.
    pub(super) under: Vec<Option<Under>>,
}

pub(super) fn read(root: &HostRoot, table: &str, paths: &[&str]) -> Result<Mounts, HostError> {
    let mut by_device: BTreeMap<Device, BlockMount> = BTreeMap::new();
    let mut under: Vec<Option<Under>> = vec![None; paths.len()];
    let (mut count, mut dropped) = (0, 0_u32);
    root.each_line(table, LIMITS_BYTES, |line| {
        let mount = Mount::parse(line).ok_or("is no mount")?;
        count += 1;
        let point = unescaped(mount.point);
        for (path, under) in paths.iter().zip(&mut under) {
            // A later one lies over the former.
            let is_nearer = under.as_ref().is_none_or(|under| under.point.len() <= point.len());
            if is_nearer && is_below(path, &point) {
                *under = Some(Under { device: mount.device, point: point.clone() });
            }
        }
        if !mount.is_of_block_device() {
            return Ok(());
        }
        let went_read_only = mount.went_read_only();
        // What is broken is told even of the last one.
        let has_room = by_device.len() < if went_read_only { 2 * DEVICES } else { DEVICES };
        match by_device.get_mut(&mount.device) {
            Some(told) if told.went_read_only || !went_read_only => {}
            Some(told) => *told = mount.told(point),
            None if has_room => {
                by_device.insert(mount.device, mount.told(point));
            }
            None => dropped = dropped.saturating_add(1),
        }
        Ok(())
    })?;
    if count == 0 {
        let why = "is empty".to_owned();
        return Err(HostError::Malformed { path: table.to_owned(), why });
    }
    Ok(Mounts { devices: by_device.into_values().collect(), untold: dropped, count, under })
}

/// One line of the table.
struct Mount<'a> {
    device: Device,
    point: &'a str,
    options: &'a str,
    kind: &'a str,
    source: &'a str,
    super_options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        // Blanks in names are written as numbers, so that this stands there once.
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(2);
        let device = Device::parse(mount.next()?)?;
        let (point, options) = (mount.nth(1)?, mount.next()?);
        let mut filesystem = filesystem.splitn(3, ' ');
        let (kind, source) = (filesystem.next()?, filesystem.next()?);
        let super_options = filesystem.next()?;
        Some(Self { device, point, options, kind, source, super_options })
    }

    fn is_of_block_device(&self) -> bool {
        // btrfs has numbers of no device.
        let is_named = self.source.starts_with("/dev/") && !self.kind.starts_with("fuse");
        self.device.major != 0 || is_named
    }

    /// Somebody meant it to be written to, and it is not.
    fn went_read_only(&self) -> bool {
        has(self.options, "rw")
            && has(self.super_options, "ro")
            && !READ_ONLY_TYPES.contains(&self.kind)
    }

    fn told(&self, point: String) -> BlockMount {
        BlockMount {
            device: self.device.to_string(),
            source: cut(unescaped(self.source)),
            kind: cut(self.kind.to_owned()),
            went_read_only: self.went_read_only(),
            mount_point: cut(point),
        }
    }
}

fn has(options: &str, wanted: &str) -> bool {
    options.split(',').any(|option| option == wanted)
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_LIMIT_BYTES));
    text
}

fn is_below(path: &str, point: &str) -> bool {
    match path.strip_prefix(point) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || point == "/",
        None => false,
    }
}

/// A name in which the kernel has written blanks, line ends and backslashes as three digits
/// in eights.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        rest = match escaped {
            Some(byte) => {
                bytes.push(byte);
                &after[3..]
            }
            None => {
                bytes.push(*first);
                after
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "/proc/1/mountinfo";

    fn seen(lines: &str, paths: &[&str]) -> Result<Mounts, HostError> {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("proc/1")).expect("made");
        std::fs::write(root.path().join("proc/1/mountinfo"), lines).expect("written");
        read(&HostRoot::open(root.path()).expect("a directory"), TABLE, paths)
    }

    const NODE: &str = "\
        22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw\n\
        27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw,discard,errors=remount-ro\n\
        29 27 8:15 / /boot/efi rw,relatime shared:33 - vfat /dev/sda15 rw,fmask=0077\n\
        31 27 7:0 / /snap/core/1 rw,nodev,relatime shared:7 - squashfs /dev/loop0 ro\n\
        40 27 0:45 / /var/lib/containerd/fs rw,relatime shared:9 - overlay overlay ro,lowerdir=/a\n\
        55 27 8:16 / /mnt rw,relatime shared:40 - ext4 /dev/sdb1 ro\n\
        56 55 8:16 /x /var/lib/kubelet/pods/u\\040v/volume ro,relatime shared:40 - ext4 /dev/sdb1 ro\n\
        57 27 0:52 / /data rw shared:41 - btrfs /dev/sdc rw,subvolid=5\n\
        58 27 0:60 / /blob rw shared:42 - fuse.blobfuse2 /dev/fuse ro\n\
        59 27 0:61 / /var/log rw shared:43 - tmpfs tmpfs rw\n";

    #[test]
    fn block_devices_are_told_once_and_all_else_is_counted() {
        let mounts = seen(NODE, &[]).expect("a table");
        assert_eq!((mounts.count, mounts.untold), (10, 0));
        let told: Vec<(&str, &str, bool)> = mounts
            .devices
            .iter()
            .map(|one| (one.device.as_str(), one.mount_point.as_str(), one.went_read_only))
            .collect();
        assert_eq!(
            told,
            [
                ("0:52", "/data", false),
                ("7:0", "/snap/core/1", false),
                ("8:1", "/", false),
                ("8:15", "/boot/efi", false),
                // Its other mount was asked to be read-only.
                ("8:16", "/mnt", true),
            ]
        );
    }

    #[test]
    fn a_place_lies_under_the_nearest_and_latest_mount() {
        let over = "60 27 8:1 /l /var/log rw shared:44 - ext4 /dev/root rw\n";
        let paths = ["/", "/var/log", "/var/lib/kubelet", "/mnt/aks", "/mnt2"];
        let mounts = seen(&format!("{NODE}{over}"), &paths).expect("a table");
        let under: Vec<String> = mounts
            .under
            .into_iter()
            .map(|under| {
                under.map_or_else(String::new, |one| format!("{} {}", one.device, one.point))
            })
            .collect();
        assert_eq!(under, ["8:1 /", "8:1 /var/log", "8:1 /", "8:16 /mnt", "8:1 /"]);
    }

    #[test]
    fn a_mount_that_is_broken_is_told_before_one_that_is_not() {
        let lines = "1 0 8:1 / /a ro - ext4 /dev/sda1 ro\n2 0 8:1 / /b rw - ext4 /dev/sda1 ro\n";
        let mounts = seen(lines, &[]).expect("a table");
        assert_eq!(mounts.devices.len(), 1);
        assert_eq!(
            (&*mounts.devices[0].mount_point, mounts.devices[0].went_read_only),
            ("/b", true)
        );
        let many: String = (0..DEVICES as u64 + 4)
            .map(|n| format!("{n} 0 8:{n} / /m{n} rw - ext4 /dev/sd{n} rw\n"))
            .collect();
        let mounts =
            seen(&format!("{many}9 0 9:9 / /x rw - ext4 /dev/x ro\n"), &[]).expect("a table");
        assert_eq!((mounts.devices.len(), mounts.untold), (DEVICES + 1, 4));
        assert!(mounts.devices.iter().any(|one| one.went_read_only));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for lines in ["", "27 1 8:1 / / rw - ext4", "27 1 8:1 / / rw ext4 /dev/root rw\n", "x\n"] {
            assert!(matches!(seen(lines, &[]), Err(HostError::Malformed { .. })), "{lines:?}");
        }
    }

    #[test]
    fn names_are_written_with_numbers_for_blanks() {
        for (text, expected) in [
            ("/a\\040b", "/a b"),
            ("/a\\134b", "/a\\b"),
            ("/a\\012", "/a\n"),
            ("/a\\04", "/a\\04"),
            ("\\\\", "\\\\"),
            ("/ä\\040ö", "/ä ö"),
        ] {
            assert_eq!(unescaped(text), expected, "{text}");
        }
    }
}
