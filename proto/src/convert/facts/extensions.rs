//! `extensions` to and from the wire.

use nodeward_domain::facts as domain;

use crate::convert::{Invalid, list, name, text};
use crate::v1;
use crate::v1::extensions::Extension;

/// Extensions: some ten times what a real machine has.
const EXTENSIONS: usize = 256;

impl From<&domain::Extensions> for v1::Extensions {
    fn from(extensions: &domain::Extensions) -> Self {
        let extension = |extension: &domain::Extension| Extension {
            name: extension.name.clone(),
            version: extension.version.clone(),
            state: extension.state.clone(),
        };
        Self { extensions: extensions.extensions.iter().map(extension).collect() }
    }
}

impl TryFrom<v1::Extensions> for domain::Extensions {
    type Error = Invalid;

    fn try_from(extensions: v1::Extensions) -> Result<Self, Invalid> {
        let extensions = list("extensions", extensions.extensions, EXTENSIONS, |extension| {
            Ok(domain::Extension {
                name: name("name", extension.name)?,
                version: name("version", extension.version)?,
                state: text(extension.state),
            })
        })?;
        Ok(Self { extensions })
    }
}
