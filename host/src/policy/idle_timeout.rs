//! How long a body may stand still, where the host itself reads it.

use super::counts::{PolicyCounters, Refusal};
use holdall_plugin_api::{Body, Chunk, Error, ErrorKind, Result};
use std::time::Duration;

/// The idle time-out of one body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience<'a> {
    pub(crate) limit: Option<Duration>,
    pub(crate) counts: &'a PolicyCounters,
}

impl Patience<'_> {
    /// The next chunk.
    ///
    /// # Errors
    ///
    /// The body's own, or `Timeout`: it stood still.
    pub(crate) async fn next(&self, body: &mut Body) -> Option<Result<Chunk>> {
        let next = body.chunk();
        match self.limit {
            None => next.await,
            Some(limit) => match tokio::time::timeout(limit, next).await {
                Ok(next) => next,
                Err(_) => Some(Err(stalled(self.counts))),
            },
        }
    }
}

/// A body stood still for longer than the policy allows.
pub(crate) fn stalled(counts: &PolicyCounters) -> Error {
    counts.refused(Refusal::IdleTimeout);
    Error::new(ErrorKind::Timeout)
        .with_message("the body stood still for too long")
        .with_fact("policy", "idle_timeout")
}
