//! What a caller may say about one call, whatever the operation.

use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Owner of calls that name none.
pub const DEFAULT_OWNER: &str = "default";

/// How long a call may take, who may end it, who is charged, and what it is called in logs.
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
    pub(crate) cancel: Option<CancellationToken>,
    pub(crate) request_id: Option<Arc<str>>,
    pub(crate) actor: Option<Arc<str>>,
    pub(crate) owner: Option<Arc<str>>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) reservation: Option<u64>,
    pub(crate) unlimited: bool,
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

    /// Releases the caller with `Cancelled` when the token is cancelled, now or later. For callers that do
    /// not hold the future: dropping it ends the call too.
    #[must_use]
    pub fn cancel(mut self, token: CancellationToken) -> Self {
        self.cancel = Some(token);
        self
    }

    /// Names the request in the logs of host and plugin.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    /// Names who asks, for the [audit log](crate::audit): a token or a user, no secret.
    #[must_use]
    pub fn actor(mut self, name: impl Into<Arc<str>>) -> Self {
        self.actor = Some(name.into());
        self
    }

    /// Names the user to whom stored bytes are charged. Without it: [`DEFAULT_OWNER`]. Signed URLs of the
    /// gateway keep it.
    #[must_use]
    pub fn owner(mut self, name: impl Into<Arc<str>>) -> Self {
        self.owner = Some(name.into());
        self
    }

    /// Names the group to which stored bytes are charged, beside the owner.
    #[must_use]
    pub fn group(mut self, name: impl Into<Arc<str>>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// Uses up what a signed URL has reserved ([`Grant::reservation`](crate::gateway::Grant)).
    #[must_use]
    pub fn reservation(mut self, id: u64) -> Self {
        self.reservation = Some(id);
        self
    }

    /// Counts what is stored without refusing it: for operators.
    #[must_use]
    pub fn ignore_quota(mut self) -> Self {
        self.unlimited = true;
        self
    }

    /// The W3C trace that the call belongs to.
    #[must_use]
    pub fn trace(mut self, trace_id: [u8; 16], span_id: [u8; 8]) -> Self {
        (self.trace_id, self.span_id) = (trace_id, span_id);
        self
    }
}
