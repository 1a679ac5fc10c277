//! Bytes for the cases: different for each seed, the same in each run.

use bytes::Bytes;
use std::hash::{BuildHasher, Hasher, RandomState};

/// `len` bytes that look random and depend on the seed.
pub(crate) fn bytes(len: usize, seed: u64) -> Bytes {
    let mut numbers = Numbers::new(seed);
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        out.extend_from_slice(&numbers.next().to_le_bytes());
    }
    out.truncate(len);
    out.into()
}

/// Pieces of at most `size` bytes.
pub(crate) fn pieces(bytes: &Bytes, size: usize) -> Vec<Bytes> {
    let cut = |start: usize| bytes.slice(start..bytes.len().min(start + size));
    (0..bytes.len()).step_by(size).map(cut).collect()
}

/// A number that no other run has.
pub(crate) fn unpredictable() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// xorshift64*.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// What differs first between two texts of bytes, in few words.
pub(crate) fn difference(found: &[u8], expected: &[u8]) -> Option<String> {
    if found == expected {
        return None;
    }
    let at = found.iter().zip(expected).position(|(a, b)| a != b);
    Some(match at {
        Some(at) => format!("byte {at} differs"),
        None => format!("{} bytes instead of {}", found.len(), expected.len()),
    })
}
