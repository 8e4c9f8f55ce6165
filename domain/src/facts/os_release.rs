//! Facts of `os_release`: os-release(5), the architecture, and the marks that a
//! provider's image builder leaves on disk.

use serde::Serialize;

use super::Headline;

/// What the operating system says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OsRelease {
    /// The file that was read: `/etc/os-release` or `/usr/lib/os-release`.
    pub path: String,
    /// `ID`, lower case, such as `debian`, `ubuntu`, `azurelinux`.
    pub id: String,
    /// `VERSION_ID`, such as `12` or `22.04`; empty on rolling releases.
    pub version_id: String,
    /// `VERSION_CODENAME`, such as `jammy`; may be empty.
    pub version_codename: String,
    /// `PRETTY_NAME`, for people.
    pub pretty_name: String,
    /// `VARIANT_ID`; may be empty.
    pub variant_id: String,
    /// Machine architecture as the kernel names it (`uname -m`); empty when the host
    /// root is not the running machine.
    pub architecture: String,
    /// Paths, of those that AKS's image builder writes, that exist on this node.
    pub provider_marks: Vec<String>,
    /// Whether the kernel restricts itself to FIPS 140.
    pub fips: Fips,
    /// Whether the system is attached to Ubuntu Pro. It stands here and not beside the
    /// packages: whose updates a system takes is a trait of the system, and equal lists of
    /// packages keep one digest however many of their nodes are attached.
    pub ubuntu_pro: UbuntuPro,
}

/// `/var/lib/ubuntu-advantage/status.json`, which the client of Ubuntu Pro writes. Nothing
/// else of it is kept: it names the account too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UbuntuPro {
    /// There is no such file: not attached, as far as can be told.
    NotThere,
    /// It says this.
    Read {
        /// Whether the system is attached.
        attached: bool,
        /// Names of the services that are enabled, such as `esm-infra`, sorted.
        enabled: Vec<String>,
    },
    /// It could not be read, for this reason: nothing is known.
    Unreadable(String),
}

impl UbuntuPro {
    /// Whether the system is attached and that service is enabled. What could not be read
    /// is no yes.
    #[must_use]
    pub fn has(&self, service: &str) -> bool {
        match self {
            Self::Read { attached: true, enabled } => enabled.iter().any(|one| one == service),
            Self::Read { .. } | Self::NotThere | Self::Unreadable(_) => false,
        }
    }
}

/// `/proc/sys/crypto/fips_enabled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fips {
    /// It does.
    On,
    /// It does not.
    Off,
    /// The kernel was built without.
    NotSupported,
    /// It could not be read, for this reason.
    Unreadable(String),
}

impl std::fmt::Display for Fips {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::On => f.write_str("1"),
            Self::Off => f.write_str("0"),
            Self::NotSupported => f.write_str("not there"),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

impl Headline for OsRelease {
    fn headline(&self) -> String {
        let name = if self.pretty_name.is_empty() {
            format!("{} {}", self.id, self.version_id)
        } else {
            self.pretty_name.clone()
        };
        let pro = match &self.ubuntu_pro {
            UbuntuPro::Read { attached: true, .. } => ", attached to Ubuntu Pro",
            UbuntuPro::Read { .. } | UbuntuPro::NotThere => "",
            // Elsewhere nobody asks.
            UbuntuPro::Unreadable(_) if self.id == "ubuntu" => {
                ", whether attached to Ubuntu Pro is unknown"
            }
            UbuntuPro::Unreadable(_) => "",
        };
        match self.architecture.as_str() {
            "" => format!("{name}{pro}"),
            architecture => format!("{name}, {architecture}{pro}"),
        }
    }
}
