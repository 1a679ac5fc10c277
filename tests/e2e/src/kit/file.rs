//! What the loader of production tells of a built file.

use super::child;
use futures_util::future::BoxFuture;
use holdall::Host;
use holdall_conformance::{Handshake, Loader};
use holdall_plugin_api::descriptor::Descriptor;
use std::path::PathBuf;
use std::process::Command;

/// The built file.
pub(super) struct File {
    pub(super) library: PathBuf,
    /// A configuration with which it opens.
    pub(super) config: serde_json::Value,
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
        for (_, outcome) in host.load_plugins() {
            outcome.map_err(|error| format!("{error:?}"))?;
        }
        let report = host.scan_report();
        let descriptor = report.files[0].descriptor.clone().ok_or("no descriptor")?;
        Ok(Handshake {
            name: descriptor.about.name,
            version: descriptor.about.version,
            abi: (descriptor.abi_major, descriptor.abi_minor),
            operations: descriptor.operations,
            // The handshake refuses a plugin that claims a slot which is not filled.
            filled: descriptor.operations,
            capabilities: descriptor.capabilities,
        })
    }

    fn accepts_major(&self, major: u16) -> Option<Result<(), String>> {
        let mut bytes = std::fs::read(&self.library).ok()?;
        let header = holdall_plugin_api::descriptor::MAGIC
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
        // This host always says the size that it knows, so another one drives the file: a host in C.
        Some(Box::pin(async move {
            let name = self.handshake()?.name;
            let folder = tempfile::tempdir().map_err(|cause| cause.to_string())?;
            let driven = Command::new(holdall_c_plugin::build_host(folder.path()))
                .arg(&self.library)
                .arg(Descriptor::expected_entry(&name))
                .arg(self.config.to_string())
                .arg(change.to_string())
                .output()
                .map_err(|cause| cause.to_string())?;
            match driven.status.success() {
                true => Ok(()),
                false => Err(format!(
                    "{}: {}",
                    driven.status,
                    String::from_utf8_lossy(&driven.stderr)
                )),
            }
        }))
    }

    fn output(&self) -> Option<Result<Vec<u8>, String>> {
        let child = child::command(&self.library, &self.config)?.output();
        Some(child.map_err(|cause| cause.to_string()).and_then(|child| {
            let said = [child.stdout, child.stderr].concat();
            let text = String::from_utf8_lossy(&said);
            let begun = text.split_once("child: begins\n").map(|(_, rest)| rest);
            let between = begun.and_then(|rest| rest.split_once("child: ends\n"));
            match between {
                Some((between, _)) => Ok(between.as_bytes().to_vec()),
                None => Err(format!("the child did not get through: {text}")),
            }
        }))
    }
}
