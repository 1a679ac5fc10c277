//! What serves at present, and how it is replaced: [`Place`] holds the generation of a name, each put there in one
//! step; [`Flight`] the instance of a generation.
//!
//! Opening is single flight: the first caller starts a task that makes the instance, every caller waits for its
//! answer, and a caller that leaves ends nothing. Getting what is there is two atomic loads. `models` runs all of it
//! under the orders of threads that shuttle tries (`scripts/models`).

use super::backoff::Backoff;
use super::counters::{Counters, add};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use holdall_plugin_api::{Error, ErrorKind, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use sync::{Current, Mutex, MutexGuard};

#[cfg(all(test, shuttle))]
mod models;
mod sync;

/// The answer of an attempt, for each of its callers.
pub(crate) type Opening<T> = Shared<BoxFuture<'static, Result<Arc<T>>>>;

/// An instance, as far as a flight looks at it.
pub(crate) trait Kept: Send + Sync + 'static {
    /// Nothing has shown that it must be replaced.
    fn is_usable(&self) -> bool;

    /// It was given up by [`Kept::give_up`].
    fn is_given_up(&self) -> bool;

    /// From now on it is given up. Returns whether it was before.
    fn give_up(&self) -> bool;

    /// It was shut down on purpose: not to be replaced behind the caller's back.
    fn is_ended(&self) -> bool;
}

pub(crate) struct Flight<T> {
    live: Current<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// Goes up with every attempt and every reset: an attempt that was overtaken keeps its answer
    /// to its own waiters.
    attempt: u64,
    opening: Option<Opening<T>>,
    backoff: Backoff,
    last_error: Option<Error>,
}

impl<T> State<T> {
    fn new(attempt: u64) -> Self {
        Self {
            attempt,
            opening: None,
            backoff: Backoff::default(),
            last_error: None,
        }
    }
}

impl<T: Kept> Flight<T> {
    pub(crate) fn new() -> Self {
        Self {
            live: Current::empty(),
            state: Mutex::new(State::new(0)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance, when one is open and good.
    pub(crate) fn live(&self) -> Option<Arc<T>> {
        self.live.load_full().filter(|kept| kept.is_usable())
    }

    /// The instance that is there, whatever its state.
    pub(crate) fn kept(&self) -> Option<Arc<T>> {
        self.live.load_full()
    }

    /// The answer to wait for. `begin` starts an attempt of this number, if none goes on; it ends in
    /// [`Flight::finish`] or [`Flight::cut_off`].
    ///
    /// # Errors
    ///
    /// During the back-off: the last error, with its retry-after. What `begin` refuses.
    pub(crate) fn join<F>(
        &self,
        counters: &Counters,
        begin: impl FnOnce(u64) -> Result<F>,
    ) -> Result<Opening<T>>
    where
        F: Future<Output = Result<Arc<T>>> + Send + 'static,
    {
        // Dropped after the guard: an instance may end with it, which is the plugin's code.
        let replaced;
        let mut state = self.state();
        // Another caller may have finished between the look and the lock.
        if let Some(kept) = self.live() {
            return Ok(std::future::ready(Ok(kept)).boxed().shared());
        }
        replaced = self.live.swap(None);
        if let Some(poisoned) = &replaced {
            // No operation reported the fault that poisoned it: it may have happened in a body.
            if !poisoned.is_given_up() {
                let error =
                    Error::new(ErrorKind::PluginFault).with_message("the instance had a fault");
                add(&counters.evictions, 1);
                state.backoff.gave_up(&error);
            }
        }
        if let Some(opening) = &state.opening {
            return Ok(opening.clone());
        }
        if let Some(error) = state.backoff.refusal() {
            return Err(error);
        }
        let attempt = state.attempt + 1;
        let opening = begin(attempt)?.boxed().shared();
        state.attempt = attempt;
        state.opening = Some(opening.clone());
        Ok(opening)
    }

    /// The attempt has its answer.
    pub(crate) fn finish(&self, attempt: u64, outcome: &Result<Arc<T>>, counters: &Counters) {
        let mut state = self.state();
        let current = state.attempt == attempt;
        if current {
            state.opening = None;
        }
        match outcome {
            Ok(kept) => {
                add(&counters.opens, 1);
                if current {
                    state.backoff.opened();
                    self.live.store(Some(kept.clone()));
                }
            }
            Err(error) => {
                add(&counters.failed_opens, 1);
                if current {
                    state.backoff.failed(error);
                    state.last_error = Some(error.clone());
                }
            }
        }
    }

    /// What drove the attempt has ended before its answer: the next caller starts anew.
    pub(crate) fn cut_off(&self, attempt: u64) {
        let mut state = self.state();
        if state.attempt == attempt {
            state.opening = None;
        }
    }

    /// Gives an instance up, so that the next operation opens another.
    pub(crate) fn give_up(&self, kept: &Arc<T>, error: &Error, counters: &Counters) {
        if kept.is_ended() {
            return;
        }
        let mut state = self.state();
        if kept.give_up() {
            return;
        }
        add(&counters.evictions, 1);
        state.backoff.gave_up(error);
        state.last_error = Some(error.clone());
        let current = self.live.load_full();
        if current.is_some_and(|current| Arc::ptr_eq(&current, kept)) {
            self.live.store(None);
        }
    }

    /// Forgets the instance and every failure. Operations and bodies that run keep theirs.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        let new = State::new(state.attempt + 1);
        let forgotten = (std::mem::replace(&mut *state, new), self.live.swap(None));
        drop(state);
        // The instance may end here, which is the plugin's code: never under the lock.
        drop(forgotten);
    }

    /// Whether an attempt goes on.
    pub(crate) fn is_opening(&self) -> bool {
        self.state().opening.is_some()
    }

    /// In one word, for people and programs.
    pub(crate) fn state_name(&self) -> &'static str {
        let state = self.state();
        match self.live() {
            Some(kept) if kept.is_ended() => "shut_down",
            Some(_) => "open",
            None if state.opening.is_some() => "opening",
            None if state.backoff.refusal().is_some() => "backing_off",
            None if state.last_error.is_some() => "failed",
            None => "registered",
        }
    }

    pub(crate) fn last_error(&self) -> Option<Error> {
        self.state().last_error.clone()
    }
}

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
