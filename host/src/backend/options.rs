//! What a caller may say about one call, whatever the operation.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long a call may take, who may end it, and what it is called in logs.
///
/// ```
/// use std::time::Duration;
/// use holdall::CallOptions;
///
/// let options = CallOptions::new().timeout(Duration::from_secs(5)).request_id("req-7");
/// ```
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancel: Option<Cancel>,
    pub(crate) request_id: Option<Arc<str>>,
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
}

impl CallOptions {
    /// No bound, no name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Releases the caller at this moment with `Timeout`, whatever the plugin does. It bounds the
    /// body of a download too.
    #[must_use]
    pub fn deadline(mut self, at: Instant) -> Self {
        self.deadline = Some(at);
        self
    }

    /// As [`CallOptions::deadline`], counted from now.
    #[must_use]
    pub fn timeout(self, after: Duration) -> Self {
        match Instant::now().checked_add(after) {
            Some(at) => self.deadline(at),
            None => self,
        }
    }

    /// Releases the caller with `Cancelled` when the operation is cancelled.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Names the request in the logs of host and plugin.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// The W3C trace that the call belongs to.
    #[must_use]
    pub fn trace(mut self, trace_id: [u8; 16], span_id: [u8; 8]) -> Self {
        (self.trace_id, self.span_id) = (trace_id, span_id);
        self
    }
}

/// Ends calls from elsewhere. Clones end the same calls.
///
/// Dropping a future ends its call too; this is for those who do not hold the future.
#[derive(Clone, Debug)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Cancel {
    /// Nothing is cancelled yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Ends every call that has this in its options, now and later.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was called.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    pub(crate) async fn cancelled(&self) {
        // An error would mean that the sender is gone, and `self` holds it.
        let _ = self.0.subscribe().wait_for(|cancelled| *cancelled).await;
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Self::new()
    }
}
