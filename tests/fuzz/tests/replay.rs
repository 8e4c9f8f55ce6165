//! Everything that was kept for the fuzz targets is run through them once, with a few
//! changes each: the seeds, and what ever made one fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nodeward_fuzz_targets::{TARGETS, Target, project};

/// So often each kept input is changed.
const CHANGES: u64 = 20;

fn kept(kind: &str, target: &Target) -> Vec<PathBuf> {
    let folder = project().join("fuzz").join(kind).join(target.name);
    let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    files
}

/// The input with one to three bytes changed or cut out, the same in every run.
fn changed(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).expect("31 bits") % end
    };
    let mut bytes = bytes.to_vec();
    for _ in 0..=below(3) {
        if bytes.is_empty() {
            break;
        }
        let place = below(bytes.len());
        match below(3) {
            0 => bytes[place] = u8::try_from(below(256)).expect("a byte"),
            1 => drop(bytes.remove(place)),
            _ => bytes.truncate(place),
        }
    }
    bytes
}

fn replay(target: &Target, file: &Path) -> bool {
    println!("{}: {}", target.name, file.display());
    let bytes = fs::read(file).expect("a kept input");
    let is_good = (target.run)(&bytes);
    for seed in 1..=CHANGES {
        let _ = (target.run)(&changed(&bytes, seed));
    }
    is_good
}

#[test]
fn what_was_kept_for_the_fuzzer_holds() {
    for target in &TARGETS {
        let seeds = kept("seeds", target);
        let good = seeds.iter().filter(|file| replay(target, file)).count();
        assert!(good > 0, "{}: none of {} seeds is taken for good", target.name, seeds.len());
        for file in kept("regressions", target) {
            let _ = replay(target, &file);
        }
    }
}

#[test]
fn nothing_is_kept_for_a_target_that_is_not_there() {
    let known: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    for kind in ["seeds", "regressions"] {
        let Ok(entries) = fs::read_dir(project().join("fuzz").join(kind)) else { continue };
        for entry in entries {
            let name = entry.expect("readable").file_name().into_string().expect("text");
            assert!(known.contains(name.as_str()), "fuzz/{kind}/{name} is of no target");
        }
    }
}
