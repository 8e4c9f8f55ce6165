//! Remembers what agents report and answers for nodes and fleet. No judgement is made
//! here: whether something is wrong, and whose turn it is, says the domain.
//!
//! The way of the data: [`peer`] says who reports, [`access`] who may ask or import, [`enrol`]
//! gives nodes their certificates, [`ingest`] takes reports,
//! [`store`] commits what must last, [`fleet`] holds every node in memory and has the
//! domain judge it by the [`advisories`] that [`import`] takes in and [`pull`] fetches, [`query`] and [`http`]
//! answer. [`cluster`] asks API servers what no agent can tell. [`relay`] hands reports on to
//! another aggregator instead. [`serve`] strings these together,
//! [`config`] says how.

pub mod access;
pub mod admin;
pub mod advisories;
pub mod cluster;
pub mod config;
pub mod connections;
pub mod enrol;
pub mod fleet;
pub mod health;
pub mod http;
pub mod images;
pub mod import;
pub mod ingest;
pub mod kubernetes;
pub mod metrics;
pub mod peer;
pub mod plans;
pub mod pull;
pub mod query;
pub mod relay;
pub mod reload;
pub mod serve;
pub mod store;
pub mod tls;
pub mod token;
