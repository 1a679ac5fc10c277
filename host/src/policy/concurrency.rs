//! How many operations run at once. The semaphore of tokio is fair: the first to wait is the first to go.

use holdall_plugin_api::{Error, ErrorKind, Result, Retry};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The permit of one operation, or of its body.
pub(crate) type Turn = OwnedSemaphorePermit;

#[derive(Debug)]
pub(crate) struct Concurrency {
    permits: Arc<Semaphore>,
    most: u32,
    max_wait: Duration,
}

impl Concurrency {
    pub(super) fn new(most: u32, max_wait: Duration) -> Self {
        let permits = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS))),
            most,
            max_wait,
        }
    }

    /// # Errors
    ///
    /// `Unavailable`: others kept it waiting for too long. Nothing was done.
    pub(crate) async fn turn(&self) -> Result<Turn> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = tokio::time::timeout(self.max_wait, self.permits.clone().acquire_owned());
        match waiting.await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::new(ErrorKind::Unavailable)
                .with_message("too many operations at once")
                .with_retry(Retry::Safe)
                .with_fact("limit", self.most)
                .with_fact("waited", format!("{:?}", self.max_wait))),
        }
    }
}
