//! Stages with what this repository has beside the host: a host in C, and a test binary as the child.

use super::child;
use super::served::{Front, port};
use holdall::StaticPlugin;
use holdall_cli::kit::{HostStage, PUBLIC_URL, Tools};
use holdall_conformance::Harness;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

struct OfTests;

impl Tools for OfTests {
    fn child(&self, library: &Path, config: &Value) -> Option<Command> {
        child::command(library, config)
    }

    fn with_table_size(
        &self,
        library: &Path,
        entry: &str,
        config: &Value,
        change: isize,
    ) -> Option<Result<(), String>> {
        let folder = match tempfile::tempdir() {
            Ok(folder) => folder,
            Err(cause) => return Some(Err(cause.to_string())),
        };
        let driven = Command::new(holdall_c_plugin::build_host(folder.path()))
            .arg(library)
            .arg(entry)
            .arg(config.to_string())
            .arg(change.to_string())
            .output();
        Some(match driven {
            Ok(driven) if driven.status.success() => Ok(()),
            Ok(driven) => Err(format!(
                "{}: {}",
                driven.status,
                String::from_utf8_lossy(&driven.stderr)
            )),
            Err(cause) => Err(cause.to_string()),
        })
    }
}

/// The plugin's tables, linked into this program.
///
/// # Panics
///
/// When the host refuses it.
pub fn linked(plugin: &'static StaticPlugin, stores: impl Harness<Config = Value>) -> HostStage {
    HostStage::linked(plugin, stores).unwrap()
}

/// A built library, through the loader.
///
/// # Panics
///
/// When the host refuses it.
pub fn loaded(library: &Path, stores: impl Harness<Config = Value>) -> HostStage {
    HostStage::loaded(library, PUBLIC_URL, stores, OfTests).unwrap()
}

/// As [`loaded`], with the server in front: what the gateway signs is used over the wire.
///
/// # Panics
///
/// When the host refuses it.
pub fn served(library: &Path, stores: impl Harness<Config = Value>) -> HostStage {
    let (listener, url) = port();
    let stage = HostStage::loaded(library, &url, stores, OfTests).unwrap();
    stage.in_front(|host| Box::new(Front::new(host, listener)))
}
