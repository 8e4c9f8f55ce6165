//! Where files lie that make a node what it is, each place with why, and with what of a file
//! is a node's own or may be a secret. Sources: systemd.unit(5), kubelet's flags, containerd's
//! configuration, chrony.conf(5), sshd_config(5), sudoers(5), modprobe.d(5), sysctl.d(5).

use crate::reads::Read;

/// A place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) path: &'static str,
    pub(super) below: Below,
    pub(super) taken: Taken,
    /// Files of a folder that are not opened: those whose name has one of these in it.
    pub(super) not_opened: &'static [&'static str],
}

/// What is meant by a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Below {
    /// The file itself.
    Itself,
    /// What lies in the folder.
    Folder,
    /// The same, and what lies in folders of units in it.
    Units,
}

/// What of a file goes into its digest.
#[derive(Debug, Clone, Copy)]
pub(super) enum Taken {
    /// All of it.
    Whole,
    /// Nothing of a line from one of these on.
    Without(&'static [&'static str]),
    /// It is not opened.
    NotOpened,
}

const fn of(path: &'static str, below: Below, taken: Taken) -> Place {
    Place { path, below, taken, not_opened: &[] }
}

/// Addresses, names and labels are a node's own; passwords and tokens may stand in the
/// environment of a unit.
const OF_UNITS: &[&str] = &[
    "--node-ip",
    "--hostname-override",
    "--provider-id",
    "--node-labels",
    "_proxy=",
    "password",
    "passwd",
    "secret",
    "token=",
];

/// A registry's credentials, and headers that carry them.
const OF_CONTAINERD: &[&str] =
    &["auth", "username", "password", "identitytoken", "basic ", "bearer "];

/// A node's own number at its cloud, and what is shown to whoever gives static pods.
const OF_KUBELET: &[&str] = &["providerid", "staticpodurlheader"];

/// All places.
pub(super) const PLACES: &[Place] = &[
    Place {
        not_opened: &["proxy"],
        ..of("/etc/systemd/system", Below::Units, Taken::Without(OF_UNITS))
    },
    of("/etc/default/kubelet", Below::Itself, Taken::NotOpened),
    of("/etc/default/kubeletconfig.json", Below::Itself, Taken::Without(OF_KUBELET)),
    of("/var/lib/kubelet/config.yaml", Below::Itself, Taken::Without(OF_KUBELET)),
    of("/var/lib/kubelet/kubeconfig", Below::Itself, Taken::NotOpened),
    of("/etc/kubernetes/azure.json", Below::Itself, Taken::NotOpened),
    of("/etc/kubernetes/manifests", Below::Folder, Taken::NotOpened),
    of("/etc/containerd/config.toml", Below::Itself, Taken::Without(OF_CONTAINERD)),
    of("/etc/containerd/conf.d", Below::Folder, Taken::Without(OF_CONTAINERD)),
    of("/etc/chrony.conf", Below::Itself, Taken::Whole),
    of("/etc/chrony/chrony.conf", Below::Itself, Taken::Whole),
    of("/etc/chrony/conf.d", Below::Folder, Taken::Whole),
    of("/etc/chrony/sources.d", Below::Folder, Taken::Whole),
    of("/etc/ssh/sshd_config", Below::Itself, Taken::Whole),
    of("/etc/ssh/sshd_config.d", Below::Folder, Taken::Whole),
    of("/etc/sudoers", Below::Itself, Taken::Whole),
    of("/etc/sudoers.d", Below::Folder, Taken::Whole),
    of("/etc/modprobe.d", Below::Folder, Taken::Whole),
    of("/etc/modules-load.d", Below::Folder, Taken::Whole),
    of("/etc/sysctl.conf", Below::Itself, Taken::Whole),
    of("/etc/sysctl.d", Below::Folder, Taken::Whole),
    of("/etc/security/limits.conf", Below::Itself, Taken::Whole),
    of("/etc/security/limits.d", Below::Folder, Taken::Whole),
];

/// What is taken of a file that is not opened.
const LOOKED_AT: &str = "Whether it is there, its permissions and its owner. It may hold secrets: it is not opened, and \
     its length is not told.";

const DIGEST: &str = "Of every file a SHA-256, its permissions, its owner, its length and, if it was written since \
     the node was set up, when. At most 512 files of 256 KiB.";

/// What is read.
pub(in crate::collect) const READS: &[Read] = &[
    Read::of(
        &["/etc/systemd/system/**"],
        "Units and drop-ins say what runs on a node and how: of every file there and in folders \
         such as `kubelet.service.d` a SHA-256, its permissions, its owner and, if it was written \
         since the node was set up, when. Of a line nothing counts from `--node-ip`, \
         `--hostname-override`, `--provider-id` and `--node-labels` on, which are a node's own, \
         nor from what may stand before a password or token. Files with `proxy` in their name \
         are not opened.",
    ),
    Read::of(
        &[
            "/etc/default/kubelet",
            "/var/lib/kubelet/kubeconfig",
            "/etc/kubernetes/azure.json",
            "/etc/kubernetes/manifests/**",
        ],
        LOOKED_AT,
    ),
    Read::of(
        &["/etc/default/kubeletconfig.json", "/var/lib/kubelet/config.yaml"],
        "The kubelet's configuration: the same digest, without the node's own `providerID` and \
         what is shown to whoever gives static pods.",
    ),
    Read::of(
        &["/etc/containerd/config.toml", "/etc/containerd/conf.d/**"],
        "containerd's configuration: the same digest, byte by byte, without what stands behind \
         names and words of credentials.",
    ),
    Read::of(
        &[
            "/etc/chrony.conf",
            "/etc/chrony/chrony.conf",
            "/etc/chrony/conf.d/**",
            "/etc/chrony/sources.d/**",
            "/etc/ssh/sshd_config",
            "/etc/ssh/sshd_config.d/**",
            "/etc/sudoers",
            "/etc/sudoers.d/**",
            "/etc/modprobe.d/**",
            "/etc/modules-load.d/**",
            "/etc/sysctl.conf",
            "/etc/sysctl.d/**",
            "/etc/security/limits.conf",
            "/etc/security/limits.d/**",
        ],
        DIGEST,
    ),
    Read::of(
        &["/opt/azure/containers/provision.complete"],
        "When it was written: then the provider had set the node up.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_told_of() {
        for place in PLACES {
            let inside = format!("{}/a.conf", place.path);
            let path = if place.below == Below::Itself { place.path } else { &inside };
            assert!(READS.iter().any(|read| read.covers(path)), "{path}");
        }
    }

    #[test]
    fn what_is_never_opened_is_not_opened() {
        for place in PLACES.iter().filter(|place| crate::reads::is_never_opened(place.path)) {
            assert!(matches!(place.taken, Taken::NotOpened), "{}", place.path);
        }
    }
}
