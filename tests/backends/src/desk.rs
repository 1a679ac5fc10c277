//! A built plugin in a host of its own, for tests that ask more than the kit does.

use holdall::config::Config;
use holdall::{Backend, Error, Host, PluginRef, Registration};
use serde_json::Value;

/// A host with one plugin, loaded from its file, and a runtime to use it in.
#[derive(Debug)]
pub struct Desk {
    plugin: String,
    host: Host,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Desk {
    /// The library of `plugins/NAME`.
    ///
    /// # Panics
    ///
    /// When the host refuses it.
    pub fn new(plugin: &str) -> Self {
        let made = || -> Result<_, Box<dyn std::error::Error>> {
            let folder = tempfile::tempdir()?;
            std::fs::copy(crate::plugin(plugin), folder.path().join("plugin.so"))?;
            let host = Host::builder().config(Config::default());
            let host = host.plugin_dir(folder.path()).build()?;
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(2).enable_all().build()?;
            Ok((host, runtime, folder))
        };
        let (host, runtime, folder) = made().unwrap_or_else(|cause| panic!("{plugin}: {cause}"));
        Self {
            plugin: plugin.to_owned(),
            host,
            runtime,
            _folder: folder,
        }
    }

    /// Does something in the runtime.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Opens a store.
    ///
    /// # Errors
    ///
    /// Those of the configuration and of the opening.
    pub async fn open(&self, config: Value) -> Result<Backend, Error> {
        let plugin = PluginRef::from(self.plugin.as_str());
        let registration = Registration::new(plugin).config(config);
        self.host.register("b", registration)?;
        self.host.backend("b").await
    }
}
