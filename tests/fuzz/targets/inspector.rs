//! A file of a plugin, judged without running it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let found = holdall::inspect::inspect_bytes(bytes, Path::new("x.so"));
    // An accepted file has said who it is.
    let accepted = found.verdict() == holdall::inspect::Verdict::Accepted;
    assert!(!accepted || found.descriptor.is_some());
});
