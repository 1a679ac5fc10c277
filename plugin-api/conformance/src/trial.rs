//! What a case works with: a subject, names of its own, and the place that opens more subjects.

use crate::case::{Outcome, Stop};
use crate::report::CaseResult;
use crate::subject::{DirectAccess, Stage, Subject};
use crate::watch::{Met, Watched};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What the cases of one run have in common.
pub(crate) struct Shared {
    pub(crate) stage: Arc<dyn Stage>,
    next_store: AtomicU32,
    /// What ended so far.
    pub(crate) results: Mutex<Vec<CaseResult>>,
    pub(crate) met: Mutex<Vec<Met>>,
}

/// The store that most cases share.
pub(crate) const MAIN_STORE: u32 = 0;

impl Shared {
    pub(crate) fn new(stage: Arc<dyn Stage>) -> Self {
        Self {
            stage,
            next_store: AtomicU32::new(MAIN_STORE + 1),
            results: Mutex::default(),
            met: Mutex::default(),
        }
    }
}

/// One case at work. The methods of [`Watched`] go to the main subject.
pub(crate) struct Trial {
    main: Watched,
    prefix: String,
    pub(crate) shared: Arc<Shared>,
    others: Mutex<Vec<Watched>>,
}

impl Deref for Trial {
    type Target = Watched;
    fn deref(&self) -> &Watched {
        &self.main
    }
}

impl Trial {
    pub(crate) fn new(shared: Arc<Shared>, main: Watched, case: &'static str, run: &str) -> Self {
        Self {
            main,
            prefix: format!("kit-{run}/{}/", case.to_lowercase()),
            shared,
            others: Mutex::default(),
        }
    }

    /// A key that no other case and no other run uses.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What all keys of this case begin with; ends in `/`.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The main subject, to move into a task.
    pub(crate) fn main(&self) -> Watched {
        self.main.clone()
    }

    pub(crate) fn stage(&self) -> &Arc<dyn Stage> {
        &self.shared.stage
    }

    /// A number of a store that was not used before.
    pub(crate) fn new_store(&self) -> u32 {
        self.shared.next_store.fetch_add(1, Ordering::Relaxed)
    }

    /// Another instance on this store.
    pub(crate) async fn open(&self, store: u32) -> Outcome<Watched> {
        Ok(self.watch(self.stage().open(store).await?))
    }

    /// Notes what happens to a subject that was opened otherwise.
    pub(crate) fn watch(&self, subject: Arc<dyn Subject>) -> Watched {
        let watched = self.main.another(subject);
        self.others
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(watched.clone());
        watched
    }

    /// Another instance with an empty store.
    pub(crate) async fn fresh(&self) -> Outcome<Watched> {
        if !self.stage().has_stores() {
            return not_applicable("the configuration names one store only");
        }
        self.open(self.new_store()).await
    }

    /// A look from outside at a store, or the end of the case.
    pub(crate) fn direct_access(&self, store: u32) -> Outcome<Arc<dyn DirectAccess>> {
        let access = self.stage().direct_access(store);
        access.ok_or_else(|| Stop::NotApplicable("no look at the store from outside".into()))
    }

    /// Removes what the case has made, everywhere.
    pub(crate) async fn clean(self) {
        let mut met = self.main.clean().await;
        let others = self
            .others
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for other in others {
            met.extend(other.clean().await);
        }
        let mut all = self
            .shared
            .met
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.extend(met);
    }
}

/// The case does not arise.
pub(crate) fn not_applicable<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Stop::NotApplicable(why.into()))
}

/// Waits for what another thread is about to do, where nothing tells that it is done: polls for at
/// most twenty seconds. `false`: it never came.
pub(crate) async fn soon(mut done: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(20);
    while !done() {
        if Instant::now() > until {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    true
}
