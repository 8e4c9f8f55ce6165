//! Versions, compared by the distribution's own rules.

pub mod dpkg;
pub mod rpm;
