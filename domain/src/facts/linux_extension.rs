//! Facts of `linux_extension`: the tools that the provider puts onto every node beside
//! Kubernetes, by its extension or already by its image: node-exporter,
//! node-problem-detector and ig. Sources: Azure's AgentBaker, AKS's documentation.

use serde::Serialize;

use super::Headline;

/// What was seen of the tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinuxExtension {
    /// The tools, sorted by name, those that are not there too.
    pub tools: Vec<LinuxTool>,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinuxTool {
    /// Its name.
    pub name: String,
    /// Where its program lies; empty when there is none.
    pub program: String,
    /// The file by which the image says that it brought the tool itself, so that the extension
    /// leaves it alone; empty when there is none.
    pub skip_mark: String,
    /// The unit that it runs as.
    pub unit: ToolUnit,
}

/// The unit of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolUnit {
    /// The tool runs only when somebody calls it.
    OnDemand,
    /// There is no such unit.
    NotThere,
    /// systemd could not be asked, or is not what runs the host, for this reason.
    Unreadable(String),
    /// There is.
    There {
        /// The unit's name.
        name: String,
        /// `ActiveState` and `SubState`, or that systemd does not hold it.
        state: String,
        /// `Result` of the last run; empty when systemd does not hold it.
        result: String,
        /// `UnitFileState`.
        file_state: String,
    },
}

impl LinuxTool {
    /// Whether there is a trace of it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        !self.program.is_empty()
            || !self.skip_mark.is_empty()
            || matches!(self.unit, ToolUnit::There { .. })
    }
}

impl Headline for LinuxExtension {
    fn headline(&self) -> String {
        let there = self.tools.iter().filter(|tool| tool.is_there());
        let names: Vec<&str> = there.map(|tool| tool.name.as_str()).collect();
        if names.is_empty() { "none of its tools".to_owned() } else { names.join(", ") }
    }
}
