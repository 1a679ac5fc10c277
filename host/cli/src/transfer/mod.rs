//! Bytes between this machine's files and bodies, a few chunks ahead and no more.
//!
//! The blocking side runs on a thread of its own, so that reading or writing a file and what the
//! plugin does with the bytes go on at the same time.

mod read;
mod write;

pub(crate) use read::{Input, Source};
pub(crate) use write::{Stopped, drain};

/// Size of a chunk, in bytes: the largest that a plugin takes.
pub(crate) const CHUNK: usize = 1 << 20;

/// Chunks that wait between the two sides.
pub(crate) const AHEAD: usize = 3;
