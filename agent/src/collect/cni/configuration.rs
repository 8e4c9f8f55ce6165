//! A configuration of network plugins: JSON with one plugin, or with a list of them.

use nodeward_domain::facts::{CniConfiguration, CniPlugin};
use serde::Deserialize;

use crate::host::{HostError, HostRoot};

/// A plugin's configuration is some hundred bytes.
const LIMIT_BYTES: u64 = 64 * 1024;

/// A chain of plugins is a handful.
const PLUGINS: usize = 16;

/// What is of interest; with one plugin its fields stand beside the name.
#[derive(Debug, Deserialize)]
struct Network {
    #[serde(default)]
    name: String,
    plugins: Option<Vec<Plugin>>,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    ipam: Ipam,
}

#[derive(Debug, Deserialize)]
struct Plugin {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    ipam: Ipam,
}

#[derive(Debug, Default, Deserialize)]
struct Ipam {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    mode: String,
}

/// Reads one. Plugins carry much else in it, once even tokens: that is passed over as it
/// is read and kept nowhere.
pub(super) fn read(root: &HostRoot, path: &str) -> Result<CniConfiguration, HostError> {
    let network: Network = root.read_json(path, LIMIT_BYTES)?;
    let Network { name, plugins, kind, mode, ipam } = network;
    let mut plugins = plugins.unwrap_or_else(|| vec![Plugin { kind, mode, ipam }]);
    plugins.truncate(PLUGINS);
    let plugins = plugins
        .into_iter()
        .filter(|plugin| !plugin.kind.is_empty())
        .map(|Plugin { kind, mode, ipam }| CniPlugin {
            kind,
            mode,
            ipam: ipam.kind,
            ipam_mode: ipam.mode,
        })
        .collect();
    Ok(CniConfiguration { path: path.to_owned(), name, plugins })
}
