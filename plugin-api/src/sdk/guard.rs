//! The panic guard: rule R10. And what is going on in this thread, for logs and panics.
//!
//! A panic in an operation is caught and becomes an error with its message and place. A panic that
//! no caller can see (in a drop, in a thread of the plugin's runtime) is reported to the host.

use super::host::Services;
use crate::abi::bytes;
use crate::abi::tables::FfiCall;
#[cfg(feature = "tokio")]
use crate::abi::{grow, tables::FfiSlice, text};
use crate::{Cause, Error, ErrorKind};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::{Once, OnceLock};

/// How operations of a plugin run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuntimeMode {
    /// On the host's thread; the backend needs no reactor.
    None,
    /// On the host's thread, with the plugin's own tokio entered.
    Tokio,
    /// As a task of the plugin's own tokio.
    TokioSpawn,
    /// On a thread of the host's pool, where it may block.
    Blocking,
}

impl RuntimeMode {
    /// Whether the plugin has a tokio of its own.
    #[cfg(feature = "tokio")]
    pub(crate) const fn is_tokio(self) -> bool {
        matches!(self, Self::Tokio | Self::TokioSpawn)
    }
}

/// What one plugin keeps for its life. `export_plugin!` makes one as a static.
#[derive(Debug)]
pub struct PluginState {
    pub(crate) mode: RuntimeMode,
    services: OnceLock<Services>,
    #[cfg(feature = "tokio")]
    pub(crate) runtime: OnceLock<tokio::runtime::Runtime>,
}

impl PluginState {
    /// Nothing has run yet.
    pub const fn new(mode: RuntimeMode) -> Self {
        Self {
            mode,
            services: OnceLock::new(),
            #[cfg(feature = "tokio")]
            runtime: OnceLock::new(),
        }
    }

    /// Remembers the services of the first `open` and installs the hook.
    pub(crate) fn begin(&'static self, services: Services) {
        let services = self.services.get_or_init(|| services);
        if !services.linked_in() {
            // A loaded library has its own `std`: a panic in any thread of it is this plugin's.
            if IMAGE.set(self).is_ok() {
                super::tracing::install(*services);
            }
        }
        install_hook();
        bytes::run_releases_under(|release| contained(FaultKind::Drop, release));
    }

    pub(crate) fn services(&self) -> Option<&Services> {
        self.services.get()
    }

    fn report(&self, kind: FaultKind, message: &str) {
        if let Some(services) = self.services() {
            services.fault(kind, message);
        }
    }
}

/// The one plugin of this library; empty in a program that links plugins in.
static IMAGE: OnceLock<&'static PluginState> = OnceLock::new();

/// A panic without a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FaultKind {
    /// In a `Drop`.
    Drop = 1,
    /// In a task or thread of the plugin.
    Task = 2,
}

#[derive(Clone, Copy)]
struct Scope {
    plugin: Option<&'static PluginState>,
    call: *const FfiCall,
    /// Inside the guard; otherwise on a thread of the plugin's runtime, or nowhere.
    guarded: bool,
}

const NOWHERE: Scope = Scope {
    plugin: None,
    call: std::ptr::null(),
    guarded: false,
};

thread_local! {
    static SCOPE: Cell<Scope> = const { Cell::new(NOWHERE) };
    static CAUGHT: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// A caught panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// What it said.
    pub message: String,
    /// `file:line:column`, empty when not known.
    pub location: String,
}

impl Panic {
    /// With what to do, where the plugin's own flags tell.
    fn hinted(mut self, plugin: Option<&'static PluginState>) -> Self {
        let without = plugin
            .is_some_and(|plugin| matches!(plugin.mode, RuntimeMode::None | RuntimeMode::Blocking));
        if without && self.message.starts_with("there is no reactor running") {
            self.message
                .push_str("; write `runtime: tokio` in `export_plugin!`");
        }
        self
    }
}

impl From<Panic> for Error {
    fn from(panic: Panic) -> Self {
        let error = Error::new(ErrorKind::PluginFault).with_message("the plugin panicked");
        let cause = Cause {
            code: "panic".into(),
            text: panic.message,
            source: None,
        };
        let error = if panic.location.is_empty() {
            error
        } else {
            error.with_fact("panic_location", panic.location)
        };
        error.with_cause(Some(cause))
    }
}

/// Runs `f` as an exported function of `plugin`.
///
/// # Errors
///
/// The panic, when there was one; its payload is dropped inside a guard of its own.
pub(crate) fn guarded<R>(
    plugin: Option<&'static PluginState>,
    call: *const FfiCall,
    f: impl FnOnce() -> R,
) -> Result<R, Panic> {
    SCOPE.with(|scope| {
        let before = scope.replace(Scope {
            plugin,
            call,
            guarded: true,
        });
        let result = catch_unwind(AssertUnwindSafe(f));
        scope.set(before);
        result.map_err(|payload| caught(payload).hinted(plugin))
    })
}

#[cold]
fn caught(payload: Box<dyn std::any::Any + Send>) -> Panic {
    let said = message_of(&*payload);
    bytes::discard(payload);
    let hooked = CAUGHT
        .try_with(|slot| slot.borrow_mut().take())
        .ok()
        .flatten();
    // `resume_unwind` runs no hook, so a stale record of another panic is recognised by its message.
    match hooked {
        Some(panic) if panic.message == said => panic,
        _ => Panic {
            message: said,
            location: String::new(),
        },
    }
}

fn message_of(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic whose payload is not text".to_owned())
}

/// Runs `f` where no caller can take an error: a panic is reported to the host.
pub(crate) fn contained(kind: FaultKind, f: impl FnOnce()) {
    let plugin = current_plugin();
    contained_of(plugin, kind, f);
}

/// As [`contained`], for a known plugin.
pub(crate) fn contained_of(
    plugin: Option<&'static PluginState>,
    kind: FaultKind,
    f: impl FnOnce(),
) {
    if let Err(panic) = guarded(plugin, std::ptr::null(), f)
        && let Some(plugin) = plugin.or_else(|| IMAGE.get().copied())
    {
        plugin.report(kind, &format!("{} ({})", panic.message, panic.location));
    }
}

/// The plugin that is running in this thread.
pub(crate) fn current_plugin() -> Option<&'static PluginState> {
    SCOPE.with(Cell::get).plugin
}

/// What the operation in this thread runs under; null when there is none.
pub(crate) fn current_call() -> *const FfiCall {
    SCOPE.with(Cell::get).call
}

/// What an operation runs under, kept by a task that is polled after the call which started it has
/// returned. The flag of cancellation stays behind: the task may outlive the operation.
#[cfg(feature = "tokio")]
pub(crate) struct KeptCall {
    deadline_ns: u64,
    trace_id: [u8; 16],
    span_id: [u8; 8],
    request_id: Option<String>,
}

#[cfg(feature = "tokio")]
impl KeptCall {
    /// The call of the operation in this thread.
    pub(crate) fn current() -> Option<Self> {
        // SAFETY: R15: set for the call that is going on in this thread. R1 for the copy.
        let call = unsafe { grow::copy_in(current_call()) }.ok()?;
        Some(Self {
            deadline_ns: call.deadline_ns,
            trace_id: call.trace_id,
            span_id: call.span_id,
            // SAFETY: R15.
            request_id: unsafe { text::copied(call.request_id) }.ok().flatten(),
        })
    }

    /// Runs `f` as a part of this operation.
    pub(crate) fn within<R>(&self, f: impl FnOnce() -> R) -> R {
        /// Puts the scope of before back, also after a panic.
        struct Restore(Scope);
        impl Drop for Restore {
            fn drop(&mut self) {
                SCOPE.with(|scope| scope.set(self.0));
            }
        }
        let call = FfiCall {
            deadline_ns: self.deadline_ns,
            trace_id: self.trace_id,
            span_id: self.span_id,
            request_id: FfiSlice::text(self.request_id.as_deref()),
            ..grow::empty()
        };
        let before = SCOPE.with(Cell::get);
        let _restore = Restore(before);
        SCOPE.with(|scope| {
            scope.set(Scope {
                call: &raw const call,
                ..before
            });
        });
        f()
    }
}

/// Marks a thread as belonging to the plugin's runtime.
#[cfg(feature = "tokio")]
pub(crate) fn own_thread(plugin: &'static PluginState) {
    SCOPE.with(|scope| {
        scope.set(Scope {
            plugin: Some(plugin),
            ..NOWHERE
        })
    });
}

fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = take_hook();
        set_hook(Box::new(move |info| {
            let scope = SCOPE.try_with(Cell::get).unwrap_or(NOWHERE);
            let seen = Panic {
                message: message_of_hook(info),
                location: info.location().map(ToString::to_string).unwrap_or_default(),
            };
            if scope.guarded {
                // The guard turns it into an error; nothing is printed.
                let _ = CAUGHT.try_with(|slot| slot.replace(Some(seen)));
            } else if let Some(plugin) = scope.plugin.or_else(|| IMAGE.get().copied()) {
                plugin.report(
                    FaultKind::Task,
                    &format!("{} ({})", seen.message, seen.location),
                );
            } else {
                next(info);
            }
        }));
    });
}

fn message_of_hook(info: &PanicHookInfo<'_>) -> String {
    info.payload_as_str()
        .unwrap_or("a panic whose payload is not text")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message() {
        let caught = guarded(None, std::ptr::null(), || panic!("out of {}", "cheese"));
        assert_eq!(
            caught,
            Err(Panic {
                message: "out of cheese".into(),
                location: String::new()
            })
        );
        assert_eq!(guarded(None, std::ptr::null(), || 5), Ok(5));
    }

    #[test]
    fn a_missing_runtime_is_answered_with_what_to_write() {
        static NONE: PluginState = PluginState::new(RuntimeMode::None);
        static TOKIO: PluginState = PluginState::new(RuntimeMode::Tokio);
        let said = |plugin| {
            let caught = guarded(Some(plugin), std::ptr::null(), || {
                panic!("there is no reactor running, must be called from a Tokio runtime")
            });
            caught.map_or_else(|panic: Panic| panic.message, |()| String::new())
        };
        assert!(said(&NONE).ends_with("write `runtime: tokio` in `export_plugin!`"));
        assert!(said(&TOKIO).ends_with("Tokio runtime"));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_contained() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("second");
            }
        }
        let caught = guarded(None, std::ptr::null(), || std::panic::panic_any(Bomb));
        assert_eq!(
            caught.map_err(|p| p.message),
            Err::<(), _>("a panic whose payload is not text".to_owned())
        );
    }

    #[test]
    fn scopes_nest_and_are_restored() {
        static ONE: PluginState = PluginState::new(RuntimeMode::None);
        static TWO: PluginState = PluginState::new(RuntimeMode::None);
        let same = |a: Option<&'static PluginState>, b: &'static PluginState| {
            a.is_some_and(|a| std::ptr::eq(a, b))
        };
        guarded(Some(&ONE), std::ptr::null(), || {
            let inner = guarded(Some(&TWO), std::ptr::null(), || {
                assert!(same(current_plugin(), &TWO));
                panic!("x")
            });
            assert!(inner.is_err_and(|panic: Panic| panic.message == "x"));
            assert!(same(current_plugin(), &ONE));
        })
        .unwrap();
        assert!(current_plugin().is_none());
    }
}
