//! Reads of many ranges.

use super::Bug;
use super::model::{Grown, lost, names};
use holdall_plugin_api::{
    Bytes, DownloadRanges, DownloadedRanges, Error, ErrorKind, Key, RangeBuffers, RangeReader,
    RangeSource, Result,
};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Fills one range at a time, and lets others go on in between.
struct Filling {
    model: Grown,
    key: String,
    bytes: Bytes,
    ranges: Vec<Range<u64>>,
    next: usize,
    is_paused: bool,
}

impl RangeSource for Filling {
    fn poll_ranges(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut RangeBuffers<'_>,
        done: &mut Vec<usize>,
    ) -> Poll<Option<Result<()>>> {
        self.is_paused = !self.is_paused;
        if self.is_paused {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let at = self.next;
        let Some(range) = self.ranges.get(at) else {
            return Poll::Ready(None);
        };
        let mut bytes = self.bytes.clone();
        {
            let store = self.model.lock();
            if self.model.has(Bug::RangesReadLive) {
                let current = store.current(Key::new(&self.key));
                bytes = current.map(|object| object.bytes.clone()).unwrap_or(bytes);
            }
            if self.model.has(Bug::RangesOfAnother) {
                bytes = store.ranges_of.clone();
            }
        }
        let size = bytes.len();
        let piece = bytes.slice(size.min(range.start as usize)..size.min(range.end as usize));
        let buffer = buffers.get_mut(at);
        let length = piece.len().min(buffer.len());
        if !(at >= 128 && self.model.has(Bug::ManyRangesDropped)) {
            buffer[..length].copy_from_slice(&piece[..length]);
        }
        if range.end as usize == size && self.model.has(Bug::LastByteOfRangeWrong) {
            buffer[length - 1] ^= 0xff;
        }
        done.push(at);
        self.next += 1;
        Poll::Ready(Some(Ok(())))
    }
}

impl Grown {
    pub(crate) fn ranges(&self, read: &DownloadRanges<'_>) -> Result<DownloadedRanges> {
        let mut store = self.lock();
        let options = read.options();
        let object = self.version(&store, read.key, options.version);
        let mut object = object.map_err(|error| match self.has(Bug::MissingRangesAreOther) {
            true => Error::new(ErrorKind::Other),
            false => error,
        })?;
        let other = options
            .if_match
            .is_some_and(|etag| !names(etag, &object.info));
        if other && !self.has(Bug::RangesIgnoreIfMatch) {
            return Err(lost());
        }
        if !self.has(Bug::RangeBehindIsCut) {
            read.within(object.info.size)?;
        }
        let mut ranges = read.ranges.clone();
        if self.has(Bug::RangesSorted) {
            ranges.sort_by_key(|range| range.start);
        }
        if self.has(Bug::RangesWithoutType) {
            object.info.content_type = None;
        }
        store.ranges_of = object.bytes.clone();
        let filling = Filling {
            model: self.clone(),
            key: read.key.text().to_owned(),
            bytes: object.bytes,
            ranges,
            next: 0,
            is_paused: false,
        };
        Ok(DownloadedRanges::new(
            object.info,
            RangeReader::source(filling),
        ))
    }
}
