//! What a kubelet was told: flags, the files that they name, and the settings that come
//! of both, in the kubelet's own order of precedence.

use jiff::Timestamp;
use serde::Serialize;

/// What a kubelet was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Configuration {
    /// Flags of the running process, by name.
    pub flags: Vec<Flag>,
    /// The files that make it, in the order in which they count.
    pub files: Vec<ConfigurationFile>,
    /// Settings, by key. None at all when a file that makes them could not be used.
    pub settings: Vec<Setting>,
}

/// One flag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Flag {
    /// Such as `max-pods`.
    pub name: String,
    /// Its value; none where it is not known to carry no secret.
    pub value: Option<String>,
}

/// One file that makes the configuration of a kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigurationFile {
    /// Where it lies.
    pub path: String,
    /// How it takes part.
    pub role: FileRole,
    /// What came of reading it.
    pub state: FileState,
    /// When it was last written.
    pub written: Written,
}

/// What came of reading a file of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// It was read; of an environment file, it is there.
    Good,
    /// A kubelet would not start with it, for this reason.
    Refused(String),
    /// It could not be read, for this reason; a kubelet may be able to.
    Unreadable(String),
}

/// How a file takes part in the configuration of a kubelet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileRole {
    /// A `KubeletConfiguration`, the file of `--config` or a drop-in of `--config-dir`.
    Settings,
    /// Values of flags for the unit. Of it nothing is read but when it was written.
    Environment,
}

/// When a file was last written, as far as that matters to a process that read it at its
/// start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// Before the process was started.
    BeforeStart,
    /// After that: what it says is not in force.
    AfterStart(Timestamp),
    /// It cannot be said, for this reason.
    Unknown(String),
}

/// One setting of a kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Path in `KubeletConfiguration`, such as `authentication.anonymous.enabled`.
    pub key: String,
    /// What flags and files make of it. Lists are joined by commas, maps are `key=value`
    /// by key, durations as Go writes them.
    pub value: String,
    /// Where that comes from.
    pub source: SettingSource,
    /// What the kubelet says is in force, where it was asked and says something else.
    pub in_force: Option<String>,
}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingSource {
    /// The kubelet's own default.
    Default,
    /// A file, by path.
    File(String),
    /// A flag, by name.
    Flag(String),
}

impl std::fmt::Display for SettingSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => f.write_str(path),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

impl Setting {
    /// What holds: what the kubelet says, else what it was told.
    #[must_use]
    pub fn effective(&self) -> &str {
        self.in_force.as_deref().unwrap_or(&self.value)
    }
}

impl Configuration {
    /// A setting.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }
}
