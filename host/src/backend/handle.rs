//! The handle that programs hold, and the place of its name, which it follows from generation to
//! generation.

use super::context::Context;
use super::counters::Counters;
use super::current::Place;
use super::generation::{Generation, Opened};
use super::options::CallOptions;
use super::scope::Scope;
use crate::config::BackendConfig;
use crate::gateway::Account;
use crate::ledger::Reconciled;
use crate::plugin::{PluginRef, errors};
use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::{Capabilities, Key, Limits, Operation, Operations, Result};
use std::fmt;
use std::sync::{Arc, Mutex};

/// A named store. Cheap to clone, usable from any thread, good for as long as the program runs.
///
/// It follows its name: each operation starts on the generation that is registered then, opened if
/// need be and opened anew after a fault of the plugin or refused credentials. A body keeps the
/// instance that it began on. Its operations are those of the plugin API, checked, measured and
/// bounded; where a plugin lacks one that can be composed of others, the host composes it.
#[derive(Clone)]
pub struct Backend {
    pub(crate) slot: Arc<Slot>,
    /// Of the few handles that are special. Two words are a handle's whole size, so that finding one
    /// by its name costs little more than counting it.
    special: Option<Arc<Special>>,
}

#[derive(Clone, Default)]
struct Special {
    pinned: Option<Arc<Generation>>,
    options: Option<CallOptions>,
}

impl Backend {
    pub(crate) fn new(slot: Arc<Slot>) -> Self {
        Self {
            slot,
            special: None,
        }
    }

    fn specially(&self, change: impl FnOnce(&mut Special)) -> Self {
        let mut special = self.special.as_deref().cloned().unwrap_or_default();
        change(&mut special);
        Self {
            slot: self.slot.clone(),
            special: Some(Arc::new(special)),
        }
    }

    fn pinned(&self) -> Option<&Arc<Generation>> {
        self.special.as_deref()?.pinned.as_ref()
    }

    pub(crate) fn options(&self) -> Option<&CallOptions> {
        self.special.as_deref()?.options.as_ref()
    }

    pub(crate) fn account(&self) -> Account<'_> {
        let options = self.options();
        Account {
            owner: options.and_then(|options| options.owner.as_deref()),
            group: options.and_then(|options| options.group.as_deref()),
            reservation: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.slot.name
    }

    /// The same backend, each of whose operations runs under these options.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::CallOptions;
    /// use std::time::{Duration, Instant};
    ///
    /// let deadline = Instant::now() + Duration::from_secs(2);
    /// let hurried = photos.with(CallOptions::new().deadline(deadline).request_id("r-1"));
    /// hurried.exists("2026/cat.txt").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        self.specially(|special| special.options = Some(options))
    }

    /// A handle that stays with the generation of now, whatever is registered later.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// let fixed = photos.pin()?;
    /// assert_eq!(fixed.generation_number()?, photos.generation_number()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `BackendNotRegistered`: the backend was removed.
    pub fn pin(&self) -> Result<Self> {
        let generation = self.generation()?;
        Ok(self.specially(|special| special.pinned = Some(generation)))
    }

    /// A handle of this generation, without options.
    pub(crate) fn plain(&self, generation: Arc<Generation>) -> Self {
        Self {
            slot: self.slot.clone(),
            special: Some(Arc::new(Special {
                pinned: Some(generation),
                options: None,
            })),
        }
    }

    pub(crate) fn generation(&self) -> Result<Arc<Generation>> {
        match self.pinned() {
            Some(generation) => Ok(generation.clone()),
            None => self.slot.generation(),
        }
    }

    /// The number of the generation that the next operation starts on.
    ///
    /// # Errors
    ///
    /// `BackendNotRegistered`: the backend was removed.
    pub fn generation_number(&self) -> Result<u64> {
        self.generation().map(|generation| generation.number)
    }

    /// What the instance can do; opens it first when there is none.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// let info = photos.info().await?;
    /// println!("{} {}: {}", info.plugin, info.plugin_version, info.description);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Why it cannot be opened.
    pub async fn info(&self) -> Result<BackendInfo> {
        let generation = self.generation()?;
        let opened = self.slot.open(&generation).await?;
        let about = &opened.instance.plugin().descriptor().about;
        Ok(BackendInfo {
            plugin: about.name.clone(),
            plugin_version: about.version.clone(),
            generation: generation.number,
            operations: opened.operations,
            capabilities: opened.terms.capabilities,
            limits: opened.terms.limits,
            description: opened.description.clone(),
            gateway: self.slot.context.gateway.load().is_configured(),
        })
    }

    /// Returns the key policy, the capabilities and the limits that requests are checked against;
    /// opens the backend first when there is no instance.
    ///
    /// # Errors
    ///
    /// Why it cannot be opened.
    pub async fn terms(&self) -> Result<Terms> {
        let opened = self.slot.open(&self.generation()?).await?;
        Ok(opened.terms)
    }

    pub(crate) fn scope<'a>(&'a self, operation: Operation, key: Option<&'a Key>) -> Scope<'a> {
        Scope::new(self, operation, key)
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("name", &self.slot.name)
            .field("pinned", &self.pinned().map(|generation| generation.number))
            .finish_non_exhaustive()
    }
}

/// One name. Stays when the backend is removed, so that old handles serve again when it returns.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) context: Arc<Context>,
    pub(crate) counters: Arc<Counters>,
    place: Place<Generation>,
    /// What ended processes left in the ledger has been settled.
    pub(crate) repaired: tokio::sync::OnceCell<()>,
    /// What reconciliations have mended since the start.
    pub(crate) mended: Mutex<Reconciled>,
}

impl Slot {
    pub(crate) fn new(name: &str, context: &Arc<Context>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            context: context.clone(),
            counters: Arc::default(),
            place: Place::new(),
            repaired: tokio::sync::OnceCell::new(),
            mended: Mutex::default(),
        })
    }

    /// Replaces what is here, in one step. Operations and bodies that run keep what they have.
    pub(crate) fn register(&self, config: BackendConfig, plugin: PluginRef) -> u64 {
        let make = |number| Generation::new(number, config, plugin);
        self.place.register(make)
    }

    /// Puts `next` in the place of `current`, in one step; `false` when something else is there.
    pub(crate) fn switch(&self, current: &Arc<Generation>, next: Arc<Generation>) -> bool {
        self.place.switch(current, next)
    }

    /// Empties the place; `false` when it was empty.
    pub(crate) fn remove(&self) -> bool {
        self.place.remove()
    }

    /// Whether a backend is registered.
    pub(crate) fn is_registered(&self) -> bool {
        self.place.is_taken()
    }

    pub(crate) fn current(&self) -> Option<Arc<Generation>> {
        self.place.current()
    }

    /// # Errors
    ///
    /// `BackendNotRegistered`: it was removed.
    pub(crate) fn generation(&self) -> Result<Arc<Generation>> {
        self.current().ok_or_else(|| errors::removed(&self.name))
    }

    /// The instance of this generation; opened first when there is none.
    pub(crate) async fn open(&self, generation: &Arc<Generation>) -> Result<Arc<Opened>> {
        match generation.live() {
            Some(opened) => Ok(opened),
            None => generation.open(&self.context, &self.counters).await,
        }
    }
}

/// An opened instance, as its plugin describes it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BackendInfo {
    /// Name of the plugin.
    pub plugin: String,
    /// Version of the plugin.
    pub plugin_version: String,
    /// Counts registrations of the backend's name.
    pub generation: u64,
    /// Operations that the plugin does itself. `head`, `copy`, `rename` and `delete_many` work in
    /// any case.
    pub operations: Operations,
    /// What it promises.
    pub capabilities: Capabilities,
    /// Its numbers.
    pub limits: Limits,
    /// One line for people.
    pub description: String,
    /// Whether the gateway of the host signs the URLs that the store does not.
    pub gateway: bool,
}
