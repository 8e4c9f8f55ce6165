//! What is asserted of every parser that reads what strangers send: functions of bytes,
//! which fail by a panic. The fuzzer below `fuzz/` calls them with inputs that it makes to
//! reach new code, the test beside with those that were kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod feeds;
mod hosts;
mod logs;
mod versions;
mod wire;

use std::path::PathBuf;

/// A parser with what is asserted of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name; a folder of seeds is named so.
    pub name: &'static str,
    /// What it reads, and what must hold besides that it never panics.
    pub what: &'static str,
    /// Tells whether the input was taken for good.
    pub run: fn(&[u8]) -> bool,
}

const fn of(name: &'static str, run: fn(&[u8]) -> bool, what: &'static str) -> Target {
    Target { name, what, run }
}

/// All of them.
pub const TARGETS: [Target; 29] = [
    of("osv", feeds::osv, "OSV records; what is read can be stored and comes back the same"),
    of("openvex", feeds::openvex, "OpenVEX documents; the same"),
    of("oval", feeds::oval, "OVAL definitions; the same"),
    of("dsa_list", feeds::dsa_list, "Debian's DSA list; the same"),
    of("bulletins", feeds::bulletins, "bulletins of a provider; the same"),
    of("scan_report", feeds::scan_report, "reports of the provider's scanner; the same"),
    of(
        "mitigation_report",
        feeds::mitigation_report,
        "reports of where vulnerabilities were mended; no more images than bytes",
    ),
    of(
        "offered",
        feeds::offered,
        "answers about node pools and our own form; each pool once, and found by its name",
    ),
    of("security_patch", feeds::security_patch, "package deltas; applied to an image they add up"),
    of("announced", feeds::announced, "tables of announcements; in order, each the earliest"),
    of(
        "image_note",
        feeds::image_note,
        "release notes of images; written again they read the same",
    ),
    of("image_list", feeds::image_list, "lists of cached images; no more images than bytes"),
    of("scan", feeds::scan, "lists of Trivy, Grype and tables; rows in order, no more than bytes"),
    of("archive", feeds::archive, "zip and tar, plain and packed; every limit holds"),
    of("intake", feeds::intake, "a file of any kind; what is read can be held, stored and indexed"),
    of("stored", feeds::stored, "feeds and ledgers as stored; packed again they are the same"),
    of("dpkg", versions::dpkg, "Debian versions; a total order, and that of the sort keys"),
    of("rpm", versions::rpm, "rpm versions; the same"),
    of("semver", versions::semver, "semantic versions; the same"),
    of("content", wire::content, "facts from agents; they come back as they went, and are judged"),
    of("report", wire::report, "frames and reports from agents; they come back as they went"),
    of("answers", wire::answers, "answers to readers; they come back as they went"),
    of("chrony", wire::chrony, "replies of chronyd; every quantity is a number"),
    of("host_files", hosts::files, "files and answers of a node; its facts reach the judge"),
    of("kernel_record", logs::kernel_record, "records of the kernel's log; what they are about"),
    of("journal", logs::journal, "files of systemd's journal; no loop, and every limit holds"),
    of("npd_file", logs::npd_file, "files of node-problem-detector; rules match to the end"),
    of(
        "packet_filter",
        hosts::packet_filter,
        "rules of nf_tables; a packet that no hooked chain sees passes",
    ),
    of("rpm_database", hosts::rpm_database, "a damaged rpm database; the same"),
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The project's top folder.
///
/// # Panics
/// When this crate was moved.
#[must_use]
pub fn project() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("two folders below the top").to_owned()
}
