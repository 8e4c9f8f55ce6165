//! Answers as text: for people with the verdict first and the next command last, for
//! machines as one document.

mod checks;
mod feeds;
mod fixes;
mod images;
mod layout;
mod node;
mod nodes;
mod patch_age;
mod plan;
mod scan;
mod support;
mod support_check;
mod sysctl;
mod why;

use serde::Serialize;

use crate::arguments::Format;
use crate::inert;

pub use checks::{checks, explain};
pub use feeds::{FeedsAnswer, feeds, imported, pulled};
pub use images::{first_fix, image_diff, image_variants, images, imported_images};
pub use node::node;
pub use nodes::{FleetAnswer, nodes, scope};
pub use patch_age::{Question, patch_age};
pub use plan::{PlansAnswer, fleet_stages, plan, plan_check, plan_look, plan_progress, plans};
pub use scan::scan;
pub use support::exported;
pub use support_check::support_check;
pub use sysctl::sysctl;
pub use why::why;

/// Why an answer cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// As JSON.
    #[error("the answer cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// As YAML.
    #[error("the answer cannot be written as YAML: {0}")]
    Yaml(#[from] serde_yaml_ng::Error),
    /// As CSV.
    #[error("the answer cannot be written as CSV: {0}")]
    Csv(#[from] csv::Error),
}

/// How an answer is written.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// The form.
    pub format: Format,
    /// Columns for people.
    pub width: usize,
    /// The aggregator that was named, if the next command must name it again.
    pub aggregator: Option<&'a str>,
}

impl Style<'_> {
    /// A command that asks the same aggregator.
    fn command(&self, command: &str) -> String {
        match self.aggregator {
            None => command.to_owned(),
            Some(aggregator) => format!("{command} --aggregator {aggregator}"),
        }
    }
}

/// Writes an answer in one of its five forms.
fn write<T: Serialize>(
    answer: &T,
    style: Style<'_>,
    text: impl FnOnce(bool) -> String,
    records: impl FnOnce(&mut csv::Writer<Vec<u8>>) -> Result<(), csv::Error>,
) -> Result<String, ScreenError> {
    match style.format {
        Format::Table => Ok(text(false)),
        Format::Wide => Ok(text(true)),
        Format::Json => Ok(inert::json(&serde_json::to_string_pretty(answer)?) + "\n"),
        Format::Yaml => Ok(inert::yaml(&serde_yaml_ng::to_string(answer)?)),
        Format::Csv => {
            let mut writer =
                csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
            records(&mut writer)?;
            let bytes =
                writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}
