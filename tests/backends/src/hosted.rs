//! A built plugin in a host of this process, for tests that ask more than the kit does.

use holdall::config::Config;
use holdall::{Backend, Error, Host, PluginRef, Registration};
use serde_json::Value;

/// A host with one plugin, loaded from its file.
#[derive(Debug)]
pub struct Hosted {
    plugin: String,
    host: Host,
    // Holds the file that it loads.
    _folder: tempfile::TempDir,
}

impl Hosted {
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
            Ok((host.plugin_dir(folder.path()).build()?, folder))
        };
        let (host, folder) = made().unwrap_or_else(|cause| panic!("{plugin}: {cause}"));
        Self {
            plugin: plugin.to_owned(),
            host,
            _folder: folder,
        }
    }

    /// Opens a store.
    ///
    /// # Errors
    ///
    /// Those of the configuration and of the opening.
    pub async fn open(&self, config: Value) -> Result<Backend, Error> {
        self.open_as(config, |registration| registration).await
    }

    /// Opens a store that is mounted in some other way.
    ///
    /// # Errors
    ///
    /// As for [`Hosted::open`].
    pub async fn open_as(
        &self,
        config: Value,
        how: impl FnOnce(Registration) -> Registration,
    ) -> Result<Backend, Error> {
        let plugin = PluginRef::from(self.plugin.as_str());
        let registration = how(Registration::new(plugin).config(config));
        self.host.register("b", registration)?;
        self.host.backend("b").await
    }
}

/// The same, and a runtime to use it in.
#[derive(Debug)]
pub struct HostedPlugin {
    hosted: Hosted,
    runtime: tokio::runtime::Runtime,
}

impl HostedPlugin {
    /// As [`Hosted::new`].
    ///
    /// # Panics
    ///
    /// Also without a runtime.
    pub fn new(plugin: &str) -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build();
        Self {
            hosted: Hosted::new(plugin),
            runtime: runtime.unwrap_or_else(|cause| panic!("no runtime: {cause}")),
        }
    }

    /// Does something in the runtime.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }
}

impl std::ops::Deref for HostedPlugin {
    type Target = Hosted;

    fn deref(&self) -> &Hosted {
        &self.hosted
    }
}
