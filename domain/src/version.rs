//! Versions, each read and compared by the rules of those who give them.

pub mod dpkg;
pub mod key;
pub mod kubernetes;
pub mod rpm;
pub mod semver;
