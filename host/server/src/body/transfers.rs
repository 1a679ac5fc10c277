//! How large the chunks of a download may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Smallest and largest chunk that a backend may be asked for, in bytes.
const SMALLEST: u64 = 64 << 10;
const LARGEST: u64 = 1 << 20;
/// Each download may ask for this part of what is left.
const PART: u64 = 16;

/// The memory that chunks of running downloads share.
///
/// A chunk waits in memory for as long as its reader takes, so thousands of slow readers must not
/// hold large ones; a few fast ones should. Each download reserves a part of what is left, between
/// 64 KiB and 1 MiB: all of them together never hold more than the whole and 64 KiB each.
#[derive(Clone)]
pub(crate) struct Transfers {
    left: Arc<AtomicU64>,
}

impl Transfers {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            left: Arc::new(AtomicU64::new(bytes)),
        }
    }

    /// Room for the chunks of one download, until it is dropped.
    pub(crate) fn reserve(&self) -> Reservation {
        let part = |left: u64| (left / PART).clamp(SMALLEST, LARGEST);
        let mut chunk = SMALLEST;
        let taken = self
            .left
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                chunk = part(left);
                left.checked_sub(chunk)
            });
        Reservation {
            chunk: if taken.is_ok() { chunk } else { SMALLEST },
            taken: if taken.is_ok() { chunk } else { 0 },
            left: self.left.clone(),
        }
    }
}

/// Room for the chunks of one download.
pub(crate) struct Reservation {
    chunk: u64,
    taken: u64,
    left: Arc<AtomicU64>,
}

impl Reservation {
    /// The chunk size to ask for, in bytes.
    pub(crate) fn chunk(&self) -> u32 {
        self.chunk as u32
    }

    /// Gives back what a download of so many bytes does not need.
    pub(crate) fn shrink(&mut self, bytes: u64) {
        let spare = self.taken.saturating_sub(bytes);
        self.taken -= spare;
        self.left.fetch_add(spare, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.left.fetch_add(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_get_much_and_many_get_little() {
        let transfers = Transfers::new(64 << 20);
        let mut running: Vec<_> = (0..2000).map(|_| transfers.reserve()).collect();
        assert_eq!(running[0].chunk(), 1 << 20);
        assert_eq!(running[1999].chunk(), 64 << 10);
        assert!(running.is_sorted_by(|a, b| a.chunk() >= b.chunk()));
        let all: u64 = running.iter().map(|it| u64::from(it.chunk())).sum();
        assert!(all <= (64 << 20) + 2000 * (64 << 10), "{all}");
        running.clear();
        assert_eq!(transfers.reserve().chunk(), 1 << 20, "everything came back");
    }

    #[test]
    fn a_small_object_gives_back_what_it_does_not_need() {
        let transfers = Transfers::new(1 << 20);
        let mut small = transfers.reserve();
        assert_eq!(small.chunk(), 64 << 10);
        small.shrink(1 << 10);
        assert_eq!(
            transfers.left.load(Ordering::Relaxed),
            (1 << 20) - (1 << 10)
        );
        small.shrink(1 << 30);
        drop(small);
        assert_eq!(transfers.left.load(Ordering::Relaxed), 1 << 20);
        assert_eq!(
            Transfers::new(0).reserve().chunk(),
            64 << 10,
            "none is left without any"
        );
    }
}
