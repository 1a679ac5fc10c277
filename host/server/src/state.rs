//! What all requests of one server share.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use holdall::Host;

use crate::access::Throttle;
use crate::body::Transfers;
use crate::settings::Settings;
use crate::watch::{HealthCache, Requests};

/// Cheap to clone; clones are the same server.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    host: Host,
    /// Replaced as a whole when the configuration is read again; a request keeps what it began with.
    settings: ArcSwap<Settings>,
    transfers: Transfers,
    ids: RequestIds,
    requests: Requests,
    throttle: Throttle,
    health_cache: HealthCache,
    /// Asked to stop: not ready, and still accepting.
    leaving: AtomicBool,
    stopping: AtomicBool,
}

impl App {
    pub(crate) fn new(host: Host, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            transfers: Transfers::new(settings.transfer_memory),
            ids: RequestIds::new(),
            requests: Requests::new(),
            throttle: Throttle::new(),
            health_cache: HealthCache::default(),
            leaving: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            host,
            settings: ArcSwap::from_pointee(settings),
        }))
    }

    pub(crate) fn host(&self) -> &Host {
        &self.0.host
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.0.settings.load_full()
    }

    /// For requests that begin from now on.
    pub(crate) fn set_settings(&self, settings: Settings) {
        self.0.settings.store(Arc::new(settings));
    }

    pub(crate) fn transfers(&self) -> &Transfers {
        &self.0.transfers
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.0.requests
    }

    /// Counts refused credentials.
    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    /// Whether the backends are well.
    pub(crate) fn health_cache(&self) -> &HealthCache {
        &self.0.health_cache
    }

    /// From now on the server is not ready.
    pub(crate) fn leave(&self) {
        self.0.leaving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Relaxed)
    }

    /// From now on every answer is the last one of its connection.
    pub(crate) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// A name for the next request.
    pub(crate) fn next_request_id(&self) -> Arc<str> {
        self.0.ids.next()
    }
}

/// Names of requests: 16 hexadecimal digits of this process, then a count.
///
/// Not a UUID for each request: random bytes for every one would cost more than reading a small
/// object does, and say no more.
struct RequestIds {
    process: u64,
    last: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        Self {
            // Without randomness names are still unique within this process.
            process: getrandom::u64().unwrap_or_default(),
            last: AtomicU64::new(0),
        }
    }

    fn next(&self) -> Arc<str> {
        let count = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut text = String::with_capacity(32);
        // Writing to a String does not fail.
        let _ = write!(text, "{:016x}-{count:x}", self.process);
        text.into()
    }
}
