//! Counters and latencies of a backend since it was registered. Atomics only: counting never blocks,
//! and nothing is allocated or kept of a single call.

use crate::policy::PolicyReport;
use crate::policy::counts::PolicyCounters;
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
    pub(crate) policies: PolicyCounters,
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
            policies: self.policies.snapshot(),
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
    /// What its policies have refused and repeated.
    pub policies: PolicyReport,
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

const BOUNDS: usize = 25;

/// Upper bounds in nanoseconds: 1, 2 and 5 of each decade from one microsecond, which a linked-in
/// store answers in, to 100 seconds, where deadlines end what is left.
const NANOSECONDS: [u64; BOUNDS] = {
    let mut bounds = [0; BOUNDS];
    let (mut at, mut decade) = (0, 1_000);
    while at < BOUNDS {
        bounds[at] = decade * [1, 2, 5][at % 3];
        at += 1;
        if at.is_multiple_of(3) {
            decade *= 10;
        }
    }
    bounds
};

static BOUND_TIMES: [Duration; BOUNDS] = {
    let mut times = [Duration::ZERO; BOUNDS];
    let mut at = 0;
    while at < BOUNDS {
        times[at] = Duration::from_nanos(NANOSECONDS[at]);
        at += 1;
    }
    times
};

/// The counts as they are collected. Two atomic additions for each operation.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// The last one is for what took longer than every bound.
    buckets: [AtomicU64; BOUNDS + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    pub(crate) fn record(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let bucket = NANOSECONDS.partition_point(|bound| *bound < took);
        self.sum_ns.fetch_add(took, Ordering::Relaxed);
        // Pairs with `snapshot`: a reader that sees this answer sees the beginning of its call too.
        self.buckets[bucket].fetch_add(1, Ordering::Release);
    }

    pub(crate) fn snapshot(&self) -> Latency {
        let count = |bucket: &AtomicU64| bucket.load(Ordering::Acquire);
        Latency {
            counts: self.buckets.iter().map(count).collect(),
            sum: Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)),
        }
    }
}

/// How long operations took, as a histogram.
///
/// The buckets are the same for all operations, backends and hosts of a version, so that they can
/// be added up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// Operations in each bucket: those that took at most the bound of the same place in
    /// [`Latency::bounds`] and longer than the one before. One more than there are bounds: the last
    /// counts what took longer than all of them.
    pub counts: Vec<u64>,
    /// All their times together.
    #[serde(rename = "sum_seconds", serialize_with = "seconds")]
    pub sum: Duration,
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

impl Latency {
    /// Upper bounds of the buckets, included: 1, 2 and 5 of each decade from 1 µs to 100 s.
    pub fn bounds() -> &'static [Duration] {
        &BOUND_TIMES
    }

    /// Operations that were timed.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many took at most so long: each bound with its count, then `None` with all of them. The
    /// shape of a Prometheus histogram.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUND_TIMES.iter().copied().map(Some).chain([None]);
        let mut below = 0;
        bounds.zip(&self.counts).map(move |(bound, count)| {
            below += count;
            (bound, below)
        })
    }

    /// The bound that this share of the operations stayed under: `0.5` gives the median, up to the
    /// width of a bucket. `None` when nothing was timed, or when it took longer than every bound.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = ((self.count() as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let reached = |(bound, below): (Option<Duration>, u64)| (below >= wanted).then_some(bound);
        self.cumulative().find_map(reached).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[Duration]) -> Latency {
        let histogram = Histogram::default();
        times.iter().for_each(|time| histogram.record(*time));
        histogram.snapshot()
    }

    #[test]
    fn bounds_are_1_2_5_from_a_microsecond_to_100_seconds() {
        let bounds = Latency::bounds();
        assert_eq!(bounds[..4], [1, 2, 5, 10].map(Duration::from_micros));
        assert_eq!(bounds[24], Duration::from_secs(100));
        assert!(bounds.is_sorted());
    }

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        for (at, bound) in Latency::bounds().iter().enumerate() {
            let one = Duration::from_nanos(1);
            let counts = of(&[*bound, *bound + one]).counts;
            assert_eq!((counts[at], counts[at + 1]), (1, 1), "{bound:?}");
        }
        assert_eq!(of(&[Duration::ZERO]).counts[0], 1);
        assert_eq!(of(&[Duration::MAX]).counts[25], 1);
    }

    #[test]
    fn counts_add_up() {
        let ms = Duration::from_millis;
        let latency = of(&[ms(3), ms(3), ms(40), Duration::from_secs(1000)]);
        assert_eq!(latency.count(), 4);
        assert_eq!(latency.sum, ms(1_000_046));
        let cumulative: Vec<_> = latency.cumulative().collect();
        assert_eq!(cumulative.len(), 26);
        assert_eq!(cumulative[10], (Some(ms(2)), 0));
        assert_eq!(cumulative[11], (Some(ms(5)), 2));
        assert_eq!(cumulative[14], (Some(ms(50)), 3));
        assert_eq!(cumulative[25], (None, 4));
    }

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let ms = Duration::from_millis;
        let latency = of(&[ms(3), ms(3), ms(40), Duration::from_secs(1000)]);
        assert_eq!(latency.quantile(0.5), Some(ms(5)));
        assert_eq!(latency.quantile(0.75), Some(ms(50)));
        assert_eq!(latency.quantile(1.0), None, "longer than every bound");
        assert_eq!(of(&[]).quantile(0.5), None);
    }
}
