//! Checks of `system_pods`: do the pods run that the cluster itself stands on.

use super::Check;

pub(super) const CHECKS: &[Check] = &[];
