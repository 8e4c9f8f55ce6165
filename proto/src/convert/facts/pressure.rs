//! `pressure` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name};
use crate::v1;

/// The kernel knows four.
const RESOURCES: usize = 16;

impl From<&domain::Pressure> for v1::Pressure {
    fn from(pressure: &domain::Pressure) -> Self {
        Self { resources: pressure.resources.clone() }
    }
}

impl TryFrom<v1::Pressure> for domain::Pressure {
    type Error = Invalid;

    fn try_from(pressure: v1::Pressure) -> Result<Self, Invalid> {
        let resources =
            list("resources", pressure.resources, RESOURCES, |resource| name("name", resource))?;
        Ok(Self { resources })
    }
}
