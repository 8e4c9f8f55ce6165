//! `cni` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, required, text, texts};
use crate::v1;
use crate::v1::cni::{Configuration, Plugin, RouteTable, Routes};

/// Limits of the lists: some ten times what a real node shows.
const PLUGINS: usize = 64;
const FILES: usize = 256;
const LINKS: usize = 256;

impl From<&domain::Cni> for v1::Cni {
    fn from(cni: &domain::Cni) -> Self {
        Self {
            configuration: cni.configuration.as_ref().map(Into::into),
            other_files: cni.other_files.clone(),
            routes: Some(match &cni.routes {
                domain::CniRoutes::Read { default_links, has_azure_pod_links } => {
                    Routes::Read(RouteTable {
                        default_links: default_links.clone(),
                        has_azure_pod_links: *has_azure_pod_links,
                    })
                }
                domain::CniRoutes::Unreadable(why) => Routes::Unread(why.clone()),
            }),
        }
    }
}

impl TryFrom<v1::Cni> for domain::Cni {
    type Error = Invalid;

    fn try_from(cni: v1::Cni) -> Result<Self, Invalid> {
        Ok(Self {
            configuration: cni
                .configuration
                .map(TryInto::try_into)
                .transpose()
                .map_err(|invalid: Invalid| invalid.within("configuration"))?,
            other_files: texts("other_files", cni.other_files, FILES)?,
            routes: match required("routes", cni.routes)? {
                Routes::Read(table) => domain::CniRoutes::Read {
                    default_links: texts("read.default_links", table.default_links, LINKS)?,
                    has_azure_pod_links: table.has_azure_pod_links,
                },
                Routes::Unread(why) => domain::CniRoutes::Unreadable(text(why)),
            },
        })
    }
}

impl From<&domain::CniConfiguration> for Configuration {
    fn from(configuration: &domain::CniConfiguration) -> Self {
        let plugin = |plugin: &domain::CniPlugin| Plugin {
            r#type: plugin.kind.clone(),
            mode: plugin.mode.clone(),
            ipam: plugin.ipam.clone(),
            ipam_mode: plugin.ipam_mode.clone(),
        };
        Self {
            path: configuration.path.clone(),
            name: configuration.name.clone(),
            plugins: configuration.plugins.iter().map(plugin).collect(),
        }
    }
}

impl TryFrom<Configuration> for domain::CniConfiguration {
    type Error = Invalid;

    fn try_from(configuration: Configuration) -> Result<Self, Invalid> {
        Ok(Self {
            path: text(configuration.path),
            name: text(configuration.name),
            plugins: list("plugins", configuration.plugins, PLUGINS, |plugin| {
                Ok(domain::CniPlugin {
                    kind: name("type", plugin.r#type)?,
                    mode: text(plugin.mode),
                    ipam: text(plugin.ipam),
                    ipam_mode: text(plugin.ipam_mode),
                })
            })?,
        })
    }
}
