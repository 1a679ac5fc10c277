//! Reference to the plugin of a backend.

use holdall_plugin_api::StaticPlugin;
use std::fmt;
use std::path::PathBuf;

/// Which plugin serves a backend.
#[derive(Clone)]
#[non_exhaustive]
pub enum PluginRef {
    /// The one of this name or scheme: built in, or found by the last scan.
    Named(String),
    /// One that is linked into the program.
    BuiltIn(&'static StaticPlugin),
    /// This file, read anew for every registration: the way to an upgrade in place. Naming it is
    /// the act of trust.
    File(PathBuf),
}

impl PluginRef {
    /// The name or scheme that is asked for.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            PluginRef::Named(name) => Some(name),
            PluginRef::BuiltIn(_) | PluginRef::File(_) => None,
        }
    }
}

impl From<&str> for PluginRef {
    fn from(name: &str) -> Self {
        PluginRef::Named(name.to_owned())
    }
}

impl From<String> for PluginRef {
    fn from(name: String) -> Self {
        PluginRef::Named(name)
    }
}

impl From<&'static StaticPlugin> for PluginRef {
    fn from(plugin: &'static StaticPlugin) -> Self {
        PluginRef::BuiltIn(plugin)
    }
}

impl From<PathBuf> for PluginRef {
    fn from(file: PathBuf) -> Self {
        PluginRef::File(file)
    }
}

impl fmt::Debug for PluginRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PluginRef::Named(name) => f.debug_tuple("Named").field(name).finish(),
            PluginRef::BuiltIn(_) => f.write_str("BuiltIn"),
            PluginRef::File(file) => f.debug_tuple("File").field(file).finish(),
        }
    }
}
