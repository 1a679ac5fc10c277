//! What a program says when it registers a backend itself.

use crate::config::{BackendConfig, ContentTypePolicy, MAX_WAIT, Polling};
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
    /// Which keys it takes.
    pub key_policy: KeyPolicy,
    /// What becomes of a content type that the store does not keep.
    pub content_type: ContentTypePolicy,
    /// The longest that one operation may take, unless the caller says less.
    pub timeout: Option<Duration>,
    /// How long an operation waits for its turn where the plugin takes few at once; zero refuses at
    /// once, as `Unavailable`. Default: 30 s.
    pub max_wait: Duration,
    /// Where the plugin's operations are polled.
    pub polling: Polling,
    /// Accepts a store whose readers may see partial objects.
    pub allow_non_atomic_put: bool,
    /// Further names.
    pub aliases: Vec<String>,
    /// What the host enforces in front of it.
    pub policy: Policy,
}

impl Registration {
    /// This plugin with an empty configuration.
    pub fn new(plugin: impl Into<PluginRef>) -> Self {
        Self {
            plugin: plugin.into(),
            config: serde_json::Value::Object(serde_json::Map::new()),
            key_policy: KeyPolicy::default(),
            content_type: ContentTypePolicy::default(),
            timeout: None,
            max_wait: MAX_WAIT,
            polling: Polling::default(),
            allow_non_atomic_put: false,
            aliases: Vec::new(),
            policy: Policy::new(),
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
        self.timeout = Some(timeout);
        self
    }

    /// Bounds the wait for a turn where the plugin takes few operations at once.
    #[must_use]
    pub fn max_wait(mut self, patience: Duration) -> Self {
        self.max_wait = patience;
        self
    }

    /// Chooses where the plugin's operations are polled.
    #[must_use]
    pub fn polling(mut self, polling: Polling) -> Self {
        self.polling = polling;
        self
    }

    /// Chooses the keys that it takes.
    #[must_use]
    pub fn key_policy(mut self, policy: KeyPolicy) -> Self {
        self.key_policy = policy;
        self
    }

    /// Chooses what becomes of a content type that the store does not keep.
    #[must_use]
    pub fn content_type(mut self, policy: ContentTypePolicy) -> Self {
        self.content_type = policy;
        self
    }

    /// Accepts a store whose readers may see partial objects.
    #[must_use]
    pub fn allow_non_atomic_put(mut self) -> Self {
        self.allow_non_atomic_put = true;
        self
    }

    /// Adds a further name.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// Enforces these policies.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    pub(crate) fn split(self, name: &str) -> Result<(BackendConfig, PluginRef)> {
        let asked = match &self.plugin {
            PluginRef::Named(name) => name.clone(),
            PluginRef::BuiltIn(_) => "built in".to_owned(),
            PluginRef::File(file) => file.display().to_string(),
        };
        let mut config = BackendConfig::new(name, asked, self.config)?;
        config.key_policy = self.key_policy;
        config.content_type = self.content_type;
        config.timeout = self.timeout;
        config.max_wait = self.max_wait;
        config.polling = self.polling;
        config.allow_non_atomic_put = self.allow_non_atomic_put;
        config.set_aliases(self.aliases)?;
        config.set_policy(self.policy)?;
        Ok((config, self.plugin))
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("plugin", &self.plugin)
            .field("key_policy", &self.key_policy)
            .field("content_type", &self.content_type)
            .field("timeout", &self.timeout)
            .field("max_wait", &self.max_wait)
            .field("polling", &self.polling)
            .field("allow_non_atomic_put", &self.allow_non_atomic_put)
            .field("aliases", &self.aliases)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
