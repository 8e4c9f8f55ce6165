//! Names every target, with what it reads, for `scripts/fuzz` and `scripts/prove`.
#![allow(clippy::print_stdout)]

use nodeward_fuzz_targets::TARGETS;

fn main() {
    for target in &TARGETS {
        println!("{}|{}", target.name, target.what);
    }
}
