//! A whole `holdall.toml`.
#![no_main]

use holdall::config::{Config, Sources};
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::OnceLock;

fuzz_target!(|text: &[u8]| {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file =
        FILE.get_or_init(|| std::env::temp_dir().join(format!("fuzz-{}.toml", std::process::id())));
    std::fs::write(file, text).unwrap();
    let mut sources = Sources::default();
    sources.flags.config_file = Some(file.clone());
    let (config, problems) = Config::read(&sources);
    // Whatever is wrong can be said.
    let _ = (format!("{config:?}"), problems.to_string());
});
