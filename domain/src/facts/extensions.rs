//! Facts of `extensions`: extensions of the virtual machine that Azure's agent has on the
//! node, by name and version. Their settings hold secrets and are never read. Source: the
//! folders of the Azure Linux agent.

use serde::Serialize;

use super::Headline;

/// What was seen of extensions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Extensions {
    /// The extensions, sorted by name and version.
    pub extensions: Vec<Extension>,
}

/// One extension.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Extension {
    /// Publisher and type, such as `Microsoft.Azure.Extensions.CustomScript`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What the agent notes of it: `Enabled`, `Installed` or `NotInstalled`; empty when it
    /// notes nothing.
    pub state: String,
}

impl Extension {
    /// Whether it has a part in the node: a former version stays as a folder.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        !self.state.eq_ignore_ascii_case("NotInstalled")
    }
}

impl Headline for Extensions {
    fn headline(&self) -> String {
        match self.extensions.iter().filter(|extension| extension.is_in_use()).count() {
            1 => "1 extension".to_owned(),
            count => format!("{count} extensions"),
        }
    }
}
