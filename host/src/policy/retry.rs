//! Whether, when and how often an attempt is repeated: the rules. What they are applied to: `operations/attempts.rs`.

use super::Retries;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use holdall_plugin_api::{Error, ErrorKind, Retry};
use std::time::Duration;

/// What is repeated when the outcome of an attempt is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// The operation: doing it twice is doing it once.
    Repeat,
    /// Nothing: the error is the answer.
    Answer,
}

impl Retries {
    /// Calls of a plugin that repeats so often itself, such that the attempts at the provider are no more
    /// than configured.
    pub(crate) fn calls(&self, own: u32) -> u32 {
        (self.attempts / own.saturating_add(1)).max(1)
    }

    pub(crate) fn waits(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.max)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter()
            .build()
    }

    /// How long to wait before the next attempt; `None`: there is none.
    pub(crate) fn wait(&self, error: &Error, unknown: Unknown, step: Duration) -> Option<Duration> {
        let step = step.min(self.max);
        match (error.retry(), error.kind()) {
            // The instance is of no use any more, or the caller does not want it.
            (_, ErrorKind::Unauthenticated | ErrorKind::PluginFault | ErrorKind::Cancelled) => None,
            (Retry::Safe, _) => Some(step),
            (Retry::After(least), _) => (least <= self.max).then(|| step.max(least)),
            (Retry::IfIdempotent, _) => (unknown == Unknown::Repeat).then_some(step),
            _ => None,
        }
    }
}
