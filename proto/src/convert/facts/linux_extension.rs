//! `linux_extension` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, required, text};
use crate::v1;
use crate::v1::linux_extension::{NotThere, OnDemand, Tool, ToolUnit, tool::Unit};

/// Tools: far more than are looked for.
const TOOLS: usize = 64;

impl From<&domain::LinuxExtension> for v1::LinuxExtension {
    fn from(extension: &domain::LinuxExtension) -> Self {
        let tool = |tool: &domain::LinuxTool| Tool {
            name: tool.name.clone(),
            program: tool.program.clone(),
            skip_mark: tool.skip_mark.clone(),
            unit: Some(match &tool.unit {
                domain::ToolUnit::OnDemand => Unit::OnDemand(OnDemand {}),
                domain::ToolUnit::NotThere => Unit::NotThere(NotThere {}),
                domain::ToolUnit::Unreadable(why) => Unit::Unread(why.clone()),
                domain::ToolUnit::There { name, state, result, file_state } => {
                    Unit::There(ToolUnit {
                        name: name.clone(),
                        state: state.clone(),
                        result: result.clone(),
                        file_state: file_state.clone(),
                    })
                }
            }),
        };
        Self { tools: extension.tools.iter().map(tool).collect() }
    }
}

impl TryFrom<v1::LinuxExtension> for domain::LinuxExtension {
    type Error = Invalid;

    fn try_from(extension: v1::LinuxExtension) -> Result<Self, Invalid> {
        let tools = list("tools", extension.tools, TOOLS, |tool| {
            Ok(domain::LinuxTool {
                name: name("name", tool.name)?,
                program: text(tool.program),
                skip_mark: text(tool.skip_mark),
                unit: match required("unit", tool.unit)? {
                    Unit::OnDemand(_) => domain::ToolUnit::OnDemand,
                    Unit::NotThere(_) => domain::ToolUnit::NotThere,
                    Unit::Unread(why) => domain::ToolUnit::Unreadable(text(why)),
                    Unit::There(unit) => domain::ToolUnit::There {
                        name: name("there.name", unit.name)?,
                        state: text(unit.state),
                        result: text(unit.result),
                        file_state: text(unit.file_state),
                    },
                },
            })
        })?;
        Ok(Self { tools })
    }
}
