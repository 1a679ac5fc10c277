//! The host: registered backends by name, and the plugins that serve them.

mod builder;
mod quotas;
mod registration;
mod reload;
mod shutdown;
mod status;
mod upgrade;

pub use builder::{Builder, OpenLedger};
pub(crate) use builder::{check_ledger, no_ledger};
pub use registration::Registration;
pub use reload::Reconfigured;
pub use status::{BackendStatus, ErrorStatus, PluginFaults, PluginState, PluginStatus, Status};
pub use upgrade::Upgraded;

pub use crate::plugin::catalog::FileState;

use crate::backend::Backend;
use crate::backend::context::Context;
use crate::backend::handle::Slot;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::plugin::errors;
use crate::plugin::scan::{ScanReport, Shadowed};
use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use holdall_plugin_api::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Plugins and backends of a program. Cheap to clone; clones are the same host.
///
/// ```no_run
/// # async fn example() -> holdall::Result<()> {
/// use holdall::{Host, Upload};
///
/// let host = Host::builder().plugin_dir("plugins").config_file("holdall.toml").build()?;
/// let avatars = host.backend("avatars").await?;
/// avatars.upload(Upload::new("u/7.txt", "hello").content_type("text/plain")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    context: Arc<Context>,
    /// Locked for as long as another one is put in its place.
    config: Mutex<Arc<Config>>,
    /// Copied when a name is added. A name keeps its slot when its backend is removed, because
    /// handles follow it. Hashed without protection against chosen keys: names come from the
    /// configuration.
    slots: ArcSwap<HashMap<String, Arc<Slot>, RandomState>>,
}

impl Host {
    /// Starts with nothing: no directory, no environment, no plugin.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(context: Context, config: Config) -> Self {
        let config = Arc::new(config);
        let host = Self(Arc::new(Inner {
            context: Arc::new(context),
            config: Mutex::new(config.clone()),
            slots: ArcSwap::default(),
        }));
        for backend in config.backends.values() {
            let plugin = backend.plugin.as_str().into();
            host.slot(&backend.name).register(backend.clone(), plugin);
        }
        host
    }

    /// The slot of this name; made when there is none.
    pub(crate) fn slot(&self, name: &str) -> Arc<Slot> {
        if let Some(slot) = self.0.slots.load().get(name) {
            return slot.clone();
        }
        let new = Slot::new(name, &self.0.context);
        let mut slot = new.clone();
        self.0.slots.rcu(|slots| {
            let mut slots = HashMap::clone(slots);
            // Another thread may have added the name meanwhile.
            slot = slots
                .entry(name.to_owned())
                .or_insert_with(|| new.clone())
                .clone();
            slots
        });
        slot
    }

    #[inline]
    fn known(&self, name: &str) -> Result<Arc<Slot>> {
        match self.0.slots.load().get(name) {
            Some(slot) if slot.is_registered() => Ok(slot.clone()),
            _ => self.aliased(name).ok_or_else(|| self.unknown(name)),
        }
    }

    /// The backend that has this further name. Names come before further names.
    #[cold]
    fn aliased(&self, name: &str) -> Option<Arc<Slot>> {
        let has = |slot: &&Arc<Slot>| {
            let current = slot.current();
            current.is_some_and(|it| it.config.mount.aliases.iter().any(|alias| alias == name))
        };
        self.0.slots.load().values().find(has).cloned()
    }

    /// The backend's own name, for its name or an alias; `None` when there is no such backend.
    ///
    /// ```no_run
    /// # fn example(host: holdall::Host) {
    /// // [backend.avatars]
    /// // aliases = ["pictures"]
    /// assert_eq!(host.resolve_name("pictures").as_deref(), Some("avatars"));
    /// # }
    /// ```
    pub fn resolve_name(&self, name: &str) -> Option<String> {
        self.known(name).ok().map(|slot| slot.name.clone())
    }

    #[cold]
    fn unknown(&self, name: &str) -> Error {
        let catalog = &self.0.context.catalog;
        errors::not_registered(name, &self.backends(), catalog.dirs(), &catalog.report())
    }

    /// The backend of this name. The first get opens it; a thousand at once open it once.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// let avatars = host.backend("avatars").await?;
    /// avatars.exists("u/7.png").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `BackendNotRegistered`: with what there is, where it was searched and the nearest name.
    /// - `PluginLoad`: its plugin is not there or does not load.
    /// - `ConfigInvalid`: every bad field.
    /// - Whatever the plugin's `open` says. The next get tries again, at once the first time, then
    ///   after 100 ms, doubling up to 30 s; until then the last error is answered, with its
    ///   retry-after.
    pub fn backend(&self, name: &str) -> impl Future<Output = Result<Backend>> + Send + use<> {
        let slot = self.known(name);
        async move {
            let slot = slot?;
            let generation = slot.generation()?;
            slot.open(&generation).await?;
            Ok(Backend::new(slot))
        }
    }

    /// The handle of this backend, without opening it: the first operation will.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// let avatars = host.handle("avatars")?;
    /// // Opened here.
    /// avatars.exists("u/7.png").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `BackendNotRegistered`.
    #[inline]
    pub fn handle(&self, name: &str) -> Result<Backend> {
        self.known(name).map(Backend::new)
    }

    /// The backend that is meant when none is named.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// let backend = host.default_backend().await?;
    /// println!("{}", backend.name());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Host::backend`]; also when there are several and none is the default.
    pub fn default_backend(&self) -> impl Future<Output = Result<Backend>> + Send + use<> {
        let backend = match self.default_name() {
            Some(name) => Ok(self.backend(&name)),
            None => Err(self.unknown("(default)")),
        };
        async move { backend?.await }
    }

    /// The name of the default backend: the configured one, else the only one. `None` when that
    /// backend is not registered.
    pub fn default_name(&self) -> Option<String> {
        let names = self.backends();
        match &self.config().default_backend {
            Some(name) => self.resolve_name(name),
            None => match names.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            },
        }
    }

    /// Names a backend. What had the name is replaced in one step: handles go on with the new
    /// generation, operations and bodies that run end on the old one. Nothing is opened yet.
    ///
    /// Returns the number of the generation, which counts from 1 for each name.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// use holdall::Registration;
    ///
    /// let registration = Registration::new("local").config(serde_json::json!({ "root": "/srv/data" }));
    /// let generation = host.register("data", registration)?;
    /// println!("generation {generation}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`: the name is not `[a-z0-9][a-z0-9-]{0,62}`, the configuration no object, or an
    /// alias belongs to another backend.
    pub fn register(&self, name: &str, registration: Registration) -> Result<u64> {
        let (config, plugin) = registration.split(name)?;
        for alias in &config.mount.aliases {
            if self.resolve_name(alias).is_some_and(|owner| owner != name) {
                return Err(Error::new(ErrorKind::ConfigInvalid)
                    .with_message(format!(
                        "the alias {alias:?} is the name of another backend"
                    ))
                    .with_fact("alias", alias));
            }
        }
        Ok(self.slot(name).register(config, plugin))
    }

    /// Takes a backend away; `false` when there was none. Its handles answer
    /// `BackendNotRegistered` until the name is registered again.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// let handle = host.handle("data")?;
    /// assert!(host.remove("data"));
    /// assert!(handle.exists("k").await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove(&self, name: &str) -> bool {
        self.0
            .slots
            .load()
            .get(name)
            .is_some_and(|slot| slot.remove())
    }

    /// Closes every instance and forgets every failure; registrations stay. The next operation
    /// of each backend opens it anew.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// // After credentials were rotated.
    /// host.reset_instances();
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset_instances(&self) {
        for slot in self.all() {
            if let Some(generation) = slot.current() {
                generation.reset();
            }
        }
    }

    /// Takes every backend away. Plugins stay known.
    pub fn reset_all(&self) {
        for slot in self.all() {
            slot.remove();
        }
    }

    /// The names of the backends, sorted.
    pub fn backends(&self) -> Vec<String> {
        let slots = self.all();
        let registered = slots.iter().filter(|slot| slot.is_registered());
        registered.map(|slot| slot.name.clone()).collect()
    }

    fn all(&self) -> Vec<Arc<Slot>> {
        let mut slots: Vec<_> = self.0.slots.load().values().cloned().collect();
        slots.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        slots
    }

    /// Reads the plugin directories again. A name that is taken stays with who has it; candidates
    /// that lost are in [`Host::shadowed`]. Maps nothing.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// for file in &host.scan_again().files {
    ///     println!("{}: {:?}", file.path.display(), file.verdict());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn scan_again(&self) -> Arc<ScanReport> {
        self.0.context.catalog.scan()
    }

    /// What the last scan found: every file, with its verdict.
    pub fn scan_report(&self) -> Arc<ScanReport> {
        self.0.context.catalog.report()
    }

    /// Candidates that came too late for a name or scheme.
    pub fn shadowed(&self) -> Vec<Shadowed> {
        self.0.context.catalog.shadowed()
    }

    /// The plugins that were accepted, by name.
    pub fn plugins(&self) -> Vec<PluginStatus> {
        let catalog = &self.0.context.catalog;
        let (candidates, report) = (catalog.candidates(), catalog.report());
        candidates
            .iter()
            .map(|plugin| PluginStatus::of(plugin, &report))
            .collect()
    }

    /// Maps every accepted plugin, and tells what came of each. Blocks for some milliseconds each.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// for (plugin, outcome) in host.load_plugins() {
    ///     if let Err(error) = outcome {
    ///         println!("{}: {error}", plugin.name);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn load_plugins(&self) -> Vec<(PluginStatus, Result<()>)> {
        let catalog = &self.0.context.catalog;
        let (candidates, report) = (catalog.candidates(), catalog.report());
        candidates
            .iter()
            .map(|plugin| {
                let outcome = plugin.load().map(drop);
                (PluginStatus::of(plugin, &report), outcome)
            })
            .collect()
    }

    /// Maps no further plugin from now on: whatever is not loaded yet is refused as `locked`. Plugins
    /// that are loaded go on, and can be opened with other configurations. Cannot be undone.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// host.load_plugins();
    /// host.lock_plugins();
    /// # Ok(())
    /// # }
    /// ```
    pub fn lock_plugins(&self) {
        self.0.context.catalog.trust().close();
    }

    /// Every file with its verdict, every plugin, every backend.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// let status = host.status();
    /// println!("{}", serde_json::to_string(&status).unwrap_or_default());
    /// # Ok(())
    /// # }
    /// ```
    pub fn status(&self) -> Status {
        let backends = self.all();
        let backends = backends.iter().filter_map(|slot| status::of_slot(slot));
        let scan = self.scan_report();
        Status {
            scan_us: status::micros(scan.took),
            scan,
            shadowed: self.shadowed(),
            plugins: self.plugins(),
            default_backend: self.default_name(),
            backends: backends.collect(),
        }
    }

    /// Signs URLs for backends that cannot, and verifies them. With the keys of now.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// let method_and_url = ("GET", "https://files.example.org/v1/avatars/u/7.png?hd-v=1");
    /// let granted = host.gateway().verify(method_and_url.0, method_and_url.1, [("host", "files.example.org")]);
    /// println!("{}", granted.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn gateway(&self) -> Arc<Gateway> {
        self.0.context.gateway.load_full()
    }

    /// The configuration that the host runs with.
    pub fn config(&self) -> Arc<Config> {
        let config = self.0.config.lock();
        config.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn config_cell(&self) -> &Mutex<Arc<Config>> {
        &self.0.config
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.0.context
    }

    /// The text with every known secret replaced by `[redacted]`.
    pub fn redact(&self, text: &str) -> String {
        self.0.context.secrets.redact(text).into_owned()
    }

    /// Validates the configuration of every backend, without opening or loading anything.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// let report = host.check_config();
    /// println!("{} problems in {} backends", report.problems.len(), report.backends.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn check_config(&self) -> crate::config::Report {
        self.check(&self.config())
    }

    pub(crate) fn load_required(&self) -> Result<()> {
        let catalog = &self.0.context.catalog;
        let required = catalog.rules().iter().filter(|(_, rule)| rule.required);
        let mut failed: Vec<(String, Error)> = Vec::new();
        for (name, _) in required {
            let loaded = catalog.candidate(name).and_then(|plugin| plugin.load());
            failed.extend(loaded.err().map(|error| (name.clone(), error)));
        }
        errors::required(failed)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("backends", &self.backends())
            .finish_non_exhaustive()
    }
}
