//! The most operations of a plugin at once, kept in its place: `max_in_flight` of its descriptor.
//!
//! Each holds a [`Pass`]: an operation until it is dropped, a download's body until its
//! end or its drop, the opening and the end of an instance. So with a limit of 1 no two threads are
//! ever in the plugin's code at once, its `release` functions left out.

use super::caller::wait;
use super::pool::off_the_caller;
use holdall_plugin_api::{Error, ErrorKind, Result, Retry};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The entrance of a plugin that does not take any number of operations.
#[derive(Debug)]
pub(super) struct Gate {
    passes: Arc<Semaphore>,
    most: u32,
}

/// The passes of plugins that are linked in, by their entry functions: every host of the program
/// checks them anew, and their code is there once.
static LINKED: Mutex<Vec<(usize, Arc<Semaphore>)>> = Mutex::new(Vec::new());

/// Leave to be inside; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Pass(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

impl Gate {
    /// `None` for a plugin that takes any number.
    pub(super) fn new(max_in_flight: u32) -> Option<Self> {
        let most = usize::try_from(max_in_flight).unwrap_or(usize::MAX);
        (most > 0).then(|| Self {
            passes: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
            most: max_in_flight,
        })
    }

    /// As [`Gate::new`], for a plugin that is linked in.
    pub(super) fn of_linked(entry: usize, max_in_flight: u32) -> Option<Self> {
        let mut gate = Self::new(max_in_flight)?;
        let mut linked = LINKED.lock().unwrap_or_else(PoisonError::into_inner);
        match linked.iter().find(|(known, _)| *known == entry) {
            Some((_, passes)) => gate.passes = passes.clone(),
            None => linked.push((entry, gate.passes.clone())),
        }
        Some(gate)
    }

    /// A pass, when one is free.
    pub(super) fn try_enter(&self) -> Option<Pass> {
        let passes = self.passes.clone();
        passes.try_acquire_owned().ok().map(Pass)
    }

    /// Waits, first come, first served.
    ///
    /// # Errors
    ///
    /// `Unavailable` once the patience is over: nothing has begun, so it may be tried again.
    pub(super) fn enter(
        &self,
        patience: Duration,
    ) -> impl Future<Output = Result<Pass>> + Send + 'static {
        let (passes, most) = (self.passes.clone(), self.most);
        async move {
            let full = || {
                Error::new(ErrorKind::Unavailable)
                    .with_message("the plugin is busy: it takes no more operations at once")
                    .with_fact("max_in_flight", most)
                    .with_fact("waited", format!("{patience:?}"))
                    .with_retry(Retry::Safe)
            };
            let pass = passes.acquire_owned();
            let pass = match Handle::try_current() {
                Ok(_) => tokio::time::timeout(patience, pass)
                    .await
                    .map_err(|_| full())?,
                // No clock of tokio's here: the caller's own bounds must do.
                Err(_) => pass.await,
            };
            // Never closed.
            pass.map(Pass).map_err(|_| full())
        }
    }

    /// Ends something of the plugin's without a waiting caller: here when that can be now, otherwise
    /// elsewhere when it can.
    pub(super) fn end(&self, here: bool, job: impl FnOnce() + Send + 'static) {
        match self.try_enter() {
            Some(pass) if here => {
                job();
                drop(pass);
            }
            Some(pass) => off_the_caller(move || {
                job();
                drop(pass);
            }),
            None => {
                let passes = self.passes.clone();
                // Never on a thread of the pool that may hold the very pass that is missing.
                super::pool::spawn(move || {
                    let mut pass = pin!(passes.acquire_owned());
                    let pass = wait(&Arc::default(), |cx| pass.as_mut().poll(cx));
                    job();
                    drop(pass);
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn no_limit_has_no_gate() {
        assert!(Gate::new(0).is_none());
        assert!(Gate::new(u32::MAX).is_some());
    }

    #[tokio::test]
    async fn waiting_too_long_is_unavailable_and_may_be_repeated() {
        let gate = Gate::new(1).unwrap();
        let inside = gate.try_enter().unwrap();
        assert!(gate.try_enter().is_none());
        let error = gate.enter(Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.retry(), Retry::Safe);
        assert!(error.facts().any(|fact| fact == ("max_in_flight", "1")));
        drop(inside);
        assert!(
            gate.enter(Duration::ZERO).await.is_ok(),
            "a free pass needs no patience"
        );
    }

    #[tokio::test]
    async fn the_end_of_something_waits_for_its_turn() {
        let gate = Gate::new(1).unwrap();
        let (to, from) = mpsc::channel();
        let inside = gate.try_enter().unwrap();
        let ended = to.clone();
        gate.end(true, move || ended.send("late").unwrap());
        assert!(from.recv_timeout(Duration::from_millis(50)).is_err());
        drop(inside);
        assert_eq!(from.recv_timeout(Duration::from_secs(60)).unwrap(), "late");
        let _free = gate.enter(Duration::from_secs(60)).await.unwrap();
    }
}
