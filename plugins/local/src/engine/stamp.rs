//! Times that name a version of an object.
//!
//! An etag is the modification time, the change time and the size, so that head and list need only
//! `stat`. The modification time is chosen here, strictly rising within a process, because before
//! Linux 6.13 the kernel's own times move in ticks of some milliseconds; with whole nanoseconds, the
//! lowest byte differs between processes. The change time, which no program can set, tells apart what
//! other programs store with an old modification time (`cp -p`, `rsync -t`, `touch -d`).

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A modification time in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(pub(crate) i64);

impl Stamp {
    pub(crate) fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    pub(crate) fn time(self) -> SystemTime {
        let distance = Duration::from_nanos(self.0.unsigned_abs());
        let time = if self.0 < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}

/// Source of stamps, strictly rising.
#[derive(Debug)]
pub(crate) struct Clock {
    last: AtomicI64,
    /// Resolution of the file system: stamps are multiples of this many nanoseconds.
    step: i64,
    /// The lowest byte of every stamp, where the step leaves it free.
    salt: i64,
}

/// Number of salts.
const SALTED: i64 = 256;

impl Clock {
    /// A clock for a file system that stores multiples of `step` nanoseconds.
    pub(crate) fn new(step: u32, salt: u8) -> Self {
        let step = i64::from(step.max(1));
        let (step, salt) = if step == 1 {
            (SALTED, i64::from(salt))
        } else {
            (step, 0)
        };
        Self {
            last: AtomicI64::new(0),
            step,
            salt,
        }
    }

    /// The next stamp: now, or just after the last one.
    pub(crate) fn next(&self) -> Stamp {
        let now = Stamp::now().0 / self.step;
        let rise = |last: i64| Some(now.max(last + 1));
        // The closure never answers `None`, so both arms hold the value before.
        let (Ok(last) | Err(last)) =
            self.last
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, rise);
        Stamp(now.max(last + 1) * self.step + self.salt)
    }
}

/// The etag of this version, for instance `"18a4c0d2f3b41c07-18a4c0d2f3b8e1d2-1f4"`, in quotes.
pub(crate) fn etag(stamp: Stamp, changed: Stamp, size: u64) -> String {
    format!("\"{:x}-{:x}-{size:x}\"", stamp.0, changed.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn stamps_rise_strictly_across_threads() {
        for step in [1, 100, 1_000] {
            let clock = Clock::new(step, 7);
            let all: Vec<Vec<Stamp>> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| scope.spawn(|| (0..2_000).map(|_| clock.next()).collect::<Vec<_>>()))
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .collect()
            });
            assert!(all.iter().all(|one| one.is_sorted()));
            let distinct: HashSet<i64> = all.iter().flatten().map(|stamp| stamp.0).collect();
            assert_eq!(distinct.len(), 8_000);
            assert!(distinct.iter().all(|ns| if step == 1 {
                ns & 0xff == 7
            } else {
                ns % i64::from(step) == 0
            }));
        }
    }

    #[test]
    fn times_before_1970_are_kept() {
        let second = Duration::from_secs(1);
        assert_eq!(Stamp(-1_000_000_000).time(), UNIX_EPOCH - second);
    }
}
