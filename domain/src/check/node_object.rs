//! Checks of `node_object`: what the API server says of the node.

use super::Check;

pub(super) const CHECKS: &[Check] = &[];
