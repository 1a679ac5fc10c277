//! A [`Source`] as a stream of the boundary: its table, the panic guard and the plugin's runtime.

use super::guard::{self, FaultKind, Panic, PluginState, contained_of, guarded};
use super::op::in_runtime;
use crate::abi::flatten;
use crate::abi::grow::{self, copy_out};
use crate::abi::stream::{OwnedStream, Words, trailers_out};
use crate::abi::tables::*;
use crate::abi::text::UNKNOWN;
use crate::abi::waker::with_context;
use crate::{Body, Checksums, Chunk, Result, Source};
use bytes::Bytes;
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};

impl Body {
    /// A body of the chunks of a stream.
    pub fn stream<S: Stream<Item = Result<Bytes>> + Send + 'static>(stream: S) -> Self {
        Self::source(OfStream(stream))
    }

    /// A body of the chunks of a source, with its trailers.
    pub fn source<S: Source + 'static>(source: S) -> Self {
        Self::of(stream_of(source))
    }
}

/// Moves a source to the heap, as a stream that either side may pull.
fn stream_of<S: Source + 'static>(source: S) -> OwnedStream {
    let table = match source.reads_into() {
        true => Boxed::<S>::INTO,
        false => Boxed::<S>::TABLE,
    };
    let boxed = Box::new(Boxed {
        source,
        plugin: guard::current_plugin(),
    });
    let mut words: Words = [std::ptr::null_mut(); 5];
    words[0] = Box::into_raw(boxed).cast();
    OwnedStream::new(words, table)
}

/// A source on the heap, with the plugin that made it.
struct Boxed<S> {
    source: S,
    plugin: Option<&'static PluginState>,
}

impl<S: Source> Boxed<S> {
    const FUNCTIONS: StreamTable = StreamTable {
        poll_next: Some(Self::next),
        drop: Some(Self::drop),
        #[cfg(unix)]
        file: Some(Self::file),
        ..grow::empty()
    };
    const TABLE: &'static StreamTable = &Self::FUNCTIONS;
    /// Of a source that reads into memory of its receiver.
    const INTO: &'static StreamTable = &StreamTable {
        poll_into: Some(Self::into),
        ..Self::FUNCTIONS
    };

    unsafe extern "C" fn next(
        words: *mut Words,
        cx: *const FfiContext,
        out: *mut FfiBytes,
        end: *mut FfiTrailers,
        err: *mut FfiError,
    ) -> Status {
        // SAFETY: by the contract.
        let polled = unsafe { Self::poll(words, cx, Source::poll_chunk) };
        // SAFETY: by the contract.
        match unsafe { answer(polled, end, err) } {
            Ok(bytes) => {
                // SAFETY: writable by the contract.
                unsafe { out.write(Chunk::from(bytes).into_ffi()) };
                READY
            }
            Err(status) => status,
        }
    }

    unsafe extern "C" fn into(
        words: *mut Words,
        cx: *const FfiContext,
        into: *mut u8,
        room: usize,
        filled: *mut usize,
        end: *mut FfiTrailers,
        err: *mut FfiError,
    ) -> Status {
        // SAFETY: R21: lent for the call, initialised, and reached through this one borrow.
        let into = unsafe { std::slice::from_raw_parts_mut(into, room) };
        // SAFETY: by the contract.
        let polled = unsafe { Self::poll(words, cx, |source, cx| source.poll_into(cx, into)) };
        // SAFETY: by the contract.
        match unsafe { answer(polled, end, err) } {
            Ok(count) => {
                // SAFETY: writable by the contract.
                unsafe { filled.write(count) };
                READY
            }
            Err(status) => status,
        }
    }

    #[cfg(unix)]
    unsafe extern "C" fn file(words: *mut Words, out: *mut FfiFile) -> u8 {
        // SAFETY: `stream_of` put a box into the first word; one thread at a time (R11).
        let boxed = unsafe { (*words)[0] }.cast::<Self>();
        // SAFETY: as above.
        let this = unsafe { &*boxed };
        let mut lent = None;
        contained_of(this.plugin, FaultKind::Task, || lent = this.source.file());
        let Some(lent) = lent else { return 0 };
        // SAFETY: writable by the contract.
        unsafe { copy_out(out, lent.into_ffi()) };
        1
    }

    /// Polls the source, in its plugin's runtime and inside the guard.
    ///
    /// # Safety
    ///
    /// R11: `words` are those of `stream_of`, and `cx` is valid for the call (R9).
    unsafe fn poll<T>(
        words: *mut Words,
        cx: *const FfiContext,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<Option<Result<T>>>,
    ) -> Result<Poll<Polled<T>>, Panic> {
        // SAFETY: `stream_of` put a box into the first word; one thread at a time (R11).
        let boxed = unsafe { (*words)[0] }.cast::<Self>();
        // SAFETY: as above.
        let this = unsafe { &mut *boxed };
        // SAFETY: R9, R15.
        let call = unsafe { (*cx).call };
        let plugin = this.plugin;
        // SAFETY: the box never moves before it is dropped.
        let mut source = unsafe { Pin::new_unchecked(&mut this.source) };
        guarded(plugin, call, || {
            in_runtime(plugin, || {
                // SAFETY: R9.
                let next = unsafe { with_context(cx, |cx| poll(source.as_mut(), cx)) };
                next.map(|next| next.ok_or_else(|| source.checksums()))
            })
        })
    }

    unsafe extern "C" fn drop(words: *mut Words) {
        // SAFETY: made by `stream_of`, ended once (R11).
        let boxed = unsafe { (*words)[0] }.cast::<Self>();
        // SAFETY: as above.
        let this = unsafe { Box::from_raw(boxed) };
        let plugin = this.plugin;
        contained_of(plugin, FaultKind::Drop, || {
            in_runtime(plugin, || drop(this))
        });
    }
}

/// What a poll came to; an error is the end, with the digests.
type Polled<T> = Result<Result<T>, Checksums>;

/// Writes what a poll came to, but for what it yielded.
///
/// # Safety
///
/// `end` and `err` are writable by the contract of the stream's functions.
unsafe fn answer<T>(
    polled: Result<Poll<Polled<T>>, Panic>,
    end: *mut FfiTrailers,
    err: *mut FfiError,
) -> Result<T, Status> {
    let (status, error) = match polled {
        Ok(Poll::Pending) => return Err(PENDING),
        Ok(Poll::Ready(Ok(Ok(some)))) => return Ok(some),
        Ok(Poll::Ready(Err(checksums))) => {
            // SAFETY: by the contract.
            unsafe { copy_out(end, trailers_out(UNKNOWN, &checksums)) };
            return Err(END);
        }
        Ok(Poll::Ready(Ok(Err(error)))) => (FAILED, error),
        Err(panic) => (PANICKED, panic.into()),
    };
    // SAFETY: by the contract.
    unsafe { copy_out(err, flatten(error)) };
    Err(status)
}

/// A `Stream` as a [`Source`].
struct OfStream<S>(S);

impl<S: Stream<Item = Result<Bytes>> + Send> Source for OfStream<S> {
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        // SAFETY: a projection to the only field, which is not moved.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }.poll_next(cx)
    }
}
