//! The places that connections take: at most `max_connections`.
//!
//! A connection beyond them is accepted too, so that probes of `/healthz` are answered when all places
//! are taken. Any other request on it waits for a place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Debug, Default)]
pub(super) struct Places {
    taken: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

/// Held by a connection until it ends.
#[derive(Debug)]
pub(super) struct Permit(Arc<Places>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}

impl Places {
    pub(super) fn try_take(self: &Arc<Self>, most: usize) -> Option<Permit> {
        let one_more = |taken: usize| (taken < most).then_some(taken + 1);
        let taken = self
            .taken
            .try_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.is_ok().then(|| Permit(self.clone()))
    }

    /// Waits for a place.
    pub(super) async fn take(self: &Arc<Self>, most: impl Fn() -> usize) -> Permit {
        let _waiting = Waiting::new(self);
        loop {
            let freed = self.freed.notified();
            if let Some(place) = self.try_take(most()) {
                return place;
            }
            freed.await;
        }
    }

    /// Whether a request waits for a place.
    pub(super) fn are_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

struct Waiting<'a>(&'a Places);

impl<'a> Waiting<'a> {
    fn new(places: &'a Places) -> Self {
        places.waiting.fetch_add(1, Ordering::Relaxed);
        Self(places)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
