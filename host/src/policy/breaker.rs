//! Leaves a backend alone that does not answer.

use super::Breaker;
use super::counts::PolicyCounters;
use holdall_plugin_api::{Error, ErrorKind, Result, Retry};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct State {
    config: Breaker,
    /// Whether the last attempt failed, or attempts are refused. A backend that works takes no lock.
    is_failing: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Failures in a row.
    failures: u32,
    /// Until when attempts are refused; then one is let through, and this moves on by the same time.
    open_until: Option<Instant>,
}

impl State {
    pub(crate) fn new(config: Breaker) -> Self {
        Self {
            config,
            is_failing: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether attempts are refused, but for probes.
    pub(crate) fn is_open(&self) -> bool {
        self.seen().open_until.is_some()
    }

    /// # Errors
    ///
    /// `Unavailable`, with the time until the next attempt: the plugin was not called.
    pub(crate) fn admit(&self) -> Result<()> {
        if !self.is_failing.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut seen = self.seen();
        let Some(until) = seen.open_until else {
            return Ok(());
        };
        let now = Instant::now();
        if now >= until {
            // The probe. Others wait for it, and for the next one should it never come back.
            seen.open_until = Some(now + self.config.open_for);
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unavailable)
            .with_message("the backend failed repeatedly and is left alone for a time")
            .with_fact("policy", "breaker")
            .with_retry(Retry::After(until - now)))
    }

    pub(crate) fn saw<T>(&self, outcome: &Result<T>, counts: &PolicyCounters) {
        match outcome {
            Err(error) if is_outage(error.kind()) => self.failed(counts),
            _ if !self.is_failing.load(Ordering::Acquire) => {}
            _ => {
                let mut seen = self.seen();
                *seen = Seen::default();
                self.is_failing.store(false, Ordering::Release);
            }
        }
    }

    pub(crate) fn failed(&self, counts: &PolicyCounters) {
        let mut seen = self.seen();
        self.is_failing.store(true, Ordering::Release);
        seen.failures = seen.failures.saturating_add(1);
        if seen.failures >= self.config.failures {
            if seen.open_until.is_none() {
                counts.breaker_opened();
            }
            seen.open_until = Some(Instant::now() + self.config.open_for);
        }
    }
}

fn is_outage(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::RateLimited
    )
}
