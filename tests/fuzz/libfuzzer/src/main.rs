//! One program for all targets: `FUZZ_TARGET` says which one it drives.
#![no_main]

use holdall_fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("FUZZ_TARGET={wanted:?} is no target")).1
});

fuzz_target!(|bytes: &[u8]| (*TARGET)(bytes));
