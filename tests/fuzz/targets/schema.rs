//! A schema of a plugin and a configuration for it, separated by a zero byte.
#![no_main]

use holdall::config::{BackendConfig, Config, Schema, Secrets, check};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let mut json = || serde_json::from_slice::<serde_json::Value>(parts.next().unwrap_or_default());
    let (Ok(schema), Ok(value)) = (json(), json()) else {
        return;
    };
    let Ok(backend) = BackendConfig::new("x", "x", value) else {
        return;
    };
    let mut config = Config::default();
    config.insert(backend);
    let schemas = BTreeMap::from([("x".to_owned(), Schema::from(schema))]);
    let report = check(&config, &schemas, &Secrets::new());
    let _ = report.problems.to_string();
});
