//! Checks of `managed_images`: none yet. Whether an image is the one that its release has
//! needs to be known of the release, which a node does not tell.

use super::Check;

pub(super) const CHECKS: &[Check] = &[];
