//! Facts of `pressure`: for which resources the kernel tells how long tasks wait for them.
//! How long that is, is measured. Source: pressure stall information, `/proc/pressure`.

use serde::Serialize;

use super::Headline;

/// The resources of which the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pressure {
    /// Their names, as the files are named, sorted: `cpu`, `io`, `memory`.
    pub resources: Vec<String>,
}

impl Headline for Pressure {
    fn headline(&self) -> String {
        format!("told of {}", self.resources.join(", "))
    }
}
