//! What the host does for a plugin: rule R13.

use crate::config::{Secrets, WeakSecrets, hex};
use crate::platform::{crumbs, process, random as system_random};
use holdall_plugin_api::abi::LINKED_IN;
use holdall_plugin_api::abi::extension::host_about;
use holdall_plugin_api::abi::grow::{self, copy_in};
use holdall_plugin_api::abi::tables::{FfiHostAbout, FfiLogRecord, FfiSlice, HostServices};
use holdall_plugin_api::abi::text::{copied, copied_pairs, time_out};
use std::borrow::Cow;
use std::ffi::c_void;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::{Instant, SystemTime};
use tracing::Level;
use tracing::level_filters::LevelFilter;

/// What went wrong in a plugin since it was mapped.
#[derive(Debug, Default)]
pub(crate) struct PluginCounters {
    /// Panics that became an error of an operation.
    pub(crate) panics_in_calls: AtomicU64,
    /// Panics in a `Drop`, which no caller sees.
    pub(crate) panics_in_drops: AtomicU64,
    /// Panics in tasks and threads of the plugin.
    pub(crate) panics_in_tasks: AtomicU64,
    /// Operations that were still pending when their caller went away.
    pub(crate) abandoned: AtomicU64,
    /// Results that came after their caller had gone, and were freed.
    pub(crate) late_results: AtomicU64,
    /// Instances that are there now.
    pub(crate) instances: AtomicU64,
}

impl PluginCounters {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The services of one plugin.
pub(super) struct Services {
    name: String,
    crumb: u32,
    counters: PluginCounters,
    /// What must not be in its log lines: the secrets of every host that has opened it.
    secrets: RwLock<Vec<WeakSecrets>>,
    table: OnceLock<Table>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services")
            .field("name", &self.name)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

struct Table(HostServices);

// SAFETY: the table points to its own `Services`, which is leaked and only used through `&`.
unsafe impl Send for Table {}
// SAFETY: as above.
unsafe impl Sync for Table {}

impl Services {
    /// Makes services that live as long as the process, as the plugin's code does.
    pub(super) fn leak(plugin: &str, linked_in: bool, crumb: u32) -> &'static Services {
        let services: &'static Services = Box::leak(Box::new(Services {
            name: plugin.to_owned(),
            crumb,
            counters: PluginCounters::default(),
            secrets: RwLock::default(),
            table: OnceLock::new(),
        }));
        services.table.get_or_init(|| {
            Table(HostServices {
                host: std::ptr::from_ref(services).cast(),
                flags: if linked_in { LINKED_IN } else { 0 },
                log_level: Some(log_level),
                log: Some(log),
                fault: Some(fault),
                monotonic_ns: Some(monotonic),
                unix_ns: Some(unix),
                random: Some(random),
                get_extension: Some(get_extension),
                ..grow::empty()
            })
        });
        services
    }

    pub(super) fn table(&'static self) -> &'static HostServices {
        match self.table.get() {
            Some(Table(table)) => table,
            None => unreachable!("filled by `leak`"),
        }
    }

    pub(super) fn counters(&'static self) -> &'static PluginCounters {
        &self.counters
    }

    /// Takes these secrets, and those that are learned later, out of what the plugin logs.
    pub(super) fn hide(&self, secrets: &Secrets) {
        let secrets = secrets.downgrade();
        let mut known = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        // Hosts come and go; the plugin stays.
        known.retain(|one| one.upgrade().is_some());
        if !known.iter().any(|one| one.is(&secrets)) {
            known.push(secrets);
        }
    }

    /// A text of the plugin, as a log may have it.
    fn shown(&self, mut text: String) -> String {
        let known = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        for secrets in known.iter().filter_map(WeakSecrets::upgrade) {
            if let Cow::Owned(clean) = secrets.redact(&text) {
                text = clean;
            }
        }
        text
    }
}

/// # Safety
///
/// R13: `host` is what `leak` put into the table.
unsafe fn services(host: *const c_void) -> &'static Services {
    // SAFETY: leaked, so it lives as long as the process.
    unsafe { &*host.cast::<Services>() }
}

unsafe extern "C" fn get_extension(_: *const c_void, name: FfiSlice) -> *const c_void {
    // SAFETY: R4: lent for the call.
    let name = unsafe { copied(name) };
    let name = name.ok().flatten().unwrap_or_default();
    crate::plugin::extensions::offered(&name)
}

/// Who loads, for a plugin's log.
pub(super) struct About(FfiHostAbout);

// SAFETY: it holds static texts only.
unsafe impl Sync for About {}

impl About {
    pub(super) const OURS: &'static Self = {
        static OURS: About = About(host_about("holdall", env!("CARGO_PKG_VERSION")));
        &OURS
    };

    pub(super) fn link(&self) -> &FfiHostAbout {
        &self.0
    }
}

unsafe extern "C" fn log_level(_: *const c_void) -> u32 {
    let level = LevelFilter::current();
    [
        LevelFilter::ERROR,
        LevelFilter::WARN,
        LevelFilter::INFO,
        LevelFilter::DEBUG,
        LevelFilter::TRACE,
    ]
    .iter()
    .filter(|louder| **louder <= level)
    .count() as u32
}

unsafe extern "C" fn log(host: *const c_void, record: *const FfiLogRecord) {
    // A panic of a subscriber must not unwind into the plugin (R10).
    let _ = std::panic::catch_unwind(|| {
        // SAFETY: R13.
        let services = unsafe { services(host) };
        let plugin = services.name.as_str();
        // SAFETY: R1.
        let Ok(record) = (unsafe { copy_in(record) }) else {
            return;
        };
        // SAFETY: R13: lent for the call.
        let text = |slice: FfiSlice| unsafe { copied(slice) }.ok().flatten().unwrap_or_default();
        // SAFETY: R13: lent for the call.
        let fields = unsafe { copied_pairs(record.fields) }.unwrap_or_default();
        // SAFETY: R1, R15.
        let call = unsafe { copy_in(record.call) }.ok();
        let request = call.as_ref().map(|call| text(call.request_id));
        let request = request.filter(|request| !request.is_empty());
        let identity = call.as_ref().map(|call| (call.trace_id, call.span_id));
        let (trace, span) = identity.map_or((None, None), |(trace, span)| {
            (identifier(&trace), identifier(&span))
        });
        let shown = |slice| services.shown(text(slice));
        let (origin, message) = (shown(record.target), shown(record.message));
        let fields = fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" ");
        let fields = services.shown(fields);
        crumbs::log(services.crumb, &message);
        let within = super::spans::of(request.as_deref());
        let _entered = within.enter();
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(target: "holdall::plugin", $level, plugin, origin, request_id = request, trace_id = trace, span_id = span, fields, "{message}")
            };
        }
        match record.level {
            0 | 1 => event!(Level::ERROR),
            2 => event!(Level::WARN),
            3 => event!(Level::INFO),
            4 => event!(Level::DEBUG),
            _ => event!(Level::TRACE),
        }
    });
}

unsafe extern "C" fn fault(host: *const c_void, kind: u32, message: FfiSlice) {
    let _ = std::panic::catch_unwind(|| {
        // SAFETY: R13.
        let services = unsafe { services(host) };
        let (counter, place) = match kind {
            1 => (&services.counters.panics_in_drops, "a drop"),
            _ => (&services.counters.panics_in_tasks, "a task or thread"),
        };
        PluginCounters::count(counter);
        // SAFETY: R13: lent for the call.
        let message = unsafe { copied(message) }
            .ok()
            .flatten()
            .unwrap_or_default();
        let message = services.shown(message);
        tracing::error!(target: "holdall::plugin", plugin = services.name, "a panic in {place}: {message}");
    });
}

/// A W3C id as a log shows it; `None` for zero.
pub(crate) fn identifier(id: &[u8]) -> Option<String> {
    id.iter().any(|byte| *byte != 0).then(|| hex(id))
}

/// The clock of deadlines: nanoseconds since its first use.
pub(super) fn since_start(instant: Instant) -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    u64::try_from(instant.saturating_duration_since(*start).as_nanos()).unwrap_or(u64::MAX - 1)
}

unsafe extern "C" fn monotonic(_: *const c_void) -> u64 {
    since_start(Instant::now())
}

unsafe extern "C" fn unix(_: *const c_void) -> i64 {
    time_out(Some(SystemTime::now()))
}

unsafe extern "C" fn random(_: *const c_void, out: *mut u8, len: usize) {
    if len == 0 || out.is_null() || isize::try_from(len).is_err() {
        return;
    }
    // SAFETY: by the contract of `HostServices::random`, `len` bytes are writable.
    let out = unsafe { std::slice::from_raw_parts_mut(out, len) };
    if !system_random::fill(out) {
        // The plugin cannot be told, and would take what lies there for random: for a key, say.
        process::say(b"holdall: the system gives no random bytes\n");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_reach_the_plugin() {
        let mut out = [0u8; 64];
        // SAFETY: 64 bytes are writable; the host is not looked at.
        unsafe { random(std::ptr::null(), out.as_mut_ptr(), out.len()) };
        assert!(out[..32].iter().any(|b| *b != 0) && out[32..].iter().any(|b| *b != 0));
        // SAFETY: refused before anything is written.
        unsafe { random(std::ptr::null(), std::ptr::null_mut(), 8) };
        // SAFETY: as above.
        unsafe { random(std::ptr::null(), out.as_mut_ptr(), usize::MAX) };
    }
}
