//! The attempts of one operation, as breaker and retries allow them.

use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use crate::policy::counts::PolicyCounters;
use crate::policy::retry::Unknown;
use crate::policy::{Guards, Refusal};
use backon::ExponentialBackoff;
use holdall_plugin_api::{Error, ErrorKind, Result, Retry};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;

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
    in_doubt: bool,
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
            in_doubt: false,
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

    /// Whether an attempt before the present one may have done the operation.
    pub(super) fn in_doubt(&self) -> bool {
        self.in_doubt
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
        let may_have_done_it = self.depends(&outcome);
        let ended = self.end_one(outcome, unknown).await;
        self.in_doubt |= may_have_done_it && ended.is_continue();
        ended
    }

    async fn end_one<T>(&mut self, outcome: Result<T>, unknown: Unknown) -> ControlFlow<Result<T>> {
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
