//! The place of one backend name, which handles follow from generation to generation.

use super::context::Context;
use super::counters::Counters;
use super::generation::{Generation, Opened};
use crate::config::BackendConfig;
use crate::plugin::PluginRef;
use crate::plugin::errors;
use arc_swap::ArcSwapOption;
use holdall_plugin_api::Result;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One name. Stays when the backend is removed, so that old handles serve again when it returns.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) context: Arc<Context>,
    pub(crate) counters: Arc<Counters>,
    current: ArcSwapOption<Generation>,
    /// The number of the last generation. Held while the next one is put in place, so that the
    /// last to register is the one that stays.
    last: Mutex<u64>,
}

impl Slot {
    pub(crate) fn new(name: &str, context: &Arc<Context>) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            context: context.clone(),
            counters: Arc::default(),
            current: ArcSwapOption::empty(),
            last: Mutex::new(0),
        })
    }

    /// Replaces what is here, in one step. Operations and bodies that run keep what they have.
    pub(crate) fn register(&self, config: BackendConfig, plugin: PluginRef) -> u64 {
        let mut last = self.lock();
        *last += 1;
        let number = *last;
        let new = Generation::new(number, config, plugin);
        let replaced = self.current.swap(Some(new));
        drop(last);
        // Its instance may end here, which is the plugin's code: never under the lock.
        drop(replaced);
        number
    }

    /// Empties the place; `false` when it was empty.
    pub(crate) fn remove(&self) -> bool {
        let last = self.lock();
        let removed = self.current.swap(None);
        drop(last);
        // As above: what may end here ends outside of the lock.
        removed.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a backend is registered.
    pub(crate) fn is_registered(&self) -> bool {
        self.current.load().is_some()
    }

    pub(crate) fn current(&self) -> Option<Arc<Generation>> {
        self.current.load_full()
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
