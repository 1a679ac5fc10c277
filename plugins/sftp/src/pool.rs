//! A few connections, opened when they are needed and again when they broke.
//!
//! SFTP carries many requests side by side on one connection, so the first one serves until it is
//! busy. A connection is bound by one core of the server and by its window, so a second and a third
//! are opened then.

use crate::config::CheckedConfig;
use crate::error;
use crate::session::Session;
use holdall_plugin_api::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Operations and streams on one connection before another is opened.
const BUSY: usize = 8;

#[derive(Debug)]
pub(crate) struct Pool {
    settings: CheckedConfig,
    slots: Vec<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    session: Mutex<Option<Arc<Session>>>,
    active: AtomicUsize,
}

/// A connection in use.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) session: Arc<Session>,
    _used: Used,
}

#[derive(Debug)]
struct Used {
    pool: Arc<Pool>,
    slot: usize,
}

impl Drop for Used {
    fn drop(&mut self) {
        self.pool.slots[self.slot]
            .active
            .fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(crate) fn new(settings: CheckedConfig) -> Self {
        let slots = (0..settings.max_connections)
            .map(|_| Slot::default())
            .collect();
        Self { settings, slots }
    }

    pub(crate) fn settings(&self) -> &CheckedConfig {
        &self.settings
    }

    /// A connection that answers, as far as is known.
    ///
    /// # Errors
    ///
    /// Those of connecting.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let active = |slot: &Slot| slot.active.load(Ordering::Relaxed);
        let slot = self
            .slots
            .iter()
            .position(|slot| active(slot) < BUSY)
            .or_else(|| (0..self.slots.len()).min_by_key(|slot| active(&self.slots[*slot])))
            .unwrap_or_default();
        self.slots[slot].active.fetch_add(1, Ordering::Relaxed);
        let used = Used {
            pool: Arc::clone(self),
            slot,
        };
        // Another may be connecting. Who waits for that waits as long as for an attempt of his own: of
        // many, one after the other, the last would hear of a dead server after many times as long.
        let session = self.slots[slot].session.lock();
        let session = timeout(self.settings.connect_timeout, session).await;
        let mut session = session.map_err(|_| error::too_slow())?;
        let live = session.as_ref().filter(|session| !session.is_closed());
        let live = match live {
            Some(live) => Arc::clone(live),
            None => {
                *session = None;
                let fresh = Arc::new(Session::connect(&self.settings).await?);
                *session = Some(Arc::clone(&fresh));
                fresh
            }
        };
        Ok(Lease {
            session: live,
            _used: used,
        })
    }

    /// Lets go of every connection; those in use end with their last user.
    pub(crate) async fn close(&self) {
        for slot in &self.slots {
            slot.session.lock().await.take();
        }
    }
}
