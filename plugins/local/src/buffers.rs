//! Buffers of downloads, used again.
//!
//! One pool for all of them, because the buffer that came back last is lent first: the processor's
//! caches still hold it, and a buffer that was used before needs neither pages nor zeros.

use holdall_plugin_api::Bytes;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most bytes that wait for their next use.
const KEPT: usize = 4 << 20;

static POOL: Mutex<Pool> = Mutex::new(Pool {
    buffers: Vec::new(),
    bytes: 0,
});

struct Pool {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer of at least `length` bytes, with whatever it held before.
pub(crate) fn take(length: usize) -> Vec<u8> {
    let mut buffer = {
        let mut pool = pool();
        let buffer = pool.buffers.pop().unwrap_or_default();
        pool.bytes -= buffer.capacity();
        buffer
    };
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    buffer
}

/// The first `length` bytes of a buffer, which comes back when nobody needs them any more.
pub(crate) fn lend(buffer: Vec<u8>, length: usize) -> Bytes {
    Bytes::from_owner(Lent { buffer, length })
}

/// Takes a buffer back.
pub(crate) fn put(buffer: Vec<u8>) {
    let mut pool = pool();
    if pool.bytes + buffer.capacity() <= KEPT {
        pool.bytes += buffer.capacity();
        pool.buffers.push(buffer);
    }
}

/// A buffer on loan to a receiver.
struct Lent {
    buffer: Vec<u8>,
    length: usize,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        put(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_the_last_comes_first() {
        let lent: Vec<_> = (0..64)
            .map(|at| lend(vec![at; 1 << 20], usize::from(at)))
            .collect();
        assert_eq!(lent[7], [7; 7][..]);
        drop(lent);
        // Other tests read too: what is told is what is there at one moment.
        let pool = pool();
        let kept = pool.buffers.iter().map(Vec::capacity).sum::<usize>();
        assert_eq!(pool.bytes, kept);
        assert!(kept <= KEPT, "{kept}");
        assert!(!pool.buffers.is_empty());
    }
}
