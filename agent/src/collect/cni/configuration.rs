//! A configuration of network plugins: JSON with one plugin, or with a list of them.

use nodeward_domain::facts::{CniConfiguration, CniPlugin};
use serde::Deserialize;

use crate::host::{HostError, HostRoot};

/// A plugin's configuration is some hundred bytes.
const LIMIT_BYTES: u64 = 64 * 1024;

/// A chain of plugins is a handful.
const PLUGINS: usize = 16;

/// What is of interest; with one plugin its fields stand beside the name. To the runtime a
/// member that is null is one that is not there.
#[derive(Debug, Deserialize)]
struct Network {
    name: Option<String>,
    plugins: Option<Vec<Plugin>>,
    #[serde(rename = "type")]
    kind: Option<String>,
    mode: Option<String>,
    ipam: Option<Ipam>,
}

#[derive(Debug, Deserialize)]
struct Plugin {
    #[serde(rename = "type")]
    kind: Option<String>,
    mode: Option<String>,
    ipam: Option<Ipam>,
}

#[derive(Debug, Default, Deserialize)]
struct Ipam {
    #[serde(rename = "type")]
    kind: Option<String>,
    mode: Option<String>,
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
        .filter_map(|Plugin { kind, mode, ipam }| {
            let ipam = ipam.unwrap_or_default();
            Some(CniPlugin {
                kind: kind.filter(|kind| !kind.is_empty())?,
                mode: mode.unwrap_or_default(),
                ipam: ipam.kind.unwrap_or_default(),
                ipam_mode: ipam.mode.unwrap_or_default(),
            })
        })
        .collect();
    Ok(CniConfiguration { path: path.to_owned(), name: name.unwrap_or_default(), plugins })
}
