//! Which keys this process is changing just now.
//!
//! A server replaces a file in several steps ([RFC 4918, 9.9.3] has it delete the target first, and
//! properties move after their file). A reader that looks between two of them sees nothing, or bytes
//! without their record. Readers of this process ask here whether that may have happened, and look
//! again; writers of this process take turns.
//!
//! [RFC 4918, 9.9.3]: https://www.rfc-editor.org/rfc/rfc4918#section-9.9.3

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, Notify};

/// Keys share a slot when their hashes do, which costs a second look and never a wrong answer.
static SLOTS: LazyLock<Vec<Slot>> = LazyLock::new(|| (0..1024).map(|_| Slot::default()).collect());

#[derive(Default)]
struct Slot {
    turn: Mutex<()>,
    moving: AtomicUsize,
    moved: AtomicU64,
    settled: Notify,
}

fn index(url: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    url.hash(&mut hasher);
    (hasher.finish() % SLOTS.len() as u64) as usize
}

/// A change under way. Dropped when it is over, however it ended.
pub(crate) struct KeyChange {
    slot: &'static Slot,
    _turn: MutexGuard<'static, ()>,
}

/// Waits for its turn, and begins a change of what is at this URL.
pub(crate) async fn begin(url: &str) -> KeyChange {
    begin_at(index(url)).await
}

async fn begin_at(index: usize) -> KeyChange {
    let slot = &SLOTS[index];
    let turn = slot.turn.lock().await;
    slot.moving.fetch_add(1, Ordering::SeqCst);
    KeyChange { slot, _turn: turn }
}

/// As [`begin`], for two URLs: in one order, so that two that go opposite ways do not wait for each
/// other.
pub(crate) async fn begin_both(one: &str, other: &str) -> (KeyChange, Option<KeyChange>) {
    let (first, second) = (index(one).min(index(other)), index(one).max(index(other)));
    let moving = begin_at(first).await;
    match first == second {
        true => (moving, None),
        false => (moving, Some(begin_at(second).await)),
    }
}

impl Drop for KeyChange {
    fn drop(&mut self) {
        self.slot.moved.fetch_add(1, Ordering::SeqCst);
        self.slot.moving.fetch_sub(1, Ordering::SeqCst);
        self.slot.settled.notify_waiters();
    }
}

/// Taken before a look.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    slot: &'static Slot,
    moved: u64,
    quiet: bool,
}

pub(crate) fn mark(url: &str) -> Mark {
    let slot = &SLOTS[index(url)];
    Mark {
        slot,
        moved: slot.moved.load(Ordering::SeqCst),
        quiet: slot.moving.load(Ordering::SeqCst) == 0,
    }
}

impl Mark {
    /// Whether something changed since; waits (for a moment at most) until it has settled.
    pub(crate) async fn is_past(self) -> bool {
        let settled = self.slot.settled.notified();
        let moving = self.slot.moving.load(Ordering::SeqCst) > 0;
        if moving {
            let _ = tokio::time::timeout(Duration::from_millis(500), settled).await;
        }
        moving || !self.quiet || self.slot.moved.load(Ordering::SeqCst) != self.moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_noticed_before_during_and_after() {
        let url = "http://test/a-key-of-this-test-only";
        assert!(!mark(url).is_past().await);
        let before = mark(url);
        let moving = begin(url).await;
        let during = mark(url);
        let waiting = tokio::spawn(async move { during.is_past().await });
        tokio::task::yield_now().await;
        drop(moving);
        assert!(waiting.await.unwrap());
        assert!(before.is_past().await && during.is_past().await);
        assert!(!mark(url).is_past().await);
    }

    #[tokio::test]
    async fn writers_take_turns() {
        let first = begin("http://test/turns").await;
        let second = begin("http://test/turns");
        tokio::pin!(second);
        let early = tokio::time::timeout(Duration::from_millis(20), second.as_mut()).await;
        assert!(early.is_err());
        drop(first);
        second.await;
    }
}
