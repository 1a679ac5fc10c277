//! What the host does for a backend.

use super::guard;
use super::services::{LogLine, Services};
use crate::abi::{grow, text};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};

/// The host, as a backend sees it. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    backend: Arc<str>,
    services: Services,
}

/// How loud a line of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u32)]
pub enum Level {
    /// Something failed.
    Error = 1,
    /// Something is odd.
    Warn = 2,
    /// Something happened.
    Info = 3,
    /// Details for debugging the plugin.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

impl Host {
    pub(crate) fn new(backend: String, services: Services) -> Self {
        Self {
            backend: backend.into(),
            services,
        }
    }

    /// A host for tests that use a backend as a plain Rust type: it logs nothing.
    pub fn detached(backend: &str) -> Self {
        Self {
            backend: backend.into(),
            services: Services::detached(),
        }
    }

    /// The name under which this backend is configured.
    pub fn backend_name(&self) -> &str {
        &self.backend
    }

    /// Whether a line of this level would be kept. Ask before formatting an expensive one.
    pub fn logs(&self, level: Level) -> bool {
        level as u32 <= self.services.log_level()
    }

    /// Writes a line to the host's log, with the plugin, the backend and the request it belongs to.
    pub fn log(&self, level: Level, message: impl fmt::Display) {
        if self.logs(level) {
            let message = message.to_string();
            let fields = [("backend", self.backend.to_string())];
            let line = LogLine {
                level: level as u32,
                target: "plugin",
                message: &message,
                place: None,
                fields: &fields,
            };
            self.services.log(&line, guard::current_call());
        }
    }

    /// The wall clock of the host.
    pub fn now(&self) -> SystemTime {
        self.services.now()
    }

    /// Fills `out` with unpredictable bytes.
    pub fn random(&self, out: &mut [u8]) {
        self.services.random(out);
    }

    /// What the operation in this thread runs under; `None` outside one, as in a task that the plugin
    /// spawned itself.
    pub fn call(&self) -> Option<CallContext> {
        CallContext::current(&self.services)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

/// What an operation runs under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallContext {
    /// Time left; the host releases its caller then, whatever the plugin does.
    pub remaining: Option<Duration>,
    /// The caller dropped the request; the result will be discarded.
    pub cancelled: bool,
    /// W3C trace id, zero for none.
    pub trace_id: [u8; 16],
    /// W3C span id, zero for none.
    pub span_id: [u8; 8],
    /// Id of the request, for logs.
    pub request_id: Option<String>,
}

impl CallContext {
    fn current(services: &Services) -> Option<Self> {
        let call = guard::current_call();
        // SAFETY: R15: set for the call that is going on in this thread. R1 for the copy.
        let call = unsafe { grow::copy_in(call) }.ok()?;
        // SAFETY: R15: null, or an atomic byte that lives as long as the operation.
        let cancelled = unsafe { call.cancelled.cast::<AtomicU8>().as_ref() };
        let remaining = (call.deadline_ns != u64::MAX).then(|| {
            Duration::from_nanos(call.deadline_ns.saturating_sub(services.monotonic_ns()))
        });
        Some(Self {
            remaining,
            cancelled: cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed) != 0),
            trace_id: call.trace_id,
            span_id: call.span_id,
            // SAFETY: R15.
            request_id: unsafe { text::copied(call.request_id) }.ok().flatten(),
        })
    }
}
