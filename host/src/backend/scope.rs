//! What surrounds every operation: which instance, how long, counted, and errors with their place.

use super::Backend;
use super::context::Context;
use super::counters::{Counters, add};
use super::generation::{Generation, Opened};
use super::options::DEFAULT_OWNER;
use crate::audit::{self, AuditEvent};
use crate::plugin::errors;
use crate::plugin::load::{Call, KeptSpan, identifier};
use crate::policy::{Guards, Refusal, Turn};
use holdall_plugin_api::{Error, ErrorKind, Key, Operation, Result};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// One operation that is going on.
pub(crate) struct Scope<'a> {
    pub(crate) backend: &'a Backend,
    operation: Operation,
    key: Option<&'a Key>,
    target: Option<&'a Key>,
    started: Instant,
    deadline: Option<Instant>,
    /// Whether the deadline is that of the backend's policy.
    is_policy: bool,
    generation: Option<Arc<Generation>>,
    opened: OnceLock<Arc<Opened>>,
    /// The operation's place among those that run at once, where their number is limited.
    turn: Mutex<Option<Turn>>,
    /// Payload bytes, once the operation knows.
    pub(crate) moved: AtomicU64,
    answered: AtomicBool,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(backend: &'a Backend, operation: Operation, key: Option<&'a Key>) -> Self {
        let started = Instant::now();
        let generation = backend.generation().ok();
        let timeout = generation.as_ref().and_then(|it| it.config.mount.timeout);
        let guards = generation.as_ref().and_then(|it| it.guards.as_deref());
        let policy = guards.and_then(|guards| guards.deadline(operation));
        let own = timeout.into_iter().chain(policy).min();
        let is_own = policy.is_some() && own == policy;
        let own = own.and_then(|timeout| started.checked_add(timeout));
        let asked = backend.options().and_then(|options| options.deadline);
        let deadline = [own, asked].into_iter().flatten().min();
        let counters = &backend.slot.counters;
        counters.call(operation);
        Self {
            backend,
            operation,
            key,
            target: None,
            started,
            deadline,
            is_policy: is_own && deadline == own,
            generation,
            opened: OnceLock::new(),
            turn: Mutex::default(),
            moved: AtomicU64::new(0),
            answered: AtomicBool::new(false),
        }
    }

    pub(crate) fn context(&self) -> &'a Arc<Context> {
        &self.backend.slot.context
    }

    pub(crate) fn counters(&self) -> &'a Arc<Counters> {
        &self.backend.slot.counters
    }

    pub(crate) fn generation(&self) -> Result<&Arc<Generation>> {
        let removed = || errors::removed(&self.backend.slot.name);
        self.generation.as_ref().ok_or_else(removed)
    }

    /// The instance that this operation runs on: the same for all its steps.
    pub(crate) async fn opened(&self) -> Result<&Arc<Opened>> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let generation = self.generation()?;
        let opened = self.backend.slot.open(generation).await?;
        if opened.ended.load(Ordering::Acquire) {
            return Err(
                Error::new(ErrorKind::Unavailable).with_message("the backend was shut down")
            );
        }
        if let Some(concurrency) = self.guards().and_then(|it| it.concurrency.as_ref()) {
            // Before its requests are checked, which takes no time, so that one place serves all of them.
            let turn = concurrency.turn().await;
            let turn = turn.inspect_err(|_| self.refused(Refusal::Concurrency))?;
            *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
        }
        Ok(self.opened.get_or_init(|| opened))
    }

    /// The policies of the backend, when it has any.
    pub(crate) fn guards(&self) -> Option<&Guards> {
        self.generation.as_ref()?.guards.as_deref()
    }

    /// Hands the operation's place among those that run at once over to its body.
    pub(crate) fn take_turn(&self) -> Option<Turn> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        turn.take()
    }

    /// Counts what a policy refuses.
    pub(crate) fn refused(&self, by: Refusal) {
        self.counters().policies.refused(by);
    }

    /// Whether the deadline comes within this time.
    pub(crate) fn ends_before(&self, wait: Duration) -> bool {
        self.deadline
            .is_some_and(|at| at.saturating_duration_since(Instant::now()) <= wait)
    }

    /// What goes to the plugin.
    pub(crate) fn call(&self) -> Call {
        let Some(options) = self.backend.options() else {
            return Call {
                deadline: self.deadline,
                ..Call::default()
            };
        };
        Call {
            deadline: self.deadline,
            request_id: options.request_id.clone(),
            _span: options.request_id.as_ref().and_then(|id| {
                let span = tracing::Span::current();
                (!span.is_none()).then(|| KeptSpan::new(id, span))
            }),
            trace_id: options.trace_id,
            span_id: options.span_id,
        }
    }

    /// Does the work within the caller's bounds and accounts for it. The work lies pinned in the
    /// caller's own future, because each level that took it by value would hold it twice or more: a
    /// download came to tens of kilobytes then, which every layer above copied.
    pub(crate) async fn run<T>(
        &self,
        work: Pin<&mut (impl Future<Output = Result<T>> + ?Sized)>,
    ) -> Result<T> {
        let options = self.backend.options();
        let cancel = options.and_then(|options| options.cancel.as_ref());
        let outcome = match (self.deadline, cancel) {
            (None, None) => work.await,
            (deadline, cancel) => bounded(work, deadline, cancel, self).await,
        };
        let outcome = match is_recorded(self.operation) && self.is_audited() {
            // On the heap: the futures of other hosts stay small.
            true => Box::pin(self.record(self.key, outcome)).await,
            false => outcome,
        };
        self.answered.store(true, Ordering::Relaxed);
        self.counters()
            .answered(self.operation, self.started.elapsed());
        outcome.map_err(|error| self.fail(error))
    }

    /// Names the target of a copy or rename.
    pub(crate) fn to(mut self, key: &'a Key) -> Self {
        self.target = Some(key);
        self
    }

    /// Writes the audit event of an outcome, where events are written.
    ///
    /// # Errors
    ///
    /// The outcome's own, or `Unavailable`: the event could not be written.
    pub(crate) async fn record<T>(&self, key: Option<&Key>, outcome: Result<T>) -> Result<T> {
        let Some(audit) = self.context().audit.load_full() else {
            return outcome;
        };
        let code = audit::outcome(&outcome).to_owned();
        match audit.append(&self.event(key, &code)).await {
            Ok(()) => outcome,
            Err(why) => outcome.and(Err(audit::unrecorded(why))),
        }
    }

    fn is_audited(&self) -> bool {
        self.context().audit.load().is_some()
    }

    fn event<'e>(&'e self, key: Option<&'e Key>, outcome: &'e str) -> AuditEvent<'e> {
        let options = self.backend.options();
        AuditEvent {
            time_ms: audit::now_ms(),
            backend: &self.backend.slot.name,
            operation: self.operation.name(),
            key: key.map(Key::text),
            to: self.target.map(Key::text),
            actor: options.and_then(|it| it.actor.as_deref()),
            owner: self.backend.account().owner.unwrap_or(DEFAULT_OWNER),
            group: self.backend.account().group,
            outcome,
            bytes: self.moved.load(Ordering::Relaxed),
            request_id: options.and_then(|it| it.request_id.as_deref()),
        }
    }

    /// The error as the caller gets it, counted; gives the instance up where it must.
    fn fail(&self, error: Error) -> Error {
        let opened = self.opened.get();
        let error = self.completed(error);
        let kind = error.kind();
        self.counters().error(self.operation, kind);
        if let (Some(opened), Some(generation)) = (opened, &self.generation)
            && matches!(kind, ErrorKind::PluginFault | ErrorKind::Unauthenticated)
        {
            generation.give_up(opened, &error, self.counters());
        }
        let options = self.backend.options();
        let request_id = options.and_then(|options| options.request_id.as_deref());
        let trace_id = options.and_then(|options| identifier(&options.trace_id));
        if kind == ErrorKind::PluginFault {
            tracing::warn!(target: "holdall", request_id, trace_id, %error, "a plugin broke the contract");
        } else {
            tracing::debug!(target: "holdall", request_id, trace_id, code = error.code(), %error, "an operation failed");
        }
        error
    }

    /// Adds who, where and how long, and takes secrets out. What an inner step knew better stays.
    pub(crate) fn completed(&self, error: Error) -> Error {
        let place = Placed {
            backend: &self.backend.slot.name,
            operation: self.operation,
            key: self.key,
            opened: self.opened.get().map(Arc::as_ref),
        };
        place.complete(error, self.context()).at(|place| {
            place.attempts = place.attempts.max(1);
            place.elapsed = self.started.elapsed();
            place.bytes_moved = self.moved.load(Ordering::Relaxed);
        })
    }

    /// Until when the body of a download may run: what the caller asked, not the time that the
    /// configuration gives to one operation.
    pub(crate) fn body_deadline(&self) -> Option<Instant> {
        let options = self.backend.options();
        options.and_then(|options| options.deadline)
    }
}

impl Drop for Scope<'_> {
    fn drop(&mut self) {
        if !*self.answered.get_mut() {
            self.counters().dropped(self.operation);
            if let Some(audit) = self.context().audit.load_full()
                && (is_recorded(self.operation) || self.operation == Operation::DeleteMany)
                && let Err(why) = audit.record(&self.event(self.key, "dropped"))
            {
                // The caller has gone: there is no answer to refuse.
                let _ = audit::unrecorded(why);
            }
        }
    }
}

/// Who and where, for the place of an error.
pub(crate) struct Placed<'a> {
    pub(crate) backend: &'a str,
    pub(crate) operation: Operation,
    pub(crate) key: Option<&'a Key>,
    pub(crate) opened: Option<&'a Opened>,
}

impl Placed<'_> {
    pub(crate) fn complete(&self, error: Error, context: &Context) -> Error {
        let about = self
            .opened
            .map(|opened| &opened.instance.plugin().descriptor().about);
        context.redact(error).at(|place| {
            place.backend = Some(self.backend.to_owned());
            place.operation = Some(self.operation);
            if let Some(about) = about {
                place.plugin = Some(about.name.clone());
                place.plugin_version = Some(about.version.clone());
            }
            if place.key.is_none() {
                place.key = self.key.map(|key| key.text().to_owned());
            }
        })
    }
}

/// Releases the caller at the deadline or on cancellation, whatever the work does. Dropping
/// the work tells the plugin, and frees what it still yields.
async fn bounded<T>(
    mut work: Pin<&mut (impl Future<Output = Result<T>> + ?Sized)>,
    deadline: Option<Instant>,
    cancel: Option<&CancellationToken>,
    scope: &Scope<'_>,
) -> Result<T> {
    let too_late = || {
        add(&scope.counters().released, 1);
        if let Some(guards) = scope.guards() {
            guards.timed_out(&scope.counters().policies);
        }
        if scope.is_policy {
            scope.refused(Refusal::Deadline);
        }
        Err(Error::new(ErrorKind::Timeout).with_message("the deadline has passed"))
    };
    // A caller who is late already begins nothing. The timer counts whole milliseconds and would let it.
    if deadline.is_some_and(|at| at <= scope.started) {
        return too_late();
    }
    // The runtime's clock, which tests may stop.
    let deadline = deadline.map(tokio::time::Instant::from_std);
    let late = async {
        match deadline {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    let cancelled = async {
        match cancel {
            Some(cancel) => cancel.cancelled().await,
            None => std::future::pending().await,
        }
    };
    let (mut late, mut cancelled) = (pin!(late), pin!(cancelled));
    std::future::poll_fn(|cx| {
        // Before the work: for a caller that has gone already nothing is begun.
        if cancelled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(Error::new(ErrorKind::Cancelled)));
        }
        if let Poll::Ready(outcome) = work.as_mut().poll(cx) {
            return Poll::Ready(outcome);
        }
        late.as_mut().poll(cx).map(|()| too_late())
    })
    .await
}

/// Whether an operation is recorded. A `delete_many` is, key by key.
fn is_recorded(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Upload
            | Operation::Delete
            | Operation::Copy
            | Operation::Rename
            | Operation::Custom
            | Operation::SignedUrl
    )
}
