//! `conntrack` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::Invalid;
use crate::v1;

impl From<&domain::Conntrack> for v1::Conntrack {
    fn from(conntrack: &domain::Conntrack) -> Self {
        Self { max_entries: conntrack.max_entries }
    }
}

impl TryFrom<v1::Conntrack> for domain::Conntrack {
    type Error = Invalid;

    fn try_from(conntrack: v1::Conntrack) -> Result<Self, Invalid> {
        Ok(Self { max_entries: conntrack.max_entries })
    }
}
