//! What the loader of production tells of a built file.

use super::{Tools, once};
use futures_util::future::BoxFuture;
use holdall::Host;
use holdall_conformance::holdall_plugin_api::descriptor::Descriptor;
use holdall_conformance::holdall_plugin_api::{Operation, Operations};
use holdall_conformance::{Handshake, Loader};
use std::future::ready;
use std::path::PathBuf;

/// The built file.
pub(super) struct File {
    pub(super) library: PathBuf,
    /// A configuration with which it opens.
    pub(super) config: serde_json::Value,
    pub(super) tools: Box<dyn Tools>,
}

impl Loader for File {
    fn handshake(&self) -> Result<Handshake, String> {
        let folder = tempfile::tempdir().map_err(|cause| cause.to_string())?;
        std::fs::copy(&self.library, folder.path().join("plugin.so"))
            .map_err(|cause| cause.to_string())?;
        let builder = Host::builder()
            .config(holdall::config::Config::default())
            .plugin_dir(folder.path());
        let host = builder.build().map_err(|error| error.to_string())?;
        let mut unclaimed = Operations::EMPTY;
        for (status, outcome) in host.load_plugins() {
            outcome.map_err(|error| format!("{error:?}"))?;
            let named = status
                .unclaimed
                .into_iter()
                .filter_map(Operation::from_name);
            unclaimed = unclaimed.with(named.collect());
        }
        let report = host.scan_report();
        let descriptor = report.files[0].descriptor.clone().ok_or("no descriptor")?;
        Ok(Handshake {
            name: descriptor.about.name,
            version: descriptor.about.version,
            abi: (descriptor.abi_major, descriptor.abi_minor),
            operations: descriptor.operations,
            // The handshake refuses a plugin that claims a slot which is not filled.
            filled: descriptor.operations.with(unclaimed),
            capabilities: descriptor.capabilities,
        })
    }

    fn accepts_major(&self, major: u16) -> Option<Result<(), String>> {
        let mut bytes = std::fs::read(&self.library).ok()?;
        let header = holdall_conformance::holdall_plugin_api::descriptor::MAGIC
            .iter()
            .copied()
            .chain([1, 0, 1, 0])
            .collect::<Vec<u8>>();
        let at = bytes
            .windows(header.len())
            .position(|window| window == header)?;
        bytes[at + 10..at + 12].copy_from_slice(&major.to_le_bytes());
        let folder = tempfile::tempdir().ok()?;
        let path = folder.path().join("plugin.so");
        std::fs::write(&path, bytes).ok()?;
        let faults = holdall::inspect::inspect_file(&path).faults;
        Some(match faults.first() {
            None => Ok(()),
            Some(fault) => Err(fault.to_string()),
        })
    }

    fn with_table_size(&self, change: isize) -> Option<BoxFuture<'_, Result<(), String>>> {
        let name = match self.handshake() {
            Ok(handshake) => handshake.name,
            Err(why) => return Some(Box::pin(ready(Err(why)))),
        };
        let entry = Descriptor::expected_entry(&name);
        let driven = self
            .tools
            .with_table_size(&self.library, &entry, &self.config, change)?;
        Some(Box::pin(ready(driven)))
    }

    fn output(&self) -> Option<Result<Vec<u8>, String>> {
        let child = self.tools.child(&self.library, &self.config)?.output();
        Some(child.map_err(|cause| cause.to_string()).and_then(|child| {
            let said = [child.stdout, child.stderr].concat();
            once::between(&said).ok_or_else(|| {
                let text = String::from_utf8_lossy(&said);
                format!("a process of its own did not get through: {text}")
            })
        }))
    }
}
