//! How the program's arguments are taken: by clap, which repeats what it cannot use, and here
//! without what may be a password in an address.

use clap::Parser;
use clap::error::{ContextKind, ContextValue};
use nodeward_domain::address::shown;

/// The arguments of this process. Ends it where it cannot run on, as clap does: with 2 for a
/// mistake, and with 0 where help or the version was asked for.
#[must_use]
pub fn parsed<T: Parser>() -> T {
    T::try_parse().unwrap_or_else(|error| without_secrets(error).exit())
}

/// A mistake, told without what may be a password in it.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let told = |(kind, value): (ContextKind, &ContextValue)| {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(shown(text).into_owned()),
            ContextValue::Strings(all) => {
                ContextValue::Strings(all.iter().map(|text| shown(text).into_owned()).collect())
            }
            // Advice that repeats what was typed.
            ContextValue::StyledStr(text) if has_user(text) => {
                ContextValue::StyledStr(shown(&text.to_string()).into_owned().into())
            }
            ContextValue::StyledStrs(all) if all.iter().any(has_user) => {
                let shown = all.iter().map(|text| shown(&text.to_string()).into_owned().into());
                ContextValue::StyledStrs(shown.collect())
            }
            _ => return None,
        };
        Some((kind, value))
    };
    let told: Vec<(ContextKind, ContextValue)> = error.context().filter_map(told).collect();
    for (kind, value) in told {
        error.insert(kind, value);
    }
    error
}

fn has_user(text: &clap::builder::StyledStr) -> bool {
    text.to_string().contains('@')
}
