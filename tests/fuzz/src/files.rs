//! Files that an operator puts in place: plugins, configuration, lock.

use holdall::config::{BackendConfig, Config, Schema, Secrets, Sources, check};
use holdall::inspect::{Verdict, inspect_bytes};
use holdall::trust::Pins;
use holdall_plugin_api::descriptor::Descriptor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// A file with this content, which the next call with the same name replaces.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = FOLDER.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// A plugin file. An accepted one has a descriptor.
pub(crate) fn inspector(bytes: &[u8]) {
    let found = inspect_bytes(bytes, Path::new("x.so"));
    assert!(found.verdict() != Verdict::Accepted || found.descriptor.is_some());
}

/// The content of the section `.holdall`. Faults can be displayed, and there is at least one.
pub(crate) fn descriptor(bytes: &[u8]) {
    if let Err(faults) = Descriptor::parse(bytes) {
        assert!(!faults.is_empty());
        assert!(faults.iter().all(|fault| !fault.to_string().is_empty()));
    }
}

/// A schema and a configuration for it, separated by a zero byte.
pub(crate) fn schema(bytes: &[u8]) {
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
}

/// A whole `holdall.toml`.
pub(crate) fn configuration(bytes: &[u8]) {
    let mut sources = Sources::default();
    sources.flags.config_file = Some(file("holdall.toml", bytes));
    let (config, problems) = Config::read(&sources);
    let _ = (format!("{config:?}"), problems.to_string());
}

/// `holdall.lock`: what is read is what was written, or nothing.
pub(crate) fn lock(bytes: &[u8]) {
    let path = file("holdall.lock", bytes);
    if let Ok(pins) = Pins::read(&path) {
        pins.write(&path).unwrap();
        assert_eq!(Pins::read(&path).unwrap(), pins);
    }
}
