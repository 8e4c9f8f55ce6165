//! The `nodeward` command: asks the aggregator, or inspects one machine without it.
//!
//! [`arguments`] says what can be typed, [`run`] does it, [`client`] asks the
//! aggregator, [`inspect`] looks at one machine with what is known of advisories and images
//! ([`knowledge`]), [`scan`] reads a scanner's list, [`screen`] makes the text. Everything
//! that is shown is an answer of the domain; nothing is judged here.

pub mod address;
pub mod admin;
pub mod arguments;
pub mod ca;
pub mod client;
pub mod docs;
pub mod exit;
pub mod inert;
pub mod inspect;
pub mod knowledge;
pub mod paths;
pub mod progress;
pub mod run;
pub mod scan;
pub mod screen;
pub mod support;
