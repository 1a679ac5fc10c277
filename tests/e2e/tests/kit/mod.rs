//! A loaded plugin, behind the host's handle, as a subject of the kit.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use holdall::config::{Config, GatewayConfig};
use holdall::{
    Backend, Bytes, CallOptions, Copied, Copy, Custom, Delete, DeleteMany, Deleted, Download,
    Downloaded, Error, Head, Health, Host, Key, KeyPolicy, List, ObjectInfo, Operations, Page,
    Registration, Rename, Renamed, Result, SignUrl, Upload, Uploaded, Usage,
};
use holdall_conformance::{Facts, Handshake, Level, Loader, Stage, Subject};
use holdall_plugin_api::Signing;
use holdall_plugin_api::descriptor::{Descriptor, MAGIC};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A built file, and how its stores are configured.
pub(crate) struct Loaded {
    host: Host,
    plugin: String,
    file: PathBuf,
    config: fn(u32) -> Value,
    opened: AtomicU32,
}

impl Loaded {
    /// `file` lies in a folder of plugins, alone.
    pub(crate) fn new(plugin: &str, file: &Path, config: fn(u32) -> Value) -> Arc<Self> {
        let gateway = GatewayConfig::new("https://files.example")
            .key("k1", "0123456789abcdef0123456789abcdef");
        let mut settings = Config::default();
        settings.gateway = Some(gateway);
        Arc::new(Self {
            host: host(file.parent().unwrap(), settings),
            plugin: plugin.to_owned(),
            file: file.to_owned(),
            config,
            opened: AtomicU32::new(0),
        })
    }
}

fn host(folder: &Path, settings: Config) -> Host {
    Host::builder()
        .config(settings)
        .plugin_dir(folder)
        .build()
        .unwrap()
}

impl Stage for Loaded {
    fn open(&self, store: u32) -> BoxFuture<'_, Result<Arc<dyn Subject>>> {
        let name = format!("s{store}-{}", self.opened.fetch_add(1, Ordering::Relaxed));
        async move {
            let registration = Registration::new(self.plugin.as_str()).config((self.config)(store));
            self.host.register(&name, registration)?;
            let backend = self.host.backend(&name).await?;
            let facts = backend.facts().await?;
            // What the host does in a plugin's place.
            let emulated = Operations::head
                .with(Operations::copy)
                .with(Operations::rename)
                .with(Operations::delete_many);
            let facts = Facts {
                plugin: facts.plugin,
                level: Level::Loaded,
                operations: facts.operations.with(emulated),
                capabilities: facts.capabilities,
                limits: facts.limits,
                policy: KeyPolicy::Portable,
            };
            let subject: Arc<dyn Subject> = Arc::new(Handle { backend, facts });
            Ok(subject)
        }
        .boxed()
    }

    fn loader(&self) -> Option<&dyn Loader> {
        Some(self)
    }
}

impl Loader for Loaded {
    fn handshake(&self) -> Result<Handshake, String> {
        let bytes = std::fs::read(&self.file).map_err(|cause| cause.to_string())?;
        let descriptor = descriptor(&bytes).ok_or("no descriptor")?;
        // A host of its own, so that nothing is remembered but the mapping.
        let host = host(self.file.parent().ok_or("no folder")?, Config::default());
        for (plugin, loaded) in host.load_plugins() {
            if plugin.name != self.plugin {
                continue;
            }
            loaded.map_err(|error| error.to_string())?;
            let mut abi = plugin
                .abi
                .split('.')
                .map(|number| number.parse().unwrap_or(0));
            let named = |names: &[&'static str]| {
                names
                    .iter()
                    .filter_map(|name| holdall::Operation::from_name(name))
                    .fold(Operations::EMPTY, |all, one| all.with(one.into()))
            };
            return Ok(Handshake {
                name: plugin.name,
                version: plugin.version,
                abi: (abi.next().unwrap_or(0), abi.next().unwrap_or(0)),
                operations: descriptor.operations,
                filled: named(&plugin.operations),
                capabilities: descriptor.capabilities,
            });
        }
        Err(format!("{} is not among the plugins", self.plugin))
    }

    fn accepts_major(&self, major: u16) -> Option<Result<(), String>> {
        // To a host of this major, a file of that one is what a file of this one is to its.
        let mut bytes = std::fs::read(&self.file).ok()?;
        let at = position(&bytes)?;
        bytes[at + 10..at + 12].copy_from_slice(&major.to_le_bytes());
        let folder = tempfile::tempdir().ok()?;
        std::fs::write(folder.path().join(self.file.file_name()?), bytes).ok()?;
        let found = host(folder.path(), Config::default());
        let accepted = found
            .plugins()
            .iter()
            .any(|plugin| plugin.name == self.plugin);
        Some(if accepted {
            Ok(())
        } else {
            Err(format!("{:?}", found.scan_report()))
        })
    }

    fn with_table_size(&self, _: isize) -> Option<BoxFuture<'_, Result<(), String>>> {
        None
    }

    fn output(&self) -> Option<Result<Vec<u8>, String>> {
        None
    }
}

fn position(file: &[u8]) -> Option<usize> {
    file.windows(MAGIC.len()).position(|bytes| bytes == MAGIC)
}

fn descriptor(file: &[u8]) -> Option<Descriptor> {
    let at = position(file)?;
    let number = |offset: usize, len: usize| {
        let bytes = file.get(at + offset..at + offset + len)?;
        bytes
            .iter()
            .rev()
            .try_fold(0usize, |sum, byte| Some(sum << 8 | usize::from(*byte)))
    };
    let end = at + 128 + number(20, 4)? * 16 + number(40, 8)?;
    Descriptor::parse(file.get(at..end)?).ok()
}

/// The host's handle.
struct Handle {
    backend: Backend,
    facts: Facts,
}

macro_rules! forwarded {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $answer:ty;)+) => { $(
        fn $name<'a>(&'a self, $($arg: $ty),*) -> BoxFuture<'a, Result<$answer>> {
            self.backend.$name($($arg),*).boxed()
        }
    )+ };
}

impl Subject for Handle {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    forwarded! {
        upload(upload: Upload<'a>) -> Uploaded;
        download(download: Download<'a>) -> Downloaded;
        delete(delete: Delete<'a>) -> Deleted;
        exists(key: &'a Key) -> bool;
        head(head: Head<'a>) -> ObjectInfo;
        list(list: List<'a>) -> Page;
        copy(copy: Copy<'a>) -> Copied;
        rename(rename: Rename<'a>) -> Renamed;
        delete_many(delete: DeleteMany<'a>) -> Vec<Result<Deleted>>;
        health() -> Health;
        usage() -> Usage;
        shutdown() -> ();
        custom(custom: Custom<'a>) -> Bytes;
    }

    fn signed_url<'a>(&'a self, sign: SignUrl<'a>) -> BoxFuture<'a, Result<Signing, Error>> {
        async move { self.backend.signed_url(sign).await.map(Signing::Url) }.boxed()
    }

    fn exists_within<'a>(
        &'a self,
        key: &'a Key,
        timeout: Duration,
    ) -> Option<BoxFuture<'a, Result<bool>>> {
        let bounded = self.backend.with(CallOptions::new().timeout(timeout));
        Some(async move { bounded.exists(key).await }.boxed())
    }
}
