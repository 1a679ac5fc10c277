//! A [`Source`] as a stream of the boundary: its table, the panic guard and the plugin's runtime.

use super::guard::{self, FaultKind, PluginState, contained_of, guarded};
use super::op::in_runtime;
use crate::abi::flatten;
use crate::abi::grow::{self, copy_out};
use crate::abi::stream::{OwnedStream, Words, trailers_out};
use crate::abi::tables::*;
use crate::abi::text::UNKNOWN;
use crate::abi::waker::with_context;
use crate::{Body, Chunk, Result, Source};
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
    let boxed = Box::new(Boxed {
        source,
        plugin: guard::current_plugin(),
    });
    let mut words: Words = [std::ptr::null_mut(); 5];
    words[0] = Box::into_raw(boxed).cast();
    OwnedStream::new(words, Boxed::<S>::TABLE)
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
        // SAFETY: `stream_of` put a box into the first word; one thread at a time (R11).
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
                unsafe { copy_out(err, flatten(panic.into())) };
                PANICKED
            }
        }
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

/// A `Stream` as a [`Source`].
struct OfStream<S>(S);

impl<S: Stream<Item = Result<Bytes>> + Send> Source for OfStream<S> {
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        // SAFETY: a projection to the only field, which is not moved.
        unsafe { self.map_unchecked_mut(|this| &mut this.0) }.poll_next(cx)
    }
}
