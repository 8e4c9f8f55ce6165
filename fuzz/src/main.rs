//! libFuzzer on one target, which NODEWARD_FUZZ_TARGET names: `scripts/fuzz`.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use nodeward_fuzz_targets::{Target, target};

static TARGET: OnceLock<&Target> = OnceLock::new();

fn chosen() -> &'static Target {
    let name = std::env::var("NODEWARD_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| panic!("NODEWARD_FUZZ_TARGET: no target is named {name:?}"))
}

fuzz_target!(|bytes: &[u8]| {
    (TARGET.get_or_init(chosen).run)(bytes);
});
