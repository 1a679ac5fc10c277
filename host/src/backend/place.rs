//! What a name serves at present: one generation after the other, each put in place in one step.
//! [`models`] runs it under the orders of threads that shuttle tries (`scripts/models`).

use crate::platform::sync::{Current, Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

#[cfg(all(test, shuttle))]
mod models;

/// Generations of a name count from 1.
pub(crate) trait Numbered: Send + Sync + 'static {
    fn number(&self) -> u64;
}

#[derive(Debug)]
pub(crate) struct Place<G> {
    current: Current<G>,
    /// Whether `current` holds one: a plain flag, because every lookup of a handle asks.
    registered: AtomicBool,
    /// The number of the last generation. Held while the next one is put in place, so that the
    /// last to register is the one that stays.
    last: Mutex<u64>,
}

impl<G: Numbered> Place<G> {
    pub(crate) fn new() -> Self {
        Self {
            current: Current::empty(),
            registered: AtomicBool::new(false),
            last: Mutex::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn current(&self) -> Option<Arc<G>> {
        self.current.load_full()
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.registered.load(Ordering::Acquire)
    }

    /// Replaces what is here, in one step, by what `make` makes of the next number.
    pub(crate) fn register(&self, make: impl FnOnce(u64) -> Arc<G>) -> u64 {
        let mut last = self.lock();
        *last += 1;
        let number = *last;
        let replaced = self.current.swap(Some(make(number)));
        self.registered.store(true, Ordering::Release);
        drop(last);
        // Its instance may end here, which is the plugin's code: never under the lock.
        drop(replaced);
        number
    }

    /// Puts `next` in the place of `current`, in one step; `false` when something else is there.
    pub(crate) fn switch(&self, current: &Arc<G>, next: Arc<G>) -> bool {
        let mut last = self.lock();
        if *last != current.number() || self.current().is_none() {
            return false;
        }
        *last = next.number();
        let replaced = self.current.swap(Some(next));
        drop(last);
        // As above: what may end here ends outside of the lock.
        drop(replaced);
        true
    }

    /// Empties the place; `false` when it was empty.
    pub(crate) fn remove(&self) -> bool {
        let last = self.lock();
        let removed = self.current.swap(None);
        self.registered.store(false, Ordering::Release);
        drop(last);
        // As above: what may end here ends outside of the lock.
        removed.is_some()
    }
}
