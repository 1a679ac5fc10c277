//! Streams across the boundary, owned and pulled. Rules R3, R8 and R11.

use super::bytes::Chunk;
use super::bytes::contained;
use super::error::unflatten;
use super::grow::{self, Grows, copy_out};
use super::tables::*;
use super::text::{UNKNOWN, breach, checksums_in, checksums_out};
use super::waker::lend;
use crate::{Checksums, Error, MAX_CHUNK, Result};
use bytes::Bytes;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::task::{Context, Poll};

/// State of a stream, owned by its maker.
pub(crate) type Words = [*mut c_void; 5];

// One `Bytes` lies inline in four words; the fifth holds its CRC.
const _: () = assert!(size_of::<Option<Bytes>>() <= 4 * size_of::<*mut c_void>());
const _: () = assert!(align_of::<Option<Bytes>>() <= align_of::<Words>());
const _: () = assert!(
    size_of::<usize>() == 8,
    "the boundary is written for 64-bit targets"
);
const CRC_KNOWN: usize = 1 << 32;

static ONCE: StreamTable = StreamTable {
    poll_next: Some(once_next),
    drop: Some(once_drop),
    ..grow::empty()
};

unsafe extern "C" fn once_next(
    words: *mut Words,
    _: *const FfiContext,
    out: *mut FfiBytes,
    end: *mut FfiTrailers,
    _: *mut FfiError,
) -> Status {
    // SAFETY: `OwnedStream::once` put an `Option<Bytes>` into the first four words.
    let bytes = unsafe { &mut *words.cast::<Option<Bytes>>() };
    // What is larger than a chunk may be goes in slices.
    let chunk = match bytes {
        Some(more) if more.len() > MAX_CHUNK as usize => Some(more.split_to(MAX_CHUNK as usize)),
        whole => whole.take(),
    };
    if let Some(bytes) = chunk {
        // SAFETY: `out` is writable by the contract of `poll_next`.
        unsafe { out.write(Chunk::from(bytes).into_ffi()) };
        return READY;
    }
    // SAFETY: the fifth word is initialised.
    let crc = unsafe { (*words)[4] }.addr();
    let checksums = Checksums {
        crc32c: (crc & CRC_KNOWN != 0).then_some(crc as u32),
        ..Checksums::NONE
    };
    // SAFETY: `end` is writable by the contract of `poll_next`.
    unsafe { copy_out(end, trailers_out(UNKNOWN, &checksums)) };
    END
}

unsafe extern "C" fn once_drop(words: *mut Words) {
    contained(|| {
        // SAFETY: R11: ended once; the words hold an `Option<Bytes>`.
        unsafe { words.cast::<Option<Bytes>>().drop_in_place() }
    });
}

pub(crate) fn trailers_out(bytes: u64, checksums: &Checksums) -> FfiTrailers {
    let (known, crc32c, md5, sha256) = checksums_out(checksums);
    FfiTrailers {
        bytes,
        known,
        crc32c,
        md5,
        sha256,
        ..grow::empty()
    }
}

/// An owned stream of either side: its words and its table.
pub struct OwnedStream {
    // A cell, because `as_once` gives out a `Bytes` that lies here: its clones write into it.
    words: UnsafeCell<Words>,
    table: *const StreamTable,
}

// SAFETY: R11: a stream may move between calls; `Source` is `Send`, and C promises the same.
unsafe impl Send for OwnedStream {}

/// What one pull of a stream yields.
pub(crate) enum Next<T> {
    /// A chunk, or the number of bytes that were filled.
    Some(T),
    End(Checksums),
    Failed(Error),
}

impl<T> Next<T> {
    /// What a status means that is the same for both ways to pull.
    fn other(status: Status, end: &FfiTrailers, err: &FfiError) -> Self {
        match status {
            END if end.size < FfiTrailers::FIRST => Self::Failed(breach(format_args!(
                "a stream ended with trailers of {} bytes (`FfiTrailers.size`)",
                end.size
            ))),
            END => Self::End(checksums_in(end.known, end.crc32c, end.md5, end.sha256)),
            // SAFETY: R6: filled by the other side.
            FAILED | PANICKED => Self::Failed(unsafe { unflatten(err) }),
            other => Self::Failed(breach(format_args!("a stream answered {other}"))),
        }
    }
}

impl OwnedStream {
    /// A stream of one chunk and, if known, its CRC-32C. Allocates nothing.
    pub(crate) fn once(bytes: Bytes, crc32c: Option<u32>) -> Self {
        let mut words: Words = [std::ptr::null_mut(); 5];
        words[4] = crc_word(crc32c);
        // SAFETY: the constants above: it fits and is no more strictly aligned.
        unsafe {
            (&raw mut words)
                .cast::<Option<Bytes>>()
                .write(Some(bytes).filter(|bytes| !bytes.is_empty()))
        };
        Self {
            words: UnsafeCell::new(words),
            table: &ONCE,
        }
    }

    /// Takes over a stream of the other side.
    ///
    /// # Errors
    ///
    /// A table that cannot be read, or without its functions. The stream cannot be ended then.
    ///
    /// # Safety
    ///
    /// `raw` follows R11 and is not used again.
    pub unsafe fn from_ffi(raw: FfiStream) -> Result<Self> {
        // SAFETY: R1, R11: null, or a table of its stated size.
        let table = unsafe { grow::copy_in(raw.table) }.map_err(breach)?;
        if table.poll_next.is_none() || table.drop.is_none() {
            return Err(breach(
                "a stream without a function (`StreamTable.poll_next`, `drop`)",
            ));
        }
        Ok(Self::new(raw.words, raw.table))
    }

    /// A stream of this side: its table is whole.
    pub(crate) fn new(words: Words, table: *const StreamTable) -> Self {
        Self {
            words: UnsafeCell::new(words),
            table,
        }
    }

    /// Hands over to the other side.
    pub fn into_ffi(self) -> FfiStream {
        let mut this = ManuallyDrop::new(self);
        FfiStream {
            words: *this.words.get_mut(),
            table: this.table,
        }
    }

    /// Whether [`OwnedStream::once`] made it, in this copy of the crate.
    pub(crate) fn is_once(&self) -> bool {
        std::ptr::eq(self.table, &ONCE)
    }

    /// The bytes of [`OwnedStream::once`] that were not pulled yet.
    pub(crate) fn as_once(&self) -> Option<&Bytes> {
        if !self.is_once() {
            return None;
        }
        // SAFETY: a table of this crate's copy: the words hold an `Option<Bytes>`.
        unsafe { &*self.words.get().cast::<Option<Bytes>>() }.as_ref()
    }

    /// Sets the CRC-32C of a stream that [`OwnedStream::once`] made; leaves any other as it is.
    pub(crate) fn set_crc32c(&mut self, crc32c: u32) {
        if self.is_once() {
            self.words.get_mut()[4] = crc_word(Some(crc32c));
        }
    }

    /// Pulls once, under a call (R15).
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, call: *const FfiCall) -> Poll<Next<Chunk>> {
        let mut out = FfiBytes {
            ptr: std::ptr::null(),
            len: 0,
            owner: [std::ptr::null_mut(); 4],
            release: None,
        };
        let mut end = grow::empty::<FfiTrailers>();
        let mut err = grow::empty::<FfiError>();
        // Never by a reference to the table: one of 1.0 is shorter than ours.
        // SAFETY: R1, R11: checked by `from_ffi`; a field of the first version, and the table outlives its streams.
        let Some(next) = (unsafe { (*self.table).poll_next }) else {
            return Poll::Ready(Next::Failed(breach("a stream without poll_next")));
        };
        let words = self.words.get();
        let status = lend(cx, call, |cx| {
            // SAFETY: R11; everything is writable through the call.
            unsafe { next(words, cx, &raw mut out, &raw mut end, &raw mut err) }
        });
        Poll::Ready(match status {
            PENDING => return Poll::Pending,
            READY if out.ptr.is_null() && out.release.is_none() => Next::Failed(breach(
                "a stream answered READY without a chunk (`FfiBytes.ptr`)",
            )),
            // SAFETY: R3: filled by the other side, owned by us now.
            READY => match unsafe { Chunk::from_ffi(out) } {
                Ok(chunk) => Next::Some(chunk),
                Err(breach) => Next::Failed(breach),
            },
            other => Next::other(other, &end, &err),
        })
    }

    /// What ABI 1.1 added to the table, as far as the maker has it.
    fn since_1_1(&self) -> Option<StreamTable> {
        // SAFETY: R1, R11: a table of its stated size, which outlives its streams.
        unsafe { grow::copy_in(self.table) }.ok()
    }

    /// Whether it fills memory of its receiver.
    pub(crate) fn polls_into(&self) -> bool {
        self.since_1_1()
            .is_some_and(|table| table.poll_into.is_some())
    }

    /// As [`OwnedStream::poll`], into memory of the caller, which is not empty.
    pub(crate) fn poll_into(
        &mut self,
        cx: &mut Context<'_>,
        call: *const FfiCall,
        into: &mut [u8],
    ) -> Poll<Next<usize>> {
        let Some(poll) = self.since_1_1().and_then(|table| table.poll_into) else {
            return Poll::Ready(Next::Failed(breach("a stream without poll_into")));
        };
        let mut filled = 0;
        let mut end = grow::empty::<FfiTrailers>();
        let mut err = grow::empty::<FfiError>();
        let (words, room) = (self.words.get(), into.len());
        let status = lend(cx, call, |cx| {
            // SAFETY: R11, R21; everything is writable through the call, `into` with its whole length.
            unsafe {
                poll(
                    words,
                    cx,
                    into.as_mut_ptr(),
                    room,
                    &raw mut filled,
                    &raw mut end,
                    &raw mut err,
                )
            }
        });
        Poll::Ready(match status {
            PENDING => return Poll::Pending,
            READY if (1..=room).contains(&filled) => Next::Some(filled),
            READY => Next::Failed(breach(format_args!(
                "a stream filled {filled} bytes, 1 to {room} expected (`StreamTable.poll_into`, `filled`)"
            ))),
            other => Next::other(other, &end, &err),
        })
    }

    /// The file that it lends.
    ///
    /// # Errors
    ///
    /// A breach of the contract: an answer or numbers that cannot be. Whether the file is there is not looked at.
    #[cfg(unix)]
    pub(crate) fn file(&self) -> Result<Option<super::file::LentFile<'_>>> {
        let Some(file) = self.since_1_1().and_then(|table| table.file) else {
            return Ok(None);
        };
        let mut lent = grow::Room::<FfiFile>::new();
        // SAFETY: R11, R21.
        match unsafe { file(self.words.get(), lent.as_mut_ptr()) } {
            0 => Ok(None),
            // SAFETY: R21: open until the stream is dropped, which the borrow outlives.
            1 => unsafe { super::file::LentFile::from_ffi(lent.filled()?) }.map(Some),
            other => Err(breach(format_args!(
                "a stream answered {other} for its file, 0 or 1 expected (`StreamTable.file`)"
            ))),
        }
    }
}

fn crc_word(crc32c: Option<u32>) -> *mut c_void {
    std::ptr::without_provenance_mut(crc32c.map_or(0, |crc32c| crc32c as usize | CRC_KNOWN))
}

impl Drop for OwnedStream {
    fn drop(&mut self) {
        // SAFETY: R1, R11: as in `poll`.
        if let Some(end) = unsafe { (*self.table).drop } {
            // SAFETY: R11: ended once.
            unsafe { end(self.words.get()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, ErrorKind};
    use futures_util::FutureExt;
    use std::task::Waker;

    #[test]
    fn bytes_over_the_largest_chunk_go_in_slices() {
        let all: Vec<u8> = (0..5 * MAX_CHUNK / 2).map(|at| at as u8).collect();
        let mut body = Body::once_with_crc32c(all.clone(), 9);
        assert_eq!(body.known_length(), Some(all.len() as u64));
        let (mut sizes, mut seen) = (Vec::new(), Vec::new());
        while let Some(chunk) = body.chunk().now_or_never().unwrap() {
            let chunk = chunk.unwrap();
            sizes.push(chunk.len() as u32);
            seen.extend_from_slice(&chunk);
        }
        assert_eq!(sizes, [MAX_CHUNK, MAX_CHUNK, MAX_CHUNK / 2]);
        assert_eq!(seen, all);
        let trailers = body.trailers().unwrap();
        assert_eq!(
            (trailers.size, trailers.checksums.crc32c),
            (all.len() as u64, Some(9))
        );
    }

    fn refused(table: *const StreamTable) -> Error {
        let words = [std::ptr::null_mut(); 5];
        // SAFETY: null, or a table of at least its stated size; nothing owns the words.
        match unsafe { OwnedStream::from_ffi(FfiStream { words, table }) } {
            Ok(_) => panic!("it was accepted"),
            Err(error) => error,
        }
    }

    #[test]
    fn a_table_that_cannot_be_read_is_a_breach() {
        let (mut short, mut no_drop, mut no_poll) = (ONCE, ONCE, ONCE);
        short.size = 8;
        no_drop.drop = None;
        no_poll.poll_next = None;
        let mut huge = ONCE;
        huge.size = usize::MAX;
        for table in [&short, &no_drop, &no_poll, &huge] {
            assert_eq!(refused(table).kind(), ErrorKind::PluginFault);
        }
        assert_eq!(refused(std::ptr::null()).kind(), ErrorKind::PluginFault);
    }

    #[test]
    fn unfilled_and_impossible_chunks_are_breaches() {
        unsafe extern "C" fn unfilled(
            _: *mut Words,
            _: *const FfiContext,
            _: *mut FfiBytes,
            _: *mut FfiTrailers,
            _: *mut FfiError,
        ) -> Status {
            READY
        }
        unsafe extern "C" fn endless(
            _: *mut Words,
            _: *const FfiContext,
            out: *mut FfiBytes,
            _: *mut FfiTrailers,
            _: *mut FfiError,
        ) -> Status {
            // SAFETY: writable by the contract of `poll_next`.
            let out = unsafe { &mut *out };
            (out.ptr, out.len) = (b"x".as_ptr(), usize::MAX);
            READY
        }
        unsafe extern "C" fn shrunk(
            _: *mut Words,
            _: *const FfiContext,
            _: *mut FfiBytes,
            end: *mut FfiTrailers,
            _: *mut FfiError,
        ) -> Status {
            // SAFETY: as above.
            unsafe { (*end).size = 4 };
            END
        }
        unsafe extern "C" fn unknown(
            _: *mut Words,
            _: *const FfiContext,
            _: *mut FfiBytes,
            _: *mut FfiTrailers,
            _: *mut FfiError,
        ) -> Status {
            77
        }
        unsafe extern "C" fn ended(_: *mut Words) {}
        for (next, expected) in [
            (
                unfilled as unsafe extern "C" fn(_, _, _, _, _) -> _,
                "without a chunk",
            ),
            (endless, "no memory has"),
            (shrunk, "trailers of 4 bytes"),
            (unknown, "answered 77"),
        ] {
            let table = StreamTable {
                poll_next: Some(next),
                drop: Some(ended),
                ..grow::empty()
            };
            let raw = FfiStream {
                words: [std::ptr::null_mut(); 5],
                table: &raw const table,
            };
            // SAFETY: the table outlives the stream, which owns nothing.
            let mut stream = unsafe { OwnedStream::from_ffi(raw) }.unwrap();
            let mut cx = Context::from_waker(Waker::noop());
            match stream.poll(&mut cx, std::ptr::null()) {
                Poll::Ready(Next::Failed(error)) => {
                    assert_eq!(error.kind(), ErrorKind::PluginFault);
                    assert!(error.message().contains(expected), "{error}");
                }
                _ => panic!("not refused: {expected}"),
            }
        }
    }

    /// A table of 1.0 ends before the functions that 1.1 added. Miri sees a read, or a reference, past its end.
    #[test]
    fn a_table_of_the_first_version_is_read_no_further() {
        unsafe extern "C" fn end(
            _: *mut Words,
            _: *const FfiContext,
            _: *mut FfiBytes,
            end: *mut FfiTrailers,
            _: *mut FfiError,
        ) -> Status {
            // SAFETY: writable by the contract of `poll_next`.
            unsafe { copy_out(end, trailers_out(UNKNOWN, &Checksums::NONE)) };
            END
        }
        unsafe extern "C" fn ended(_: *mut Words) {}
        let mut whole = StreamTable {
            poll_next: Some(end),
            drop: Some(ended),
            ..grow::empty()
        };
        whole.size = StreamTable::FIRST;
        const { assert!(StreamTable::FIRST < size_of::<StreamTable>()) };
        let mut short = vec![0usize; StreamTable::FIRST / size_of::<usize>()].into_boxed_slice();
        let table = short.as_mut_ptr().cast::<StreamTable>();
        // SAFETY: as long as the first version, of which nothing but words is copied.
        unsafe {
            std::ptr::copy_nonoverlapping(
                (&raw const whole).cast::<u8>(),
                table.cast::<u8>(),
                StreamTable::FIRST,
            );
        }
        let raw = FfiStream {
            words: [std::ptr::null_mut(); 5],
            table,
        };
        // SAFETY: the table outlives the stream, which owns nothing.
        let mut stream = unsafe { OwnedStream::from_ffi(raw) }.unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let polled = stream.poll(&mut cx, std::ptr::null());
        assert!(matches!(polled, Poll::Ready(Next::End(_))));
    }
}
