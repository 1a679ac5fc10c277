//! A plugin in a host of this process.

use holdall::config::Config;
use holdall::{Host, PluginRef, Registration};
use serde_json::Value;

/// A host with one backend, called `b`.
#[derive(Debug)]
pub struct Hosted {
    /// The host.
    pub host: Host,
    // Holds the file that it loads.
    _folder: tempfile::TempDir,
}

impl Hosted {
    /// The built library of `plugins/NAME`, with this configuration.
    ///
    /// # Panics
    ///
    /// When the host does not take it.
    pub fn new(name: &str, config: Value) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plugin.so");
        std::fs::copy(crate::plugin(name), file).expect("a copy of the plugin");
        let host = Host::builder().config(Config::default());
        let host = host.plugin_dir(folder.path()).build().expect("a host");
        let registration = Registration::new(PluginRef::from(name)).config(config);
        host.register("b", registration).expect("a backend");
        Self {
            host,
            _folder: folder,
        }
    }
}
