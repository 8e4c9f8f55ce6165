//! What the tests share: the project's folders and programs, temporary aggregators
//! and agents, and real servers started on folders of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

pub mod advisories;
pub mod api_server;
pub mod asked;
pub mod authority;
pub mod bench;
pub mod capture;
pub mod chrony;
pub mod containerd;
pub mod counts;
pub mod feeds;
pub mod host;
pub mod image;
pub mod in_cluster;
pub mod journal;
pub mod judged;
pub mod kubelet;
pub mod lacking;
pub mod machine;
pub mod mounted;
pub mod network;
pub mod node;
pub mod pod;
pub mod programs;
pub mod project;
pub mod random;
pub mod relay;
pub mod reporter;
pub mod rpm;
pub mod scenario;
pub mod served;
pub mod service;
pub mod standin;
pub mod store_suite;
pub mod twin;
pub mod watched;
