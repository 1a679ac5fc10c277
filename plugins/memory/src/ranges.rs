//! Many ranges of one object: copied out of its bytes, all at once.

use holdall_plugin_api::{Bytes, RangeBuffers, RangeReader, RangeSource, Result};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

struct Copying {
    bytes: Bytes,
    ranges: Vec<Range<u64>>,
    is_done: bool,
}

/// Reads ranges that lie within these bytes.
pub(crate) fn reader(bytes: Bytes, ranges: Vec<Range<u64>>) -> RangeReader {
    RangeReader::source(Copying {
        bytes,
        ranges,
        is_done: false,
    })
}

impl RangeSource for Copying {
    fn poll_ranges(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffers: &mut RangeBuffers<'_>,
        done: &mut Vec<usize>,
    ) -> Poll<Option<Result<()>>> {
        if std::mem::replace(&mut self.is_done, true) {
            return Poll::Ready(None);
        }
        for (at, range) in self.ranges.iter().enumerate() {
            // Within the object, which is in memory: the casts are lossless.
            let piece = &self.bytes[range.start as usize..range.end as usize];
            buffers.get_mut(at).copy_from_slice(piece);
            done.push(at);
        }
        Poll::Ready(Some(Ok(())))
    }
}
