//! How often a test does what it does: few by itself, as many as `make prove` says.

/// The count that an environment variable says, or the usual one.
///
/// # Panics
/// When it says something else.
#[must_use]
pub fn count(variable: &str, usual: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no count")),
        Err(_) => usual,
    }
}
