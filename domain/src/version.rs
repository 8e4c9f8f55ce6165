//! Versions, each read and compared by the rules of those who give them.

pub mod dpkg;
pub mod kubernetes;
pub mod rpm;
