//! Whether, when and how often an attempt is repeated.

use super::counts::PolicyCounters;
use super::{Guards, Refusal, Retries};
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use holdall_plugin_api::{Error, ErrorKind, Result, Retry};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// What is repeated when the outcome of an attempt is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// The operation: doing it twice is doing it once.
    Repeat,
    /// Nothing: the error is the answer.
    Answer,
}

impl Retries {
    /// Calls of a plugin that repeats so often itself, such that the attempts at the provider are no more
    /// than configured.
    pub(super) fn calls(&self, own: u32) -> u32 {
        (self.attempts / own.saturating_add(1)).max(1)
    }

    fn waits(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.max)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter()
            .build()
    }

    /// How long to wait before the next attempt; `None`: there is none.
    pub(super) fn wait(&self, error: &Error, unknown: Unknown, step: Duration) -> Option<Duration> {
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

/// The attempts of one operation.
pub(super) struct Attempts<'a> {
    guards: &'a Guards,
    scope: &'a Scope<'a>,
    opened: Cow<'a, Arc<Opened>>,
    /// Calls that are left after the present one.
    left: u32,
    made: u32,
    waits: Option<ExponentialBackoff>,
    refreshed: bool,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(guards: &'a Guards, scope: &'a Scope<'a>, opened: &'a Arc<Opened>) -> Self {
        let retry = guards.retry.as_ref();
        let calls = retry.map_or(1, |retry| retry.calls(opened.terms.limits.retries));
        Self {
            guards,
            scope,
            opened: Cow::Borrowed(opened),
            left: calls - 1,
            made: 0,
            waits: None,
            refreshed: false,
        }
    }

    /// Begins the next attempt.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the breaker is open.
    pub(super) fn begin(&mut self) -> Result<()> {
        if let Some(breaker) = &self.guards.breaker {
            breaker.admit().map_err(|error| {
                self.counts().refused(Refusal::Breaker);
                self.counted(error)
            })?;
        }
        self.made += 1;
        Ok(())
    }

    /// What the present attempt runs on.
    pub(super) fn opened(&self) -> &Arc<Opened> {
        &self.opened
    }

    fn counts(&self) -> &'a PolicyCounters {
        &self.scope.counters().policies
    }

    fn counted(&self, error: Error) -> Error {
        error.at(|place| place.attempts = place.attempts.max(self.made))
    }

    /// Whether another attempt would follow this outcome but for a repeat doing harm.
    pub(super) fn depends<T>(&self, outcome: &Result<T>) -> bool {
        self.left > 0 && matches!(outcome, Err(error) if error.retry() == Retry::IfIdempotent)
    }

    /// Ends the attempt that has no successor.
    pub(super) fn last<T>(&self, outcome: Result<T>) -> Result<T> {
        if let Some(breaker) = &self.guards.breaker {
            breaker.saw(&outcome, self.counts());
        }
        outcome.map_err(|error| self.counted(error))
    }

    /// Ends an attempt. `Continue`: time for the next one.
    pub(super) async fn end<T>(
        &mut self,
        outcome: Result<T>,
        unknown: Unknown,
    ) -> ControlFlow<Result<T>> {
        if let Some(breaker) = &self.guards.breaker {
            breaker.saw(&outcome, self.counts());
        }
        let error = match outcome {
            Ok(answer) => return ControlFlow::Break(Ok(answer)),
            Err(error) => error,
        };
        let Some(retry) = &self.guards.retry else {
            return ControlFlow::Break(Err(error));
        };
        if error.kind() == ErrorKind::Unauthenticated && !self.refreshed {
            return self.refresh(error).await;
        }
        if self.left == 0 {
            return ControlFlow::Break(Err(self.counted(error)));
        }
        let waits = self.waits.get_or_insert_with(|| retry.waits());
        let step = waits.next().unwrap_or(retry.max);
        let Some(wait) = retry.wait(&error, unknown, step) else {
            return ControlFlow::Break(Err(self.counted(error)));
        };
        if self.scope.ends_before(wait) {
            return ControlFlow::Break(Err(self.counted(error)));
        }
        self.left -= 1;
        self.counts().retried();
        tracing::debug!(target: "holdall", %error, ?wait, attempt = self.made, "repeated");
        tokio::time::sleep(wait).await;
        ControlFlow::Continue(())
    }

    /// Refused credentials: once more, with an instance that has read them anew.
    async fn refresh<T>(&mut self, error: Error) -> ControlFlow<Result<T>> {
        self.refreshed = true;
        let Ok(generation) = self.scope.generation() else {
            return ControlFlow::Break(Err(error));
        };
        generation.give_up(&self.opened, &error, self.scope.counters());
        match self.scope.backend.slot.open(generation).await {
            Ok(opened) => {
                self.opened = Cow::Owned(opened);
                self.counts().retried();
                ControlFlow::Continue(())
            }
            Err(_) => ControlFlow::Break(Err(self.counted(error))),
        }
    }
}
