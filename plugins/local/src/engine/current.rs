//! The opened root that is in use, and when it is opened again.
//!
//! A root is opened again for two reasons: one of its directories other than `objects` was removed
//! while it was in use, or it could not be written when it was opened (read-only, full, no
//! permission) and may be writable now.

use super::fault::{Fault, FaultKind, Outcome};
use super::store::{LocalStore, Options};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// The store in use.
#[derive(Debug)]
pub(crate) struct Current {
    options: Options,
    store: RwLock<Arc<LocalStore>>,
    /// When a root that could not be written was tried again.
    last_retry: Mutex<Option<Instant>>,
}

/// Between two attempts to write to a root that could not be written.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl Current {
    /// Opens a root.
    pub(crate) fn open(path: &Path, options: Options) -> Outcome<Self> {
        let store = Arc::new(LocalStore::open(path, options)?);
        Ok(Self {
            options,
            store: RwLock::new(store),
            last_retry: Mutex::new(None),
        })
    }

    /// The store in use.
    pub(crate) fn store(&self) -> Arc<LocalStore> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&store)
    }

    /// Runs a change; once more after opening the root again, where that may help.
    pub(crate) fn change<T>(&self, change: impl Fn(&Arc<LocalStore>) -> Outcome<T>) -> Outcome<T> {
        let store = self.store();
        match change(&store) {
            Err(fault) if helps(&store, &fault) => match self.reopen(&store, &fault) {
                Some(store) => change(&store),
                None => Err(fault),
            },
            outcome => outcome,
        }
    }

    /// Opens a root that could not be written again. Returns whether it can be written now.
    pub(crate) fn retry_writing(&self) -> bool {
        let store = self.store();
        let unwritable = |store: &LocalStore| store.unwritable().is_some();
        if !unwritable(&store) {
            return true;
        }
        let fault = Fault::new(FaultKind::Denied, "write", "");
        self.reopen(&store, &fault)
            .is_some_and(|store| !unwritable(&store))
    }

    fn reopen(&self, failed: &Arc<LocalStore>, fault: &Fault) -> Option<Arc<LocalStore>> {
        // One at a time; those that waited find the work done.
        let mut last = self
            .last_retry
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = self.store();
        if !Arc::ptr_eq(&now, failed) {
            return Some(now);
        }
        if fault.kind != FaultKind::PartMissing {
            if last.is_some_and(|last| last.elapsed() < RETRY_PAUSE) {
                return None;
            }
            *last = Some(Instant::now());
        }
        // Another root may be there by now: that one is not opened in place of this one.
        failed.usable().and_then(|()| failed.present()).ok()?;
        let opened = Arc::new(LocalStore::open(failed.path(), self.options).ok()?);
        if opened.unwritable().is_some() && fault.kind != FaultKind::PartMissing {
            return None;
        }
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        if failed.usable().is_err() {
            return None;
        }
        *store = Arc::clone(&opened);
        Some(opened)
    }
}

fn helps(store: &LocalStore, fault: &Fault) -> bool {
    let unwritable =
        matches!(fault.kind, FaultKind::Denied | FaultKind::Full) && store.unwritable().is_some();
    unwritable || fault.kind == FaultKind::PartMissing
}
