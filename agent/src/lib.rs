//! Observes one node and reports what it saw. Reads only: it repairs nothing, starts
//! no process, writes nothing on the host.
//!
//! The way of the data: [`host`] and [`probe`] read, [`collect`] makes one observation
//! per component, [`round`] puts the observations of one moment together, [`frame`]
//! carries a round from `collect` to `send`, and [`send`] reports it. [`service`]
//! strings these together for each way of running, [`config`] says how. What collectors
//! read is declared beside them in the words of [`reads`]. [`npd`] reads the rules of
//! node-problem-detector that a configuration names, [`journal`] the files of systemd's journal,
//! [`nftables`] the rules of the packet filter.

pub mod arguments;
pub mod collect;
pub mod config;
pub mod credential;
pub mod frame;
pub mod host;
pub mod journal;
pub mod measure;
pub mod nftables;
pub mod npd;
pub mod probe;
pub mod reads;
pub mod round;
pub mod send;
pub mod service;
