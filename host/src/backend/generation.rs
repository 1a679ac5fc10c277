//! One registration of a backend, and the instance that is opened for it.

use super::context::Context;
use super::counters::Counters;
use super::current::{Flight, Kept, Numbered};
use super::etags::Form;
use crate::config::{BackendConfig, Resolved, Schema};
use crate::plugin::PluginRef;
use crate::plugin::catalog::Candidate;
use crate::plugin::load::{Instance, Plugin};
use crate::plugin::trial;
use crate::policy::Guards;
use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::descriptor::Descriptor;
use holdall_plugin_api::{
    Capability, Cause, Error, ErrorKind, KeyPolicy, Operation, Operations, Result,
};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
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

impl Kept for Opened {
    fn is_usable(&self) -> bool {
        !self.is_given_up() && !self.instance.is_poisoned()
    }

    fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    fn give_up(&self) -> bool {
        self.given_up.swap(true, Ordering::AcqRel)
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl Opened {
    pub(crate) fn has(&self, operation: Operation) -> bool {
        self.operations.has(operation)
    }

    pub(crate) fn claims(&self, capability: Capability) -> bool {
        self.terms.capabilities.has(capability)
    }
}

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
    flight: Flight<Opened>,
}

impl Numbered for Generation {
    fn number(&self) -> u64 {
        self.number
    }
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
            flight: Flight::new(),
        })
    }

    /// The instance, when one is open and good.
    pub(crate) fn live(&self) -> Option<Arc<Opened>> {
        self.flight.live()
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
        let opening = self.flight.join(counters, |attempt| {
            let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
                Error::new(ErrorKind::Other)
                    .with_message("a backend is opened inside a tokio runtime")
            })?;
            let (this, context, counters) = (self.clone(), context.clone(), counters.clone());
            let task = runtime.spawn({
                let this = this.clone();
                async move {
                    let outcome = this.open_now(&context).await.map(Arc::new);
                    this.flight.finish(attempt, &outcome, &counters);
                    outcome
                }
            });
            Ok(async move {
                task.await.unwrap_or_else(|ended| {
                    // The runtime that drove it has ended.
                    this.flight.cut_off(attempt);
                    Err(Error::new(ErrorKind::Cancelled)
                        .with_message("the open was cut off")
                        .because(ended))
                })
            })
        })?;
        opening.await
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
        self.flight.give_up(opened, error, counters);
    }

    /// Forgets the instance and every failure. Operations and bodies that run keep theirs.
    pub(crate) fn reset(&self) {
        self.flight.reset();
    }

    /// Whether no operation and no body uses the instance, and none is being opened.
    pub(crate) fn is_idle(&self) -> bool {
        if self.flight.is_opening() {
            return false;
        }
        self.flight.kept().is_none_or(|opened| {
            // Of the flight and of this look.
            Arc::strong_count(&opened) == 2 && Arc::strong_count(&opened.instance) == 1
        })
    }

    /// In one word, for people and programs.
    pub(crate) fn state_name(&self) -> &'static str {
        self.flight.state_name()
    }

    pub(crate) fn last_error(&self) -> Option<Error> {
        self.flight.last_error()
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
