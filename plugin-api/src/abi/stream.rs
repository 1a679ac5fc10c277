//! Bodies: owned pull streams of bytes, the same in both directions. Rules R3, R8 and R11.

use super::bytes::Chunk;
use super::error::{flatten, of_panic, unflatten};
use super::grow::{self, copy_out};
use super::guard::{self, FaultKind, PluginState, guarded};
use super::op::in_runtime;
use super::tables::*;
use super::text::{UNKNOWN, breach, checksums_in, checksums_out};
use super::waker::{lend, with_context};
use crate::{Checksums, Error, Result};
use bytes::Bytes;
use futures_core::Stream;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What is known of a body once it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trailers {
    /// Bytes that went through.
    pub size: u64,
    /// Their digests; the host always adds CRC-32C to an upload.
    pub checksums: Checksums,
}

/// Where the chunks of a [`Body`] come from. Any `Stream` of bytes will do; implement this to give
/// [`Trailers`] too.
pub trait Source: Send {
    /// The next chunk, or the end.
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>>;

    /// The digests of all that was yielded, asked at the end.
    fn checksums(self: Pin<&mut Self>) -> Checksums {
        Checksums::NONE
    }
}

/// The bytes of an object: an owned stream that is pulled, one chunk at a time.
///
/// Made from bytes (no allocation) or from any stream. Nothing is read ahead by the body itself;
/// dropping it ends the transfer.
///
/// ```
/// # use holdall_plugin_api::Body;
/// let body = Body::from("some text");
/// assert_eq!(body.known_length(), Some(9));
/// ```
pub struct Body {
    // A cell, because `as_once` gives out a `Bytes` that lies here: its clones write into it.
    words: UnsafeCell<Words>,
    table: *const StreamTable,
    seen: u64,
    state: State,
    crc32c: Option<u32>,
    /// The rarer digests, so that a body stays small.
    digests: Option<Box<Checksums>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Failed,
}

// SAFETY: R11: a stream may move between calls; `Source` is `Send`, and C promises the same.
unsafe impl Send for Body {}

type Words = [*mut c_void; 5];

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
    // SAFETY: `Body::once` put an `Option<Bytes>` into the first four words.
    let bytes = unsafe { &mut *words.cast::<Option<Bytes>>() };
    if let Some(bytes) = bytes.take() {
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
    guard::contained(FaultKind::Drop, || {
        // SAFETY: R11: ended once; the words hold an `Option<Bytes>`.
        unsafe { words.cast::<Option<Bytes>>().drop_in_place() }
    });
}

fn trailers_out(bytes: u64, checksums: &Checksums) -> FfiTrailers {
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

/// A source on the heap, with the plugin that made it.
struct Boxed<S> {
    source: S,
    plugin: Option<&'static PluginState>,
}

impl<S: Source> Boxed<S> {
    const TABLE: &'static StreamTable = &StreamTable {
        poll_next: Some(Self::next),
        drop: Some(Self::drop),
        ..grow::empty()
    };

    unsafe extern "C" fn next(
        words: *mut Words,
        cx: *const FfiContext,
        out: *mut FfiBytes,
        end: *mut FfiTrailers,
        err: *mut FfiError,
    ) -> Status {
        // SAFETY: `Body::source` put a box into the first word; one thread at a time (R11).
        let boxed = unsafe { (*words)[0] }.cast::<Self>();
        // SAFETY: as above.
        let this = unsafe { &mut *boxed };
        // SAFETY: R9, R15.
        let call = unsafe { (*cx).call };
        let plugin = this.plugin;
        // SAFETY: the box never moves before it is dropped.
        let mut source = unsafe { Pin::new_unchecked(&mut this.source) };
        let polled = guarded(plugin, call, || {
            in_runtime(plugin, || {
                // SAFETY: R9.
                let next = unsafe { with_context(cx, |cx| source.as_mut().poll_chunk(cx)) };
                match next {
                    Poll::Ready(None) => Poll::Ready(Err(source.checksums())),
                    Poll::Ready(Some(chunk)) => Poll::Ready(Ok(chunk)),
                    Poll::Pending => Poll::Pending,
                }
            })
        });
        match polled {
            Ok(Poll::Pending) => PENDING,
            Ok(Poll::Ready(Err(checksums))) => {
                // SAFETY: writable by the contract.
                unsafe { copy_out(end, trailers_out(UNKNOWN, &checksums)) };
                END
            }
            Ok(Poll::Ready(Ok(Ok(bytes)))) => {
                // SAFETY: writable by the contract.
                unsafe { out.write(Chunk::from(bytes).into_ffi()) };
                READY
            }
            Ok(Poll::Ready(Ok(Err(error)))) => {
                // SAFETY: writable by the contract.
                unsafe { copy_out(err, flatten(error)) };
                FAILED
            }
            Err(panic) => {
                // SAFETY: writable by the contract.
                unsafe { copy_out(err, flatten(of_panic(panic))) };
                PANICKED
            }
        }
    }

    unsafe extern "C" fn drop(words: *mut Words) {
        // SAFETY: made by `Body::source`, ended once (R11).
        let boxed = unsafe { (*words)[0] }.cast::<Self>();
        // SAFETY: as above.
        let this = unsafe { Box::from_raw(boxed) };
        let plugin = this.plugin;
        guard::contained_of(plugin, FaultKind::Drop, || {
            in_runtime(plugin, || drop(this))
        });
    }
}

struct OfStream<S>(S);

impl<S: Stream<Item = Result<Bytes>> + Send> Source for OfStream<S> {
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        // SAFETY: a projection to the only field, which is not moved.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }.poll_next(cx)
    }
}

impl Body {
    /// A body of these bytes. Allocates nothing.
    pub fn once(bytes: impl Into<Bytes>) -> Self {
        Self::inline(bytes.into(), 0)
    }

    /// As [`Body::once`], with the CRC-32C of the bytes for its trailers.
    pub fn once_with_crc32c(bytes: impl Into<Bytes>, crc32c: u32) -> Self {
        Self::inline(bytes.into(), crc32c as usize | CRC_KNOWN)
    }

    fn inline(bytes: Bytes, crc: usize) -> Self {
        let mut words: Words = [std::ptr::null_mut(); 5];
        words[4] = std::ptr::without_provenance_mut(crc);
        // SAFETY: the constants above: it fits and is no more strictly aligned.
        unsafe {
            (&raw mut words)
                .cast::<Option<Bytes>>()
                .write(Some(bytes).filter(|bytes| !bytes.is_empty()))
        };
        Self::of(FfiStream {
            words,
            table: &ONCE,
        })
    }

    /// A body of no bytes.
    pub fn empty() -> Self {
        Self::once(Bytes::new())
    }

    /// A body of the chunks of a stream.
    pub fn stream<S: Stream<Item = Result<Bytes>> + Send + 'static>(stream: S) -> Self {
        Self::source(OfStream(stream))
    }

    /// A body of the chunks of a source, with its trailers.
    pub fn source<S: Source + 'static>(source: S) -> Self {
        let boxed = Box::new(Boxed {
            source,
            plugin: guard::current_plugin(),
        });
        let mut words: Words = [std::ptr::null_mut(); 5];
        words[0] = Box::into_raw(boxed).cast();
        Self::of(FfiStream {
            words,
            table: Boxed::<S>::TABLE,
        })
    }

    fn of(raw: FfiStream) -> Self {
        Self {
            words: UnsafeCell::new(raw.words),
            table: raw.table,
            seen: 0,
            state: State::Open,
            crc32c: None,
            digests: None,
        }
    }

    /// Takes over a stream of the other side.
    ///
    /// # Safety
    ///
    /// `raw` follows R11 and is not used again.
    pub unsafe fn from_ffi(raw: FfiStream) -> Self {
        Self::of(raw)
    }

    /// Hands over to the other side.
    pub fn into_ffi(self) -> FfiStream {
        let mut this = ManuallyDrop::new(self);
        this.digests = None;
        FfiStream {
            words: *this.words.get_mut(),
            table: this.table,
        }
    }

    fn is_once(&self) -> bool {
        std::ptr::eq(self.table, &ONCE)
    }

    /// The bytes of a body that was made from bytes and not yet read.
    pub fn as_once(&self) -> Option<&Bytes> {
        if !self.is_once() || self.seen > 0 {
            return None;
        }
        // SAFETY: a table of this crate's copy: the words hold an `Option<Bytes>`.
        unsafe { &*self.words.get().cast::<Option<Bytes>>() }.as_ref()
    }

    /// States the CRC-32C of a body that was made from bytes and not yet read. Any other body
    /// stays as it is.
    #[must_use]
    pub fn with_crc32c(mut self, crc32c: u32) -> Self {
        if self.is_once() && self.seen == 0 {
            self.words.get_mut()[4] = std::ptr::without_provenance_mut(crc32c as usize | CRC_KNOWN);
        }
        self
    }

    /// The length of a body that was made from bytes.
    pub fn known_length(&self) -> Option<u64> {
        if self.is_once() && self.seen == 0 {
            Some(self.as_once().map_or(0, |bytes| bytes.len() as u64))
        } else {
            None
        }
    }

    /// The next chunk; `None` is the end. After an error there is nothing more.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        self.poll_chunk_under(cx, std::ptr::null())
    }

    /// As [`Body::poll_chunk`], under a call (R15).
    pub fn poll_chunk_under(
        &mut self,
        cx: &mut Context<'_>,
        call: *const FfiCall,
    ) -> Poll<Option<Result<Chunk>>> {
        if self.state != State::Open {
            return Poll::Ready(None);
        }
        let mut out = FfiBytes {
            ptr: std::ptr::null(),
            len: 0,
            owner: [std::ptr::null_mut(); 4],
            release: None,
        };
        let mut end = grow::empty::<FfiTrailers>();
        let mut err = grow::empty::<FfiError>();
        // SAFETY: R11: the table outlives its streams.
        let next = unsafe { self.table.as_ref() }.and_then(|table| table.poll_next);
        let Some(next) = next else {
            self.state = State::Failed;
            return Poll::Ready(Some(Err(breach("a stream without poll_next"))));
        };
        let words = self.words.get();
        let status = lend(cx, call, |cx| {
            // SAFETY: R11; everything is writable through the call.
            unsafe { next(words, cx, &raw mut out, &raw mut end, &raw mut err) }
        });
        match status {
            PENDING => Poll::Pending,
            READY => {
                // SAFETY: R3: filled by the other side, owned by us now.
                let chunk = unsafe { Chunk::from_ffi(out) };
                self.seen += chunk.len() as u64;
                Poll::Ready(Some(Ok(chunk)))
            }
            END => {
                self.state = State::Ended;
                self.keep(checksums_in(end.known, end.crc32c, end.md5, end.sha256));
                Poll::Ready(None)
            }
            FAILED | PANICKED => {
                self.state = State::Failed;
                // SAFETY: R6: filled by the other side.
                Poll::Ready(Some(Err(unsafe { unflatten(&err) })))
            }
            other => {
                self.state = State::Failed;
                Poll::Ready(Some(Err(breach(format_args!("a stream answered {other}")))))
            }
        }
    }

    fn keep(&mut self, checksums: Checksums) {
        self.crc32c = checksums.crc32c;
        if checksums.md5.is_some() || checksums.sha256.is_some() {
            self.digests = Some(Box::new(checksums));
        }
    }

    /// The next chunk; `None` is the end.
    pub async fn chunk(&mut self) -> Option<Result<Chunk>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// What is known at the end; `None` before it and after an error.
    pub fn trailers(&self) -> Option<Trailers> {
        (self.state == State::Ended).then(|| Trailers {
            size: self.seen,
            checksums: Checksums {
                crc32c: self.crc32c,
                ..self.digests.as_deref().copied().unwrap_or_default()
            },
        })
    }

    /// Bytes that were read so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// All bytes, in memory.
    ///
    /// # Errors
    ///
    /// The stream's own, or `TooLarge` past `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes> {
        let mut all: Option<Bytes> = None;
        let mut many: Vec<u8> = Vec::new();
        while let Some(chunk) = self.chunk().await {
            let chunk = chunk?;
            if self.seen > limit as u64 {
                return Err(Error::new(crate::ErrorKind::TooLarge).fact("limit", limit));
            }
            match all.take() {
                None if many.is_empty() => all = Some(chunk.into()),
                first => {
                    many.extend(first.iter().flat_map(|bytes| bytes.iter()));
                    many.extend_from_slice(&chunk);
                }
            }
        }
        Ok(all.unwrap_or_else(|| many.into()))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // SAFETY: R11: the table outlives its streams.
        if let Some(end) = unsafe { self.table.as_ref() }.and_then(|table| table.drop) {
            // SAFETY: R11: ended once.
            unsafe { end(self.words.get()) }
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
            .map(|next| next.map(|chunk| chunk.map(Bytes::from)))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("seen", &self.seen)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

macro_rules! from_bytes {
    ($($from:ty),+) => { $(impl From<$from> for Body {
        fn from(bytes: $from) -> Self {
            Body::once(bytes)
        }
    })+ };
}
from_bytes!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);
