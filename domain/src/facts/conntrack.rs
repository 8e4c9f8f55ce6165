//! Facts of `conntrack`: how many connections the kernel follows at the most. How many it
//! does is measured. Source: the kernel's nf_conntrack parameters.

use serde::Serialize;

use super::Headline;

/// The kernel's table of connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conntrack {
    /// `nf_conntrack_max`: packets of connections beyond it are dropped. Zero is no limit.
    pub max_entries: u64,
}

impl Headline for Conntrack {
    fn headline(&self) -> String {
        match self.max_entries {
            0 => "no limit".to_owned(),
            max => format!("room for {max} connections"),
        }
    }
}
