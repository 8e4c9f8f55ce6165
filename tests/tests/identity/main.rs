//! Who may report, ask and import: enrolment, certificates and roles against an aggregator and
//! the stand-in of an API server. Each row of the table in docs/identity.md is a test here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod authority;
mod certificates;
mod outage;
mod relay;
mod roles;
mod tokens;
