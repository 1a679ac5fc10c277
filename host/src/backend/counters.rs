//! Counters of a backend since it was registered. Atomics only: counting never blocks,
//! and nothing is allocated.

use super::latency::{Histogram, Latency};
use holdall_plugin_api::{ErrorKind, Operation};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const OPERATIONS: usize = Operation::ALL.len();
/// Kinds count from 1; slot 0 stays empty.
const KINDS: usize = ErrorKind::ALL.len() + 1;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    operations: [OperationCounters; OPERATIONS],
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

#[derive(Debug, Default)]
struct OperationCounters {
    calls: AtomicU64,
    /// Futures that were dropped before they had answered.
    dropped: AtomicU64,
    errors: [AtomicU64; KINDS],
    /// Also tells how many are going on, which would cost two more atomic additions each.
    latency: Histogram,
}

pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Counters {
    fn of(&self, operation: Operation) -> &OperationCounters {
        &self.operations[operation as usize]
    }

    pub(crate) fn call(&self, operation: Operation) {
        add(&self.of(operation).calls, 1);
    }

    pub(crate) fn answered(&self, operation: Operation, took: Duration) {
        self.of(operation).latency.record(took);
    }

    pub(crate) fn dropped(&self, operation: Operation) {
        // As in `Histogram::record`.
        let dropped = &self.of(operation).dropped;
        dropped.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn error(&self, operation: Operation, kind: ErrorKind) {
        if let Some(counter) = self.of(operation).errors.get(kind as usize) {
            add(counter, 1);
        }
    }

    pub(crate) fn snapshot(&self) -> CounterReport {
        let mut report = CounterReport {
            released_at_deadline: of(&self.released),
            bytes_in: of(&self.bytes_in),
            bytes_out: of(&self.bytes_out),
            skipped_keys: of(&self.skipped_keys),
            spooled: of(&self.spooled),
            opens: of(&self.opens),
            failed_opens: of(&self.failed_opens),
            evictions: of(&self.evictions),
            ..CounterReport::default()
        };
        for operation in Operation::ALL {
            let counters = self.of(*operation);
            let seen = counters.snapshot();
            if seen.calls == 0 {
                continue;
            }
            report.in_flight += seen.in_flight;
            report.dropped += seen.dropped;
            report.not_modified += of(&counters.errors[ErrorKind::NotModified as usize]);
            for (code, count) in &seen.errors {
                *report.errors.entry(code).or_default() += count;
            }
            report.operations.insert(operation.name(), seen);
        }
        report
    }
}

impl OperationCounters {
    fn snapshot(&self) -> OperationReport {
        // The ends before the beginnings: an end that is seen here has its beginning seen below.
        let latency = self.latency.snapshot();
        let dropped = self.dropped.load(Ordering::Acquire);
        let calls = of(&self.calls);
        let errors = ErrorKind::ALL
            .iter()
            .filter(|kind| **kind != ErrorKind::NotModified)
            .map(|kind| (kind.code(), of(&self.errors[*kind as usize])))
            .filter(|(_, count)| *count > 0);
        OperationReport {
            calls,
            in_flight: calls.saturating_sub(latency.count() + dropped),
            dropped,
            errors: errors.collect(),
            latency,
        }
    }
}

/// The counters of a backend at one moment. Each is exact; together they are not one instant.
///
/// They belong to the name: they go on through registrations, and nothing resets them. Panics and
/// late results belong to the plugin, which may serve several backends:
/// [`PluginFaults`](crate::PluginFaults).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CounterReport {
    /// Each operation that was called, by name.
    pub operations: BTreeMap<&'static str, OperationReport>,
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

/// One operation of a backend at one moment. What has begun is going on, answered or dropped:
/// `calls = in_flight + latency.count() + dropped`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OperationReport {
    /// Times that it began.
    pub calls: u64,
    /// Those that are going on; a download's body does not count.
    pub in_flight: u64,
    /// Those whose caller dropped them before the answer.
    pub dropped: u64,
    /// Those that failed, by code, and bodies of downloads that did. Without "not modified".
    pub errors: BTreeMap<&'static str, u64>,
    /// How long it took to the answer, good or bad; for a download up to where its body begins.
    pub latency: Latency,
}
