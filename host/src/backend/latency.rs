//! How long operations take: counts in fixed buckets, so that nothing is kept of a single call.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
