//! The body of a download on its way out of a plugin: exactly the bytes that were announced.

use super::fault;
use super::idle::Idle;
use crate::backend::counters::{Counters, add};
use crate::backend::generation::{Generation, Opened};
use crate::backend::handle::Slot;
use crate::backend::scope::Placed;
use crate::policy::Turn;
use crate::policy::idle_timeout::stalled;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use holdall_plugin_api::Source;
use holdall_plugin_api::{
    Body, Bytes, Checksums, Error, ErrorKind, Key, MAX_CHUNK, Operation, Result, Retry,
};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;

/// Chunks of no bytes that a plugin may send in a row.
const EMPTY_CHUNKS: u32 = 64;

/// What outlives the operation together with its body.
pub(crate) struct Origin {
    pub(crate) slot: Arc<Slot>,
    pub(crate) generation: Arc<Generation>,
    pub(crate) opened: Arc<Opened>,
    pub(crate) key: String,
    pub(crate) started: Instant,
    pub(crate) deadline: Option<Instant>,
    /// Longest time between two chunks.
    pub(crate) idle: Option<Duration>,
    /// Given back when the body ends.
    pub(crate) _turn: Option<Turn>,
}

pub(crate) struct Verified {
    body: Body,
    left: u64,
    moved: u64,
    /// The digest so far and the one that the store keeps.
    crc32c: Option<(Crc, u32)>,
    checksums: Checksums,
    late: Option<Pin<Box<Sleep>>>,
    idle: Option<Idle>,
    origin: Origin,
}

impl Verified {
    /// `stored`: the digest of these very bytes, when the store keeps one.
    pub(crate) fn new(body: Body, length: u64, stored: Option<u32>, origin: Origin) -> Self {
        let late = origin
            .deadline
            .map(|at| Box::pin(tokio::time::sleep_until(at.into())));
        Self {
            body,
            left: length,
            moved: 0,
            crc32c: stored.map(|stored| (Crc::new(CrcAlgorithm::Crc32Iscsi), stored)),
            checksums: Checksums::NONE,
            late,
            idle: origin.idle.map(Idle::new),
            origin,
        }
    }

    fn counters(&self) -> &Counters {
        &self.origin.slot.counters
    }

    fn check(&mut self, chunk: &[u8]) -> Result<()> {
        if chunk.len() > MAX_CHUNK as usize {
            return Err(fault("a chunk of more than 1 MiB").with_fact("bytes", chunk.len()));
        }
        let length = chunk.len() as u64;
        self.left = self
            .left
            .checked_sub(length)
            .ok_or_else(|| fault("more bytes than were announced"))?;
        let Some((crc, stored)) = &mut self.crc32c else {
            return Ok(());
        };
        crc.update(chunk);
        // With the last bytes and not after them: many readers stop at the size.
        if self.left == 0 {
            let found = crc.finalize() as u32;
            self.checksums.crc32c = Some(found);
            if found != *stored {
                return Err(Error::new(ErrorKind::Corrupt)
                    .with_message("the bytes do not have the digest that was stored with them")
                    .with_fact("algorithm", "crc32c")
                    .with_fact("expected", format!("{stored:08x}"))
                    .with_fact("found", format!("{found:08x}")));
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: Error) -> Error {
        let origin = &self.origin;
        let place = Placed {
            backend: &origin.slot.name,
            operation: Operation::Download,
            key: Some(Key::new(&origin.key)),
            opened: Some(&origin.opened),
        };
        let error = place.complete(error, &origin.slot.context).at(|place| {
            place.attempts = place.attempts.max(1);
            place.elapsed = origin.started.elapsed();
            place.bytes_moved = self.moved;
        });
        self.counters().error(Operation::Download, error.kind());
        if matches!(
            error.kind(),
            ErrorKind::PluginFault | ErrorKind::Unauthenticated
        ) {
            origin
                .generation
                .give_up(&origin.opened, &error, &origin.slot.counters);
        }
        if error.kind() == ErrorKind::PluginFault {
            tracing::warn!(target: "holdall", %error, "a plugin broke the contract in a body");
        } else {
            tracing::debug!(target: "holdall", code = error.code(), %error, "a body failed");
        }
        error
    }

    /// Waits for what `pull` yields, within the limits; no bytes at all are nothing.
    fn next<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut pull: impl FnMut(&mut Body, &mut Context<'_>) -> Poll<Option<Result<T>>>,
        bytes: impl Fn(&T) -> usize,
    ) -> Poll<Option<Result<T>>> {
        for _ in 0..EMPTY_CHUNKS {
            match pull(&mut self.body, cx) {
                Poll::Ready(Some(Ok(some))) if bytes(&some) == 0 => {}
                Poll::Ready(Some(Ok(some))) => {
                    self.idle.as_mut().map(Idle::moved);
                    return Poll::Ready(Some(Ok(some)));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) if self.left > 0 => {
                    let short = Error::new(ErrorKind::Unavailable)
                        .with_message("the body ended early")
                        .with_fact("missing_bytes", self.left)
                        .with_retry(Retry::Safe);
                    return Poll::Ready(Some(Err(short)));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    let late = self.late.as_mut().map(|late| late.as_mut().poll(cx));
                    if late.is_some_and(|late| late.is_ready()) {
                        add(&self.counters().released, 1);
                        let error = Error::new(ErrorKind::Timeout);
                        return Poll::Ready(Some(Err(
                            error.with_message("the deadline has passed")
                        )));
                    }
                    let late = Idle::poll(&mut self.idle, cx);
                    return late.map(|()| Some(Err(stalled(&self.counters().policies))));
                }
            }
        }
        Poll::Ready(Some(Err(fault("chunk after chunk without any bytes"))))
    }

    /// Counts what goes out.
    fn gone<T>(&mut self, next: Result<T>, bytes: impl Fn(&T) -> usize) -> Result<T> {
        let next = next.map_err(|error| self.fail(error))?;
        let bytes = bytes(&next) as u64;
        self.moved += bytes;
        add(&self.counters().bytes_out, bytes);
        Ok(next)
    }
}

impl Source for Verified {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let next = std::task::ready!(self.next(cx, Body::poll_chunk, |chunk| chunk.len()));
        Poll::Ready(next.map(|next| {
            let next = next.and_then(|chunk| self.check(&chunk).map(|()| chunk.into()));
            self.gone(next, Bytes::len)
        }))
    }

    fn reads_into(&self) -> bool {
        self.body.reads_into()
    }

    fn poll_into(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Option<Result<usize>>> {
        let room = into.len().min(MAX_CHUNK as usize);
        let into = &mut into[..room];
        let next = self.next(cx, |body, cx| body.poll_into(cx, into), |filled| *filled);
        Poll::Ready(std::task::ready!(next).map(|next| {
            let next = next.and_then(|filled| self.check(&into[..filled]).map(|()| filled));
            self.gone(next, |filled| *filled)
        }))
    }

    #[cfg(unix)]
    fn file(&self) -> Option<holdall_plugin_api::LentFile<'_>> {
        self.body.file()
    }

    fn checksums(self: Pin<&mut Self>) -> Checksums {
        self.checksums
    }
}
