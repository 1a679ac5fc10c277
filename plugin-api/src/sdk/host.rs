//! What the host does for a backend, and the table by which it does it: rule R13.

use super::guard::{self, FaultKind};
use crate::abi::LINKED_IN;
use crate::abi::grow::{self, TableFault};
use crate::abi::tables::{FfiCall, FfiLogRecord, FfiPair, FfiSlice, HostServices};
use crate::abi::text::{self, pair_views, pairs_of};
use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

/// The host, as a backend sees it. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    backend: Arc<str>,
    services: Services,
    about: Option<Arc<(String, String)>>,
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
    pub(crate) fn new(
        backend: String,
        services: Services,
        about: Option<(String, String)>,
    ) -> Self {
        Self {
            backend: backend.into(),
            services,
            about: about.map(Arc::new),
        }
    }

    /// A host for tests that use a backend as a plain Rust type: it logs nothing.
    pub fn detached(backend: &str) -> Self {
        Self {
            backend: backend.into(),
            services: Services::detached(),
            about: None,
        }
    }

    /// Name and version of the host library; `None` for a host of ABI 1.0. For logs: what a host can do is never told
    /// by its version.
    pub fn about(&self) -> Option<(&str, &str)> {
        let (name, version) = &**self.about.as_ref()?;
        Some((name, version))
    }

    /// A table that the program offers to plugins by this name, or `None`: `holdall.NAME.VERSION`, or
    /// `unstable.MAKER.NAME` for an experiment. It is there for the life of the process. What it is, its maker says;
    /// its first field is its size in bytes, as `usize`.
    ///
    /// ```
    /// use holdall_plugin_api::Host;
    ///
    /// let host = Host::detached("photos");
    /// assert!(host.extension("unstable.acme.scratch").is_none());
    /// ```
    pub fn extension(&self, name: &str) -> Option<std::ptr::NonNull<c_void>> {
        self.services.extension(name)
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

/// A checked copy of the host's table.
#[derive(Clone, Copy)]
pub(crate) struct Services(HostServices);

// SAFETY: R13: callable from any thread, for the life of the process.
unsafe impl Send for Services {}
// SAFETY: as above.
unsafe impl Sync for Services {}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services")
            .field("flags", &self.0.flags)
            .finish_non_exhaustive()
    }
}

/// One line of a log.
#[derive(Clone, Debug)]
pub(crate) struct LogLine<'a> {
    /// 1 error to 5 trace.
    pub level: u32,
    /// Module path.
    pub target: &'a str,
    /// Text.
    pub message: &'a str,
    /// Source file and line.
    pub place: Option<(&'a str, u32)>,
    /// Structured fields.
    pub fields: &'a [(&'a str, String)],
}

impl Services {
    /// Copies the host's table.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    ///
    /// # Safety
    ///
    /// `table` follows R13.
    pub(crate) unsafe fn new(table: *const HostServices) -> Result<Self, TableFault> {
        // SAFETY: R13.
        unsafe { grow::copy_in(table) }.map(Self)
    }

    /// Services without a host: a clock, no log, and random bytes that are good enough for tests.
    pub(crate) fn detached() -> Self {
        Self(HostServices {
            flags: LINKED_IN,
            monotonic_ns: Some(own_monotonic),
            unix_ns: Some(own_unix),
            random: Some(own_random),
            ..grow::empty()
        })
    }

    pub(crate) fn linked_in(&self) -> bool {
        self.0.flags & LINKED_IN != 0
    }

    /// The most verbose level that is wanted, 0 for none.
    pub(crate) fn log_level(&self) -> u32 {
        // SAFETY: R13.
        self.0.log_level.map_or(0, |f| unsafe { f(self.0.host) })
    }

    /// Logs; ask [`Services::log_level`] before formatting.
    pub(crate) fn log(&self, line: &LogLine<'_>, call: *const FfiCall) {
        let Some(log) = self.0.log else { return };
        let fields: Vec<FfiPair> = pair_views(line.fields);
        let record = FfiLogRecord {
            level: line.level,
            line: line.place.map_or(0, |(_, line)| line),
            target: FfiSlice::of(line.target.as_bytes()),
            message: FfiSlice::of(line.message.as_bytes()),
            file: FfiSlice::text(line.place.map(|(file, _)| file)),
            fields: pairs_of(&fields),
            call,
            ..grow::empty()
        };
        // SAFETY: R13; the record and what it points to live through the call.
        unsafe { log(self.0.host, &raw const record) }
    }

    pub(crate) fn fault(&self, kind: FaultKind, message: &str) {
        if let Some(fault) = self.0.fault {
            // SAFETY: R13; the text lives through the call.
            unsafe { fault(self.0.host, kind as u32, FfiSlice::of(message.as_bytes())) }
        }
    }

    /// Nanoseconds on a clock that never goes back.
    pub(crate) fn monotonic_ns(&self) -> u64 {
        // SAFETY: R13.
        self.0
            .monotonic_ns
            .map_or_else(|| 0, |f| unsafe { f(self.0.host) })
    }

    /// The wall clock.
    pub(crate) fn now(&self) -> SystemTime {
        // SAFETY: R13.
        let ns = self.0.unix_ns.map(|f| unsafe { f(self.0.host) });
        ns.and_then(text::time_in).unwrap_or_else(SystemTime::now)
    }

    /// A table of the host by its name (R18).
    pub(crate) fn extension(&self, name: &str) -> Option<std::ptr::NonNull<c_void>> {
        let get = self.0.get_extension?;
        // SAFETY: R13, R18; the text lives through the call.
        let table = unsafe { get(self.0.host, FfiSlice::of(name.as_bytes())) };
        std::ptr::NonNull::new(table.cast_mut())
    }

    /// Fills `out` with unpredictable bytes.
    pub(crate) fn random(&self, out: &mut [u8]) {
        match self.0.random {
            // SAFETY: R13; `out` is writable for its length.
            Some(random) => unsafe { random(self.0.host, out.as_mut_ptr(), out.len()) },
            None => fill_random(out),
        }
    }
}

unsafe extern "C" fn own_monotonic(_: *const c_void) -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed: Duration = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

unsafe extern "C" fn own_unix(_: *const c_void) -> i64 {
    text::time_out(Some(SystemTime::now()))
}

unsafe extern "C" fn own_random(_: *const c_void, out: *mut u8, len: usize) {
    // SAFETY: by the contract of `HostServices::random`.
    fill_random(unsafe { std::slice::from_raw_parts_mut(out, len) });
}

/// The standard library seeds each `RandomState` from the system.
fn fill_random(out: &mut [u8]) {
    use std::hash::{BuildHasher, Hasher, RandomState};
    for (index, part) in out.chunks_mut(8).enumerate() {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_usize(index);
        part.copy_from_slice(&hasher.finish().to_le_bytes()[..part.len()]);
    }
}
