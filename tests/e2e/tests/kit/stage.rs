//! `holdall::Backend` as a subject of the kit.

use crate::gateway;
use futures_util::future::BoxFuture;
use holdall::{
    Backend, Bytes, CallOptions, Copied, Copy, Custom, Delete, DeleteMany, Deleted, Download,
    Downloaded, Head, Health, Host, Key, KeyPolicy, List, ObjectInfo, Operations, Page, PluginRef,
    Registration, Rename, Renamed, Result, SignUrl, StaticPlugin, Upload, Uploaded, Usage,
};

use holdall::config::GatewayConfig;
use holdall_conformance::{
    Claims, Facts, Following, Handshake, Harness, Level, Loader, Outside, Stage, Subject,
};
use holdall_plugin_api::{Signing, StorageBackend};
use http::Request;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The configuration of a store below a folder.
pub(crate) type Config = fn(&Path, u32) -> serde_json::Value;

const GATEWAY_SECRET: &str = "the kit's own gateway secret";

pub(crate) struct HostStage {
    level: Level,
    host: Host,
    plugin: String,
    folder: tempfile::TempDir,
    config: Config,
    next: AtomicU32,
    file: Option<File>,
}

impl HostStage {
    pub(crate) fn new(
        level: Level,
        linked: Option<&'static StaticPlugin>,
        library: &Path,
        config: Config,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config_of_host = holdall::config::Config::default();
        config_of_host.gateway =
            Some(GatewayConfig::new(gateway::PUBLIC_URL).key("kit", GATEWAY_SECRET));
        let builder = Host::builder().config(config_of_host);
        let host = match linked {
            Some(plugin) => builder.built_in(plugin),
            None => {
                let plugins = folder.path().join("plugins");
                std::fs::create_dir(&plugins).unwrap();
                std::fs::copy(library, plugins.join("plugin.so")).unwrap();
                builder.plugin_dir(plugins)
            }
        };
        let host = host.build().unwrap();
        let plugin = host.plugins().remove(0).name;
        let file = linked.is_none().then(|| File {
            library: library.to_owned(),
            plugin: plugin.clone(),
        });
        Self {
            level,
            host,
            plugin,
            folder,
            config,
            next: AtomicU32::new(0),
            file,
        }
    }

    async fn opened(&self, config: serde_json::Value) -> Result<Arc<dyn Subject>> {
        // Each instance is a backend of its own name: one name would be one instance.
        let name = format!("kit-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let registration = Registration::new(PluginRef::from(self.plugin.as_str())).config(config);
        self.host.register(&name, registration)?;
        let backend = self.host.backend(&name).await?;
        let facts = backend.facts().await?;
        let emulated = Operations::head
            .with(Operations::copy)
            .with(Operations::rename)
            .with(Operations::delete_many);
        Ok(Arc::new(Driven {
            facts: Facts {
                plugin: self.plugin.clone(),
                level: self.level,
                operations: facts.operations.with(emulated),
                capabilities: facts.capabilities,
                limits: facts.limits,
                policy: KeyPolicy::Portable,
            },
            backend,
            host: self.host.clone(),
        }))
    }
}

impl Stage for HostStage {
    fn open(&self, store: u32) -> BoxFuture<'_, Result<Arc<dyn Subject>>> {
        let config = (self.config)(self.folder.path(), store);
        Box::pin(self.opened(config))
    }

    fn is_shared(&self) -> bool {
        self.plugin == "local"
    }

    fn outside(&self, store: u32) -> Option<Arc<dyn Outside>> {
        outside((self.config)(self.folder.path(), store))
    }

    fn follow(&self, request: Request<Bytes>) -> Option<Following<'_>> {
        Some(Box::pin(async move {
            match request.uri().to_string().starts_with(gateway::PUBLIC_URL) {
                true => Ok(gateway::answer(&self.host, request).await),
                // The store signed it.
                false => holdall_wire::send(request).await,
            }
        }))
    }

    fn secrets(&self) -> Vec<String> {
        vec![GATEWAY_SECRET.to_owned()]
    }

    fn loader(&self) -> Option<&dyn Loader> {
        self.file.as_ref().map(|file| file as &dyn Loader)
    }
}

/// The Rust type, with the same configurations.
pub(crate) struct Plain<B> {
    plugin: &'static StaticPlugin,
    folder: tempfile::TempDir,
    config: Config,
    _backend: PhantomData<fn() -> B>,
}

impl<B> Plain<B> {
    pub(crate) fn new(plugin: &'static StaticPlugin, config: Config) -> Self {
        Self {
            plugin,
            folder: tempfile::tempdir().unwrap(),
            config,
            _backend: PhantomData,
        }
    }
}

impl<B: StorageBackend> Harness for Plain<B> {
    type Backend = B;

    fn claims(&self) -> Claims {
        Claims::of(self.plugin)
    }

    fn config(&self, store: u32) -> B::Config {
        serde_json::from_value((self.config)(self.folder.path(), store)).unwrap()
    }

    fn is_shared(&self) -> bool {
        self.claims().plugin == "local"
    }

    fn outside(&self, store: u32) -> Option<Arc<dyn Outside>> {
        outside((self.config)(self.folder.path(), store))
    }
}

/// A look at a store that is a folder.
fn outside(config: serde_json::Value) -> Option<Arc<dyn Outside>> {
    let root = PathBuf::from(config.get("root")?.as_str()?);
    Some(Arc::new(Folder { root }))
}

struct Driven {
    facts: Facts,
    backend: Backend,
    host: Host,
}

/// The host would keep the instance for whoever asks for its name next.
impl Drop for Driven {
    fn drop(&mut self) {
        self.host.remove(self.backend.name());
    }
}

impl Subject for Driven {
    fn facts(&self) -> &Facts {
        &self.facts
    }
    fn upload<'a>(&'a self, upload: Upload<'a>) -> BoxFuture<'a, Result<Uploaded>> {
        Box::pin(self.backend.upload(upload))
    }
    fn download<'a>(&'a self, download: Download<'a>) -> BoxFuture<'a, Result<Downloaded>> {
        Box::pin(self.backend.download(download))
    }
    fn delete<'a>(&'a self, delete: Delete<'a>) -> BoxFuture<'a, Result<Deleted>> {
        Box::pin(self.backend.delete(delete))
    }
    fn exists<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.backend.exists(key))
    }
    fn signed_url<'a>(&'a self, sign: SignUrl<'a>) -> BoxFuture<'a, Result<Signing>> {
        Box::pin(async move { self.backend.signed_url(sign).await.map(Signing::Url) })
    }
    fn head<'a>(&'a self, head: Head<'a>) -> BoxFuture<'a, Result<ObjectInfo>> {
        Box::pin(self.backend.head(head))
    }
    fn list<'a>(&'a self, list: List<'a>) -> BoxFuture<'a, Result<Page>> {
        Box::pin(self.backend.list(list))
    }
    fn copy<'a>(&'a self, copy: Copy<'a>) -> BoxFuture<'a, Result<Copied>> {
        Box::pin(self.backend.copy(copy))
    }
    fn rename<'a>(&'a self, rename: Rename<'a>) -> BoxFuture<'a, Result<Renamed>> {
        Box::pin(self.backend.rename(rename))
    }
    fn delete_many<'a>(
        &'a self,
        delete: DeleteMany<'a>,
    ) -> BoxFuture<'a, Result<Vec<Result<Deleted>>>> {
        Box::pin(self.backend.delete_many(delete))
    }
    fn health(&self) -> BoxFuture<'_, Result<Health>> {
        Box::pin(self.backend.health())
    }
    fn usage(&self) -> BoxFuture<'_, Result<Usage>> {
        Box::pin(self.backend.usage())
    }
    fn shutdown(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.backend.shutdown())
    }
    fn custom<'a>(&'a self, custom: Custom<'a>) -> BoxFuture<'a, Result<Bytes>> {
        Box::pin(self.backend.custom(custom))
    }
    fn bytes_moved(&self) -> Option<u64> {
        let status = self.host.status();
        let own = status
            .backends
            .iter()
            .find(|backend| backend.name == self.backend.name())?;
        Some(own.counters.bytes_in + own.counters.bytes_out)
    }
    fn exists_within<'a>(
        &'a self,
        key: &'a Key,
        timeout: Duration,
    ) -> Option<BoxFuture<'a, Result<bool>>> {
        let backend = self.backend.with(CallOptions::new().timeout(timeout));
        Some(Box::pin(async move { backend.exists(key).await }))
    }
}

/// The store of the `local` plugin, seen by another program.
struct Folder {
    root: PathBuf,
}

impl Outside for Folder {
    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for own in std::fs::read_dir(self.root.join("staging"))
            .into_iter()
            .flatten()
            .flatten()
        {
            for file in std::fs::read_dir(own.path())
                .into_iter()
                .flatten()
                .flatten()
            {
                left.push(file.path().display().to_string());
            }
        }
        left
    }

    fn put_foreign(&self, name: &str, bytes: &[u8]) -> bool {
        let path = self.root.join("objects").join(name);
        path.parent()
            .is_some_and(|folder| std::fs::create_dir_all(folder).is_ok())
            && std::fs::write(path, bytes).is_ok()
    }

    /// Keeps size and time, as a failing disk would.
    fn tamper(&self, key: &str) -> bool {
        let path = self.root.join("objects").join(key);
        let Ok(mut bytes) = std::fs::read(&path) else {
            return false;
        };
        let Ok(modified) = std::fs::metadata(&path).and_then(|facts| facts.modified()) else {
            return false;
        };
        let Some(byte) = bytes.first_mut() else {
            return false;
        };
        *byte ^= 1;
        let file = std::fs::File::options().write(true).open(&path);
        file.is_ok_and(|mut file| {
            std::io::Write::write_all(&mut file, &bytes).is_ok()
                && file.set_modified(modified).is_ok()
        })
    }

    fn objects_dir(&self) -> Option<PathBuf> {
        Some(self.root.join("objects"))
    }
}

/// The built file.
struct File {
    library: PathBuf,
    plugin: String,
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

    fn with_table_size(&self, _: isize) -> Option<BoxFuture<'_, Result<(), String>>> {
        // Tables of other sizes are driven at the boundary itself (plugin-api, `tests/boundary`).
        None
    }

    fn output(&self) -> Option<Result<Vec<u8>, String>> {
        let child = std::process::Command::new(std::env::current_exe().ok()?)
            .args([
                "--exact",
                "stage::child_uses_a_plugin",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("HOLDALL_KIT_CHILD", &self.library)
            .env("HOLDALL_KIT_PLUGIN", &self.plugin)
            .output();
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

/// A process of its own, whose output is watched.
#[test]
fn child_uses_a_plugin() {
    let (Some(library), Some(plugin)) = (
        std::env::var_os("HOLDALL_KIT_CHILD"),
        std::env::var("HOLDALL_KIT_PLUGIN").ok(),
    ) else {
        return;
    };
    println!("child: begins");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let config: Config = match plugin.as_str() {
            "local" => |root, store| serde_json::json!({ "root": root.join(store.to_string()) }),
            _ => |_, _| serde_json::json!({}),
        };
        let stage = HostStage::new(Level::Loaded, None, Path::new(&library), config);
        let subject = stage.open(1).await.unwrap();
        subject.upload(Upload::new("a", "b")).await.unwrap();
        subject
            .download(Download::new("a"))
            .await
            .unwrap()
            .body
            .collect(10)
            .await
            .unwrap();
        assert!(subject.download(Download::new("b")).await.is_err());
        subject.delete(Delete::new("a")).await.unwrap();
        subject.shutdown().await.unwrap();
    });
    println!("child: ends");
}
