//! Pool of the buffers of file bodies.
//!
//! One pool for all downloads. The buffer that was returned last is reused first, because it is still in
//! the processor's caches; a reused buffer needs neither new pages nor zeros.

use holdall_plugin_api::Bytes;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Limit of the bytes in the pool.
const POOL_BYTES: usize = 4 << 20;

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

/// Takes a buffer of at least `length` bytes, with unspecified content.
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

/// The first `length` bytes of a buffer. The buffer returns to the pool when the last clone is dropped.
pub(crate) fn lend(buffer: Vec<u8>, length: usize) -> Bytes {
    Bytes::from_owner(Lent { buffer, length })
}

/// Returns a buffer to the pool, or frees it when the pool is full.
pub(crate) fn put(buffer: Vec<u8>) {
    let mut pool = pool();
    if pool.bytes + buffer.capacity() <= POOL_BYTES {
        pool.bytes += buffer.capacity();
        pool.buffers.push(buffer);
    }
}

/// A buffer that a receiver holds.
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
    fn the_pool_is_bounded() {
        let lent: Vec<_> = (0..64)
            .map(|at| lend(vec![at; 1 << 20], usize::from(at)))
            .collect();
        assert_eq!(lent[7], [7; 7][..]);
        drop(lent);
        // Other tests use the pool too.
        let pool = pool();
        let kept = pool.buffers.iter().map(Vec::capacity).sum::<usize>();
        assert_eq!(pool.bytes, kept);
        assert!(kept <= POOL_BYTES, "{kept}");
        assert!(!pool.buffers.is_empty());
    }
}
