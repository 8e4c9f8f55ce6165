//! Real files of advisories against real node images, beside a second computation that
//! shares no code with the first, and real files of every other kind that feeds read. Reads the folder that `NODEWARD_CORPUS` names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "feeds_corpus/announced.rs"]
mod announced;
#[path = "feeds_corpus/azure_linux.rs"]
mod azure_linux;
#[path = "feeds_corpus/first_fix.rs"]
mod first_fix;
#[path = "feeds_corpus/images.rs"]
mod images;
#[path = "feeds_corpus/patches.rs"]
mod patches;
#[path = "feeds_corpus/plain.rs"]
mod plain;
#[path = "feeds_corpus/samples.rs"]
mod samples;
#[path = "feeds_corpus/ubuntu.rs"]
mod ubuntu;

use std::path::PathBuf;

/// The folder of the corpus, or none when the test has nothing to read.
fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("NODEWARD_CORPUS").map(PathBuf::from);
    if folder.is_none() {
        println!("NODEWARD_CORPUS is not set: nothing to read");
    }
    folder
}
