//! `holdall.lock`: what is read is what was written, or nothing.
#![no_main]

use holdall::trust::Pins;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let folder = std::env::temp_dir();
    let file = folder.join(format!("fuzz-{}.lock", std::process::id()));
    std::fs::write(&file, text).unwrap();
    if let Ok(pins) = Pins::read(&file) {
        pins.write(&file).unwrap();
        assert_eq!(Pins::read(&file).unwrap(), pins);
    }
});
