//! Many ranges of one object, into memory of the caller.
//!
//! What is in the kernel's cache is copied on the caller's thread, some at each poll. Other ranges are read by a job of
//! the blocking pool, several at once, into memory of its own: a job may outlast the caller, whose memory it must not have.

use crate::engine::read::Object;
use crate::error::{from_fault, from_join};
use crate::reader::changed_meanwhile;
use holdall_plugin_api::{RangeBuffers, RangeReader, RangeSource, Result};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::{JoinHandle, spawn_blocking};

/// Limit of bytes that are copied from the cache in one poll.
const AT_ONCE: u64 = 4 << 20;
/// Limits of one job.
const JOB_BYTES: u64 = 4 << 20;
const JOB_RANGES: usize = 64;

struct Ranges {
    object: Arc<Object>,
    ranges: Vec<Range<u64>>,
    /// The first that is not there yet.
    next: usize,
    /// Reads the next ones.
    job: Option<JoinHandle<Result<Vec<Vec<u8>>>>>,
}

/// Reads ranges that lie within the object.
pub(crate) fn reader(object: Object, ranges: Vec<Range<u64>>) -> RangeReader {
    RangeReader::source(Ranges {
        object: Arc::new(object),
        ranges,
        next: 0,
        job: None,
    })
}

impl Ranges {
    /// Reads some ranges from the medium.
    fn read_ahead(&self) -> JoinHandle<Result<Vec<Vec<u8>>>> {
        let mut bytes = 0;
        let mut wanted = self.ranges[self.next..].iter();
        let some: Vec<Range<u64>> = wanted
            .by_ref()
            .take(JOB_RANGES)
            .take_while(|range| {
                let is_first = bytes == 0;
                bytes += range.end - range.start;
                is_first || bytes <= JOB_BYTES
            })
            .cloned()
            .collect();
        let object = Arc::clone(&self.object);
        spawn_blocking(move || {
            let mut read = Vec::with_capacity(some.len());
            for range in some {
                // Within a range of the caller's memory: the cast is lossless.
                let mut piece = vec![0; (range.end - range.start) as usize];
                if !object
                    .fill_at(&mut piece, range.start)
                    .map_err(from_fault)?
                {
                    return Err(changed_meanwhile());
                }
                read.push(piece);
            }
            Ok(read)
        })
    }

    /// Fills what is there without waiting; `Pending` when nothing is.
    fn fill(
        &mut self,
        cx: &mut Context<'_>,
        buffers: &mut RangeBuffers<'_>,
        done: &mut Vec<usize>,
    ) -> Poll<Result<()>> {
        let mut copied = 0;
        while self.next < self.ranges.len() && copied < AT_ONCE {
            if self.job.is_none() {
                let range = &self.ranges[self.next];
                if self
                    .object
                    .read_cached_at(buffers.get_mut(self.next), range.start)
                {
                    copied += range.end - range.start;
                    done.push(self.next);
                    self.next += 1;
                    continue;
                }
            }
            if !done.is_empty() {
                break;
            }
            let started = self.job.take().unwrap_or_else(|| self.read_ahead());
            let job = self.job.insert(started);
            let read = ready!(Pin::new(job).poll(cx));
            self.job = None;
            for piece in read.map_err(from_join)?? {
                copied += piece.len() as u64;
                buffers.get_mut(self.next).copy_from_slice(&piece);
                done.push(self.next);
                self.next += 1;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl RangeSource for Ranges {
    fn poll_ranges(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut RangeBuffers<'_>,
        done: &mut Vec<usize>,
    ) -> Poll<Option<Result<()>>> {
        if self.next == self.ranges.len() {
            return Poll::Ready(None);
        }
        let filled = ready!(self.fill(cx, buffers, done));
        // Written in place by another program, it is no version that anybody stored.
        let whole = filled.and_then(|()| match self.object.unchanged() {
            true => Ok(()),
            false => Err(changed_meanwhile()),
        });
        if whole.is_err() {
            done.clear();
        }
        Poll::Ready(Some(whole))
    }
}
