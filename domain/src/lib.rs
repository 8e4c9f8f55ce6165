//! What facts mean. Pure functions from what was observed on a node to what is
//! wrong, who must act and what to do next.
//!
//! The way of the data through this crate: [`facts`] observed ([`observed`]) fill a
//! [`node::NodeHistory`]; [`check`] judges it under a [`policy::Policy`];
//! [`answer`] folds the verdicts into what every screen shows. There is no clock,
//! no input or output and no environment here: `now` is an argument.

pub mod address;
pub mod advisory;
pub mod answer;
pub mod auto_repair;
pub mod cause;
pub mod check;
pub mod cluster;
pub mod component;
pub mod egress;
pub mod facts;
pub mod fixes;
pub mod image;
mod kernel_package;
pub mod matching;
pub mod measured;
pub mod node;
pub mod observed;
pub mod patch_age;
pub mod plan;
pub mod platform;
pub mod policy;
pub mod pool;
pub mod presence;
pub mod responsibility;
pub mod restarts;
pub mod siblings;
pub mod standing;
pub mod support;
pub mod text;
pub mod version;
pub mod why;
pub mod wildcard;
