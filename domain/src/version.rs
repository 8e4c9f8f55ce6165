//! Versions, each read and compared by the rules of those who give them.

pub mod dpkg;
pub mod key;
pub mod kubernetes;
pub mod rpm;
pub mod semver;

/// A version without its epoch, as it stands in file names, in lists of rpm's images, and in
/// what programs say of themselves.
#[must_use]
pub fn without_epoch(version: &str) -> &str {
    version.split_once(':').map_or(version, |(_, rest)| rest)
}
