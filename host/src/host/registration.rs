//! What a program says when it registers a backend itself.

use crate::config::{BackendConfig, ContentTypePolicy, Mount, Polling};
use crate::plugin::PluginRef;
use crate::policy::Policy;
use holdall_plugin_api::{KeyPolicy, Result};
use std::fmt;
use std::time::Duration;

/// A backend to be: a plugin and how it is mounted.
///
/// ```
/// use holdall::Registration;
///
/// let registration = Registration::new("local").config(serde_json::json!({ "root": "/srv/data" }));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Registration {
    /// The plugin.
    pub plugin: PluginRef,
    /// What the plugin's schema says, an object. Secrets may be references. Not shown by `Debug`.
    pub config: serde_json::Value,
    /// How it is mounted.
    pub mount: Mount,
}

impl Registration {
    /// This plugin with an empty configuration.
    pub fn new(plugin: impl Into<PluginRef>) -> Self {
        Self {
            plugin: plugin.into(),
            config: serde_json::Value::Object(serde_json::Map::new()),
            mount: Mount::default(),
        }
    }

    /// Configures the plugin.
    #[must_use]
    pub fn config(mut self, config: serde_json::Value) -> Self {
        self.config = config;
        self
    }

    /// Bounds every operation that has no deadline of its own.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.mount.timeout = Some(timeout);
        self
    }

    /// Bounds the wait for a turn where the plugin takes few operations at once.
    #[must_use]
    pub fn max_wait(mut self, patience: Duration) -> Self {
        self.mount.max_wait = patience;
        self
    }

    /// Chooses where the plugin's operations are polled.
    #[must_use]
    pub fn polling(mut self, polling: Polling) -> Self {
        self.mount.polling = polling;
        self
    }

    /// Chooses the keys that it takes.
    #[must_use]
    pub fn key_policy(mut self, policy: KeyPolicy) -> Self {
        self.mount.key_policy = policy;
        self
    }

    /// Chooses what becomes of a content type that the store does not keep.
    #[must_use]
    pub fn content_type(mut self, policy: ContentTypePolicy) -> Self {
        self.mount.content_type = policy;
        self
    }

    /// Accepts a store whose readers may see partial objects.
    #[must_use]
    pub fn allow_non_atomic_put(mut self) -> Self {
        self.mount.allow_non_atomic_put = true;
        self
    }

    /// Adds a further name.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.mount.aliases.push(name.into());
        self
    }

    /// Enforces these policies.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.mount.policy = policy;
        self
    }

    pub(crate) fn split(self, name: &str) -> Result<(BackendConfig, PluginRef)> {
        let asked = match &self.plugin {
            PluginRef::Named(name) => name.clone(),
            PluginRef::BuiltIn(_) => "built in".to_owned(),
            PluginRef::File(file) => file.display().to_string(),
        };
        let mut config = BackendConfig::new(name, asked, self.config)?;
        config.set_mount(self.mount)?;
        Ok((config, self.plugin))
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("plugin", &self.plugin)
            .field("mount", &self.mount)
            .finish_non_exhaustive()
    }
}
