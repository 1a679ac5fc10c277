//! What happened to a backend since it was registered. Atomics only: nobody waits to be counted.

use holdall_plugin_api::{ErrorKind, Operation};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

const OPERATIONS: usize = Operation::ALL.len();
/// Kinds count from 1; slot 0 stays empty.
const KINDS: usize = ErrorKind::ALL.len() + 1;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: [AtomicU64; OPERATIONS],
    errors: [AtomicU64; KINDS],
    pub(crate) not_modified: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    /// Futures that were dropped before they had answered.
    pub(crate) dropped: AtomicU64,
    /// Callers that were released at their deadline while the plugin was still pending.
    pub(crate) released: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) skipped_keys: AtomicU64,
    pub(crate) spooled: AtomicU64,
    pub(crate) opens: AtomicU64,
    pub(crate) failed_opens: AtomicU64,
    pub(crate) evictions: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Counters {
    pub(crate) fn call(&self, operation: Operation) {
        add(&self.calls[operation as usize], 1);
    }

    pub(crate) fn error(&self, kind: ErrorKind) {
        if kind == ErrorKind::NotModified {
            add(&self.not_modified, 1);
        } else if let Some(counter) = self.errors.get(kind as usize) {
            add(counter, 1);
        }
    }

    pub(crate) fn snapshot(&self) -> CounterReport {
        let nonzero = |count: &u64| *count > 0;
        CounterReport {
            calls: Operation::ALL
                .iter()
                .map(|operation| (operation.name(), of(&self.calls[*operation as usize])))
                .filter(|(_, count)| nonzero(count))
                .collect(),
            errors: ErrorKind::ALL
                .iter()
                .map(|kind| (kind.code(), of(&self.errors[*kind as usize])))
                .filter(|(_, count)| nonzero(count))
                .collect(),
            not_modified: of(&self.not_modified),
            in_flight: of(&self.in_flight),
            dropped: of(&self.dropped),
            released_at_deadline: of(&self.released),
            bytes_in: of(&self.bytes_in),
            bytes_out: of(&self.bytes_out),
            skipped_keys: of(&self.skipped_keys),
            spooled: of(&self.spooled),
            opens: of(&self.opens),
            failed_opens: of(&self.failed_opens),
            evictions: of(&self.evictions),
        }
    }
}

/// The counters of a backend at one moment. Each is exact; together they are not one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CounterReport {
    /// Operations that began, by name.
    pub calls: BTreeMap<&'static str, u64>,
    /// Operations and bodies that failed, by code.
    pub errors: BTreeMap<&'static str, u64>,
    /// Reads that were answered "not modified", which is no error.
    pub not_modified: u64,
    /// Operations that are going on; a download's body does not count.
    pub in_flight: u64,
    /// Operations whose caller dropped them before the answer.
    pub dropped: u64,
    /// Callers released at their deadline while the plugin was still busy.
    pub released_at_deadline: u64,
    /// Payload bytes that went into the plugin.
    pub bytes_in: u64,
    /// Payload bytes that came out of the plugin.
    pub bytes_out: u64,
    /// Foreign keys that listings left out.
    pub skipped_keys: u64,
    /// Uploads of unknown length that went through a temporary file.
    pub spooled: u64,
    /// Instances that were opened.
    pub opens: u64,
    /// Opens that failed.
    pub failed_opens: u64,
    /// Instances that were given up after a fault of the plugin or refused credentials.
    pub evictions: u64,
}
