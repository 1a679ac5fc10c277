//! One registration of a backend, and the instance that is opened for it.
//!
//! Getting an open instance is two atomic loads. Opening is single flight: the first caller
//! starts a task, everybody waits for the same answer, and a caller that goes away ends nothing.

use super::backoff::Backoff;
use super::context::Context;
use super::counters::{Counters, add};
use super::etags::Form;
use crate::config::{BackendConfig, Resolved, Schema};
use crate::plugin::PluginRef;
use crate::plugin::catalog::Candidate;
use crate::plugin::load::{Instance, Plugin};
use crate::plugin::trial;
use crate::policy::Guards;
use arc_swap::ArcSwapOption;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::descriptor::Descriptor;
use holdall_plugin_api::{
    Capability, Cause, Error, ErrorKind, KeyPolicy, Operation, Operations, Result,
};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// An opened backend and what was agreed with it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) instance: Arc<Instance>,
    pub(crate) terms: Terms,
    pub(crate) operations: Operations,
    /// Tells instances with equal configurations from others; holds no secret.
    pub(crate) fingerprint: String,
    pub(crate) opened_at: SystemTime,
    pub(crate) took: Duration,
    pub(crate) description: String,
    /// How its etags look.
    pub(crate) etags: Form,
    /// Credentials were refused, or the host itself saw a breach of the contract.
    given_up: AtomicBool,
    /// It was shut down on purpose: not to be replaced behind the caller's back.
    pub(crate) ended: AtomicBool,
}

impl Opened {
    fn is_usable(&self) -> bool {
        !self.given_up.load(Ordering::Acquire) && !self.instance.is_poisoned()
    }

    pub(crate) fn has(&self, operation: Operation) -> bool {
        self.operations.has(operation)
    }

    pub(crate) fn claims(&self, capability: Capability) -> bool {
        self.terms.capabilities.has(capability)
    }
}

type Opening = Shared<BoxFuture<'static, Result<Arc<Opened>>>>;

/// A backend as it was registered at one moment.
pub(crate) struct Generation {
    /// Counts from 1 for each name.
    pub(crate) number: u64,
    pub(crate) config: BackendConfig,
    pub(crate) plugin: PluginRef,
    /// The file that serves it, where that is not the one that the catalog names.
    candidate: Option<Arc<Candidate>>,
    /// `None` when the backend has no policies.
    pub(crate) guards: Option<Box<Guards>>,
    /// Kept from the first open on: an instance that is rebuilt runs the same code, whatever lies
    /// in the plugin's file by then.
    code: OnceLock<Arc<Plugin>>,
    live: ArcSwapOption<Opened>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Goes up with every attempt and every reset: an attempt that was overtaken keeps its answer
    /// to its own waiters.
    attempt: u64,
    opening: Option<Opening>,
    backoff: Backoff,
    last_error: Option<Error>,
}

impl Generation {
    pub(crate) fn new(number: u64, config: BackendConfig, plugin: PluginRef) -> Arc<Self> {
        Self::of_candidate(number, config, plugin, None)
    }

    /// As [`Generation::new`], served by this file.
    pub(crate) fn of_candidate(
        number: u64,
        config: BackendConfig,
        plugin: PluginRef,
        candidate: Option<Arc<Candidate>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            number,
            guards: Guards::new(&config.mount.policy, config.mount.max_wait),
            config,
            plugin,
            candidate,
            code: OnceLock::new(),
            live: ArcSwapOption::empty(),
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance, when one is open and good.
    pub(crate) fn live(&self) -> Option<Arc<Opened>> {
        self.live.load_full().filter(|opened| opened.is_usable())
    }

    /// The instance; opened first when there is none.
    ///
    /// # Errors
    ///
    /// Why it cannot be opened. During the back-off: the last such error, with its retry-after.
    pub(crate) async fn open(
        self: &Arc<Self>,
        context: &Arc<Context>,
        counters: &Arc<Counters>,
    ) -> Result<Arc<Opened>> {
        let opening = self.start(context, counters)?;
        opening.await
    }

    fn start(
        self: &Arc<Self>,
        context: &Arc<Context>,
        counters: &Arc<Counters>,
    ) -> Result<Opening> {
        let mut state = self.state();
        // Another caller may have finished between the look and the lock.
        if let Some(opened) = self.live() {
            return Ok(std::future::ready(Ok(opened)).boxed().shared());
        }
        if let Some(poisoned) = self.live.swap(None) {
            // No operation reported the fault that poisoned it: it may have happened in a body.
            if !poisoned.given_up.load(Ordering::Acquire) {
                let error =
                    Error::new(ErrorKind::PluginFault).with_message("the instance had a fault");
                add(&counters.evictions, 1);
                state.backoff.gave_up(&error);
            }
        }
        if let Some(opening) = &state.opening {
            return Ok(opening.clone());
        }
        if let Some(error) = state.backoff.refusal() {
            return Err(error);
        }
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
            Error::new(ErrorKind::Other).with_message("a backend is opened inside a tokio runtime")
        })?;
        state.attempt += 1;
        let attempt = state.attempt;
        let (this, context, counters) = (self.clone(), context.clone(), counters.clone());
        let task = runtime.spawn({
            let this = this.clone();
            async move {
                let outcome = this.open_now(&context).await.map(Arc::new);
                this.finish(attempt, &outcome, &counters);
                outcome
            }
        });
        let opening = async move {
            match task.await {
                Ok(outcome) => outcome,
                Err(ended) => {
                    // The runtime that drove it has ended: the next caller starts anew.
                    let mut state = this.state();
                    if state.attempt == attempt {
                        state.opening = None;
                    }
                    Err(Error::new(ErrorKind::Cancelled)
                        .with_message("the open was cut off")
                        .because(ended))
                }
            }
        };
        let opening = opening.boxed().shared();
        state.opening = Some(opening.clone());
        Ok(opening)
    }

    fn finish(&self, attempt: u64, outcome: &Result<Arc<Opened>>, counters: &Counters) {
        let mut state = self.state();
        let current = state.attempt == attempt;
        if current {
            state.opening = None;
        }
        match outcome {
            Ok(opened) => {
                add(&counters.opens, 1);
                if current {
                    state.backoff.opened();
                    self.live.store(Some(opened.clone()));
                }
            }
            Err(error) => {
                add(&counters.failed_opens, 1);
                if current {
                    state.backoff.failed(error);
                    state.last_error = Some(error.clone());
                }
            }
        }
    }

    async fn open_now(&self, context: &Arc<Context>) -> Result<Opened> {
        let place = |plugin: Option<&Arc<Plugin>>, error: Error| {
            context.redact(error).at(|place| {
                place.backend = Some(self.config.name.clone());
                if let Some(plugin) = plugin {
                    place.plugin = Some(plugin.descriptor().about.name.clone());
                    place.plugin_version = Some(plugin.descriptor().about.version.clone());
                }
            })
        };
        let plugin = match self.code.get() {
            Some(plugin) => plugin.clone(),
            None => {
                let (config, shared) = (self.config.clone(), context.clone());
                let live = move |descriptor: &Descriptor| opening_of(&config, descriptor, &shared);
                let loading = context
                    .catalog
                    .plugin(&self.plugin, self.candidate.as_ref(), live);
                let loaded = match self.config.mount.timeout {
                    None => loading.await,
                    // A trial before it has a limit of its own.
                    Some(limit) => {
                        let limit = limit.saturating_add(context.catalog.longest_trial());
                        let loaded = tokio::time::timeout(limit, loading).await;
                        loaded.unwrap_or_else(|_| {
                            Err(Error::new(ErrorKind::Timeout)
                                .with_message("the plugin was not mapped in time")
                                .with_fact("timeout", format!("{limit:?}")))
                        })
                    }
                };
                let loaded = loaded.map_err(|error| place(None, error))?;
                self.code.get_or_init(|| loaded).clone()
            }
        };
        self.open_with(&plugin, context)
            .await
            .map_err(|error| place(Some(&plugin), fault_of_open(error)))
    }

    /// The configuration with its secrets. Files are read away from the serving tasks: they may lie
    /// on a file system that does not answer.
    async fn resolve(&self, plugin: &Arc<Plugin>, context: &Arc<Context>) -> Result<Resolved> {
        let resolve = |config: &BackendConfig, plugin: &Plugin, context: &Context| {
            config.resolve(plugin.schema(), &context.environment, &context.secrets)
        };
        if !self.config.may_refer_to_files() {
            return Ok(resolve(&self.config, plugin, context)?);
        }
        let owned = (self.config.clone(), plugin.clone(), context.clone());
        let resolved = tokio::task::spawn_blocking(move || resolve(&owned.0, &owned.1, &owned.2));
        let resolved = resolved.await.map_err(|ended| {
            Error::new(ErrorKind::Cancelled)
                .with_message("the open was cut off")
                .because(ended)
        })?;
        Ok(resolved?)
    }

    async fn open_with(&self, plugin: &Arc<Plugin>, context: &Arc<Context>) -> Result<Opened> {
        let (config, started) = (&self.config, Instant::now());
        let resolved = self.resolve(plugin, context).await?;
        // Before it knows them.
        plugin.hide(&context.secrets);
        let json = resolved.json.expose().to_owned();
        let open = plugin.open(
            &config.name,
            json,
            config.mount.max_wait,
            config.mount.polling,
        );
        let instance = match config.mount.timeout {
            None => open.await?,
            Some(limit) => tokio::time::timeout(limit, open).await.map_err(|_| {
                Error::new(ErrorKind::Timeout)
                    .with_message("the plugin did not open in time")
                    .with_fact("timeout", format!("{limit:?}"))
            })??,
        };
        let facts = instance.facts();
        let terms = Terms::new(
            config.mount.key_policy,
            instance.capabilities(),
            facts.limits,
        );
        self.accept(&terms)?;
        Ok(Opened {
            terms,
            operations: instance.operations(),
            fingerprint: resolved.fingerprint,
            opened_at: SystemTime::now(),
            took: started.elapsed(),
            description: context.secrets.redact(&facts.description).into_owned(),
            instance: Arc::new(instance),
            etags: Form::default(),
            given_up: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        })
    }

    /// Whether the configuration agrees to what the store cannot do.
    fn accept(&self, terms: &Terms) -> Result<()> {
        let name = &self.config.name;
        let refused = |why: &'static str, fix: String| {
            Err(Error::new(ErrorKind::ConfigInvalid)
                .with_message(why)
                .with_cause(Some(Cause::new("fix", fix.as_str())))
                .with_fact("fix", fix))
        };
        if !terms.capabilities.has(Capability::AtomicPut) && !self.config.mount.allow_non_atomic_put
        {
            return refused(
                "readers of this backend may see partial objects",
                format!("to accept that, add to [backend.{name}]: allow_non_atomic_put = true"),
            );
        }
        if terms.policy == KeyPolicy::Opaque && !terms.capabilities.has(Capability::AnyKey) {
            return refused(
                "this backend cannot keep every key that key_policy = \"opaque\" allows",
                format!("in [backend.{name}]: key_policy = \"portable\""),
            );
        }
        Ok(())
    }

    /// Gives an instance up, so that the next operation opens another.
    pub(crate) fn give_up(&self, opened: &Arc<Opened>, error: &Error, counters: &Counters) {
        if opened.ended.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state();
        if opened.given_up.swap(true, Ordering::AcqRel) {
            return;
        }
        add(&counters.evictions, 1);
        state.backoff.gave_up(error);
        state.last_error = Some(error.clone());
        let current = self.live.load_full();
        if current.is_some_and(|current| Arc::ptr_eq(&current, opened)) {
            self.live.store(None);
        }
    }

    /// Forgets the instance and every failure. Operations and bodies that run keep theirs.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        let attempt = state.attempt + 1;
        let new = State {
            attempt,
            ..State::default()
        };
        let forgotten = (std::mem::replace(&mut *state, new), self.live.swap(None));
        drop(state);
        // The instance may end here, which is the plugin's code: never under the lock.
        drop(forgotten);
    }

    /// Whether no operation and no body uses the instance, and none is being opened.
    pub(crate) fn is_idle(&self) -> bool {
        if self.state().opening.is_some() {
            return false;
        }
        let live = self.live.load();
        live.as_ref().is_none_or(|opened| {
            Arc::strong_count(opened) == 1 && Arc::strong_count(&opened.instance) == 1
        })
    }

    /// In one word, for people and programs.
    pub(crate) fn state_name(&self) -> &'static str {
        let state = self.state();
        match self.live() {
            Some(opened) if opened.ended.load(Ordering::Acquire) => "shut_down",
            Some(_) => "open",
            None if state.opening.is_some() => "opening",
            None if state.backoff.refusal().is_some() => "backing_off",
            None if state.last_error.is_some() => "failed",
            None => "registered",
        }
    }

    pub(crate) fn last_error(&self) -> Option<Error> {
        self.state().last_error.clone()
    }
}

/// What a trial opens. `None` when the configuration is wrong: the open itself says why.
fn opening_of(
    config: &BackendConfig,
    descriptor: &Descriptor,
    context: &Context,
) -> Option<trial::Opening> {
    let schema = Schema::from(descriptor.about.config_schema.clone());
    let resolved = config.resolve(&schema, &context.environment, &context.secrets);
    Some(trial::Opening {
        backend: config.name.clone(),
        config: resolved.ok()?.json.expose().to_owned(),
        max_wait_ms: u64::try_from(config.mount.max_wait.as_millis()).unwrap_or(u64::MAX),
    })
}

/// An error of opening as a fault of the configuration or the store. Kinds that blame a request (404,
/// 409, 412, ...) would blame one that has only come too early.
fn fault_of_open(error: Error) -> Error {
    let kind = match error.kind() {
        ErrorKind::FileNotFound => ErrorKind::ContainerMissing,
        ErrorKind::QuotaExceeded | ErrorKind::Cancelled => ErrorKind::Other,
        kind if kind.status() < 500 => ErrorKind::ConfigInvalid,
        _ => return error,
    };
    let text = match error.message() {
        "" => error.kind().text().to_owned(),
        text => text.to_owned(),
    };
    let own = |error: Error, (name, value): (&str, &str)| error.with_fact(name.to_owned(), value);
    error
        .facts()
        .fold(Error::new(kind).with_message(text), own)
        .with_provider(error.provider().clone())
        .with_cause(error.cause().cloned())
        .at(|place| *place = error.place().clone())
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("number", &self.number)
            .field("backend", &self.config.name)
            .field("plugin", &self.plugin)
            .field("state", &self.state_name())
            .finish_non_exhaustive()
    }
}
