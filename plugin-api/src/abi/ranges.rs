//! Reads of many ranges into memory of the caller, both ways. Rules R5 and R11.

use super::answer::{
    Kept as Views, ObjectViews, Release, keep, object_in, object_out, object_views,
};
use super::error::unflatten;
use super::grow::{self, copy_in};
use super::request::{Args, Keep, Kept, Texts, key, read_option_args, read_read_options, refused};
use super::stream::Words;
use super::tables::*;
use super::text::{At, array, breach};
use super::waker::lend;
use crate::{DownloadRanges, DownloadedRanges, MAX_RANGES, RangeBuffers, RangeReader, Result};
use std::mem::ManuallyDrop;
use std::task::{Context, Poll};

impl RangeBuffers<'_> {
    /// The memory of a range. Panics past the last.
    pub fn get_mut(&mut self, index: usize) -> &mut [u8] {
        let buffer = self.raw[index];
        if buffer.len == 0 {
            // Its address may be null.
            return &mut [];
        }
        // SAFETY: R5: lent by the caller for this call, initialised, and reached through this one borrow; no two
        // buffers overlap.
        unsafe { std::slice::from_raw_parts_mut(buffer.ptr, buffer.len) }
    }
}

/// An owned reader of ranges of either side.
pub struct OwnedRanges {
    words: Words,
    table: *const RangeStreamTable,
}

// SAFETY: R11: a reader may move between calls; `RangeSource` is `Send`, and C promises the same.
unsafe impl Send for OwnedRanges {}

impl OwnedRanges {
    /// A reader of this side: its table is whole.
    pub(crate) fn new(words: Words, table: *const RangeStreamTable) -> Self {
        Self { words, table }
    }

    /// Takes over a reader of the other side.
    ///
    /// # Errors
    ///
    /// A table that cannot be read, or without its functions. The reader cannot be ended then.
    ///
    /// # Safety
    ///
    /// `raw` follows R11 and is not used again.
    unsafe fn from_ffi(raw: FfiRangeStream) -> Result<Self> {
        // SAFETY: R1, R11: null, or a table of its stated size.
        let table = unsafe { copy_in(raw.table) }.map_err(breach)?;
        if table.poll_into.is_none() || table.drop.is_none() {
            return Err(breach(
                "a reader without a function (`RangeStreamTable.poll_into`, `drop`)",
            ));
        }
        Ok(Self::new(raw.words, raw.table))
    }

    fn into_ffi(self) -> FfiRangeStream {
        let this = ManuallyDrop::new(self);
        FfiRangeStream {
            words: this.words,
            table: this.table,
        }
    }
}

impl Drop for OwnedRanges {
    fn drop(&mut self) {
        // Never by a reference to the table: one of an earlier minor may be shorter than ours.
        // SAFETY: R1, R11: checked by `from_ffi`; a field of the first version, and the table outlives its readers.
        if let Some(end) = unsafe { (*self.table).drop } {
            // SAFETY: R11: ended once.
            unsafe { end(&raw mut self.words) }
        }
    }
}

/// A reader with the memory that it fills. The memory is owned here, so that it is there for as long as the other side
/// may write into it, also when this value is leaked.
pub struct Filling {
    // Ended before its memory: a field is dropped in the order of its declaration.
    reader: Option<OwnedRanges>,
    raw: Vec<FfiBuffer>,
    done: Vec<FfiRangeDone>,
    complete: Vec<bool>,
    left: usize,
    memory: Vec<Vec<u8>>,
}

// SAFETY: the raw addresses lead into `memory`, which is owned here.
unsafe impl Send for Filling {}

impl Filling {
    /// Fills `memory`, one piece for each range, each exactly as long as its range. For a reader of the other side,
    /// the caller of [`read_downloaded`] guarantees these lengths; a reader of this side checks them.
    pub fn new(reader: RangeReader, mut memory: Vec<Vec<u8>>) -> Self {
        let raw = memory.iter_mut().map(|piece| FfiBuffer {
            ptr: piece.as_mut_ptr(),
            len: piece.len(),
        });
        Self {
            raw: raw.collect(),
            done: vec![FfiRangeDone { index: 0 }; memory.len().min(64)],
            complete: vec![false; memory.len()],
            left: memory.len(),
            reader: Some(reader.stream),
            memory,
        }
    }

    /// Goes on; ready when every range is there.
    ///
    /// # Errors
    ///
    /// The reader's own, or a breach of the contract.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        call: *const FfiCall,
    ) -> Poll<Result<Vec<Vec<u8>>>> {
        while self.left > 0 {
            std::task::ready!(self.poll_some(cx, call))?;
        }
        // Its writes have to have ended before the memory is given away.
        self.reader = None;
        Poll::Ready(Ok(std::mem::take(&mut self.memory)))
    }

    fn poll_some(&mut self, cx: &mut Context<'_>, call: *const FfiCall) -> Poll<Result<()>> {
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(Err(breach("a reader was polled after its end")));
        };
        // SAFETY: R1, R11: as in the drop of `OwnedRanges`.
        let Some(poll) = (unsafe { (*reader.table).poll_into }) else {
            return Poll::Ready(Err(breach("a reader without poll_into")));
        };
        let mut err = grow::empty::<FfiError>();
        let mut count = 0;
        let status = lend(cx, call, |cx| {
            // SAFETY: R5, R11; everything is writable through the call, the buffers until the reader ends.
            unsafe {
                poll(
                    &raw mut reader.words,
                    cx,
                    self.raw.as_ptr(),
                    self.raw.len(),
                    self.done.as_mut_ptr(),
                    self.done.len(),
                    &raw mut count,
                    &raw mut err,
                )
            }
        });
        Poll::Ready(match status {
            PENDING => return Poll::Pending,
            READY => self.note(count),
            END => Err(breach(format_args!(
                "a reader ended with {} of {} ranges missing",
                self.left,
                self.raw.len()
            ))),
            // SAFETY: R6: filled by the other side.
            FAILED | PANICKED => Err(unsafe { unflatten(&err) }),
            other => Err(breach(format_args!("a reader answered {other}"))),
        })
    }

    fn note(&mut self, count: usize) -> Result<()> {
        let Some(done) = self.done.get(..count).filter(|done| !done.is_empty()) else {
            return Err(breach(format_args!(
                "a reader completed {count} ranges in a call, 1 to {} expected (`done_count`)",
                self.done.len()
            )));
        };
        for FfiRangeDone { index } in done {
            match self.complete.get_mut(*index) {
                Some(complete) if !*complete => *complete = true,
                Some(_) => {
                    return Err(breach(format_args!(
                        "range {index} was completed twice (`FfiRangeDone.index`)"
                    )));
                }
                None => {
                    return Err(breach(format_args!(
                        "range {index} of {} was completed (`FfiRangeDone.index`)",
                        self.raw.len()
                    )));
                }
            }
            self.left -= 1;
        }
        Ok(())
    }
}

/// Writes a read of many ranges.
pub fn write_ranges<'a>(read: &DownloadRanges<'a>) -> Args<'a, RangesArgs> {
    let ranges = read.ranges.iter().map(|range| FfiRange {
        start: range.start,
        end: range.end,
    });
    let ranges: Vec<FfiRange> = ranges.collect();
    let mut args = Args::new(RangesArgs {
        key: key(read.key),
        ranges: ranges.as_ptr(),
        range_count: ranges.len(),
        coalesce_bytes: read.coalesce.unwrap_or(u64::MAX),
        ..grow::empty()
    });
    args.keep = Kept::new(Keep::Ranges(ranges, read_option_args(read.options())));
    if let (false, Some(Keep::Ranges(_, raw))) = (read.is_plain(), args.keep.get()) {
        args.raw.options = raw;
    }
    args
}

/// Reads a read of many ranges.
///
/// # Errors
///
/// A table that cannot be read.
///
/// # Safety
///
/// R1 and R5; and `'a` ends before `texts`.
pub unsafe fn read_ranges<'a>(
    args: *const RangesArgs,
    texts: &mut Texts,
) -> Result<DownloadRanges<'a>> {
    // SAFETY: R1.
    let args = unsafe { copy_in(args) }.map_err(refused)?;
    // SAFETY: R5.
    let ranges = unsafe { array(args.ranges, args.range_count) }?;
    if !(1..=MAX_RANGES).contains(&ranges.len())
        || ranges.iter().any(|range| range.start >= range.end)
    {
        return Err(crate::Error::invalid(format!(
            "1 to {MAX_RANGES} ranges of at least a byte each expected, {} found",
            ranges.len()
        )));
    }
    // SAFETY: R5.
    let name = unsafe { texts.key(args.key) };
    let mut read = DownloadRanges::new(name, ranges.iter().map(|range| range.start..range.end));
    read.coalesce = (args.coalesce_bytes != u64::MAX).then_some(args.coalesce_bytes);
    // SAFETY: R5.
    let options = unsafe { read_read_options(args.options, texts) }?;
    Ok(if options.is_some() {
        read.with_options(options)
    } else {
        read
    })
}

/// Writes the answer.
pub fn write_downloaded(downloaded: DownloadedRanges) -> RangesOut {
    let DownloadedRanges { info, reader } = downloaded;
    let views: (ObjectViews, ObjectOut) = (ObjectViews::default(), grow::empty());
    let (kept, owner, release) = keep(Views { value: info, views });
    kept.views.0 = object_views(&kept.value);
    kept.views.1 = object_out(&kept.value, &kept.views.0);
    RangesOut {
        object: &raw const kept.views.1,
        stream: reader.stream.into_ffi(),
        owner,
        release,
        ..grow::empty()
    }
}

/// Reads the answer.
///
/// # Errors
///
/// A breach of the contract.
///
/// # Safety
///
/// R6: `out` was filled by the other side and is not used again. R5: the reader is given to [`Filling::new`] with a
/// piece of memory for each range of the request, as long as the range: the other side trusts these lengths.
pub unsafe fn read_downloaded(out: &RangesOut) -> Result<DownloadedRanges> {
    let _release = Release(out.owner, out.release);
    if out.stream.table.is_null() {
        return Err(breach("an answer without a reader (`RangesOut.stream`)"));
    }
    // SAFETY: R3: owned by us now, so it ends also when the rest is refused.
    let stream = unsafe { OwnedRanges::from_ffi(out.stream) }.at("RangesOut.stream")?;
    // SAFETY: R1, R6.
    let object = unsafe { copy_in(out.object) }
        .map_err(breach)
        .at("RangesOut.object")?;
    // SAFETY: R6.
    let info = unsafe { object_in(&object) }?;
    Ok(DownloadedRanges::new(info, RangeReader { stream }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_no_bytes_may_have_no_address() {
        let raw = [FfiBuffer {
            ptr: std::ptr::null_mut(),
            len: 0,
        }];
        assert!(RangeBuffers { raw: &raw }.get_mut(0).is_empty());
    }
}
