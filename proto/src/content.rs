//! One component's content: encoded once by the agent, decoded by whoever reads it.
//! Content that is unknown, invalid or too long makes its own component unavailable
//! and harms no other.

use std::sync::Arc;

use nodeward_domain::component::Component;
use nodeward_domain::facts::ComponentState;
use nodeward_domain::observed::{State, Unavailable};
use nodeward_domain::with_components;
use prost::Message as _;

use crate::CONTENT_LIMIT_BYTES;
use crate::convert::{Invalid, text};
use crate::digest::Digest;
use crate::v1::{self, component_content::State as Wire};

/// The version of the form in which this build writes every component.
pub const FORM: u32 = 1;

/// A content as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The component's name. Not the type: a newer agent may know more of them.
    pub component: String,
    /// Version of the form.
    pub form: u32,
    /// The encoded `ComponentContent`.
    pub bytes: Vec<u8>,
}

impl Content {
    /// The content's name.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.component, self.form, &self.bytes)
    }

    /// Encodes a state. A state too big to be accepted anywhere is replaced by one that
    /// says so.
    #[must_use]
    pub fn of(state: &ComponentState) -> Self {
        let component = state.component();
        let bytes = encode(state);
        if bytes.len() > CONTENT_LIMIT_BYTES {
            return Self::of(&ComponentState::unavailable(
                component,
                Unavailable {
                    place: String::new(),
                    why: format!(
                        "its facts take {} bytes, at most {CONTENT_LIMIT_BYTES} are reported",
                        bytes.len()
                    ),
                },
            ));
        }
        Self { component: component.name().to_owned(), form: FORM, bytes }
    }

    /// Decodes and validates. None when this build knows no such component; a fault of
    /// any other kind becomes the component's own state.
    #[must_use]
    pub fn decode(&self) -> Option<ComponentState> {
        let component = Component::from_name(&self.component)?;
        let unavailable = |why: String| {
            ComponentState::unavailable(component, Unavailable { place: String::new(), why })
        };
        Some(if self.form != FORM {
            unavailable(format!("reported in form {}, only {FORM} is known here", self.form))
        } else {
            decode(component, &self.bytes)
                .unwrap_or_else(|why| unavailable(format!("reported facts are not valid: {why}")))
        })
    }
}

fn encode(state: &ComponentState) -> Vec<u8> {
    fn wire<T, W: for<'a> From<&'a T>>(state: &State<T>, present: fn(W) -> Wire) -> Wire {
        match state {
            State::Present(facts) => present(W::from(facts)),
            State::Absent => Wire::Absent(v1::Absent {}),
            State::NotApplicable(why) => {
                Wire::NotApplicable(v1::NotApplicable { why: why.clone() })
            }
            State::Unavailable(unavailable) => Wire::Unavailable(v1::Unavailable {
                place: unavailable.place.clone(),
                why: unavailable.why.clone(),
            }),
        }
    }
    macro_rules! wired {
        ($($(#[$what:meta])* $name:ident $word:ident,)*) => {
            match state {
                $(ComponentState::$name(state) => wire(state, Wire::$name),)*
            }
        };
    }
    let state = with_components!(wired);
    v1::ComponentContent { state: Some(state) }.encode_to_vec()
}

fn decode(component: Component, bytes: &[u8]) -> Result<ComponentState, Invalid> {
    /// The state that every component can be in without facts.
    fn without<T>(wire: Wire) -> Result<State<T>, Invalid> {
        match wire {
            Wire::Absent(_) => Ok(State::Absent),
            Wire::NotApplicable(wire) => Ok(State::NotApplicable(text(wire.why))),
            Wire::Unavailable(wire) => {
                Ok(State::Unavailable(Unavailable { place: text(wire.place), why: text(wire.why) }))
            }
            _ => Err(Invalid::new("state", "has the facts of another component")),
        }
    }
    fn facts<T, W>(wire: W) -> Result<State<T>, Invalid>
    where
        T: TryFrom<W, Error = Invalid>,
    {
        Ok(State::Present(Arc::new(T::try_from(wire)?)))
    }

    let content = v1::ComponentContent::decode(bytes)
        .map_err(|error| Invalid::new("content", error.to_string()))?;
    let Some(wire) = content.state else {
        return Err(Invalid::new("state", "is missing or not known here"));
    };
    macro_rules! read {
        ($($(#[$what:meta])* $name:ident $word:ident,)*) => {
            match (component, wire) {
                $(
                    (Component::$name, Wire::$name(wire)) => ComponentState::$name(facts(wire)?),
                    (Component::$name, wire) => ComponentState::$name(without(wire)?),
                )*
            }
        };
    }
    Ok(with_components!(read))
}

#[cfg(test)]
mod tests;
