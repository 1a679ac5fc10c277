//! A [`RangeSource`] as a reader of the boundary: its table, the panic guard and the plugin's runtime.

use super::guard::{self, FaultKind, PluginState, contained_of, guarded};
use super::op::in_runtime;
use crate::abi::flatten;
use crate::abi::grow::{self, copy_out};
use crate::abi::ranges::OwnedRanges;
use crate::abi::stream::Words;
use crate::abi::tables::*;
use crate::abi::text::array;
use crate::abi::waker::with_context;
use crate::{Error, RangeBuffers, RangeReader, RangeSource};
use std::pin::Pin;
use std::task::Poll;

impl RangeReader {
    /// A reader of the ranges of a source.
    pub fn source<S: RangeSource + 'static>(source: S) -> Self {
        let boxed = Box::new(Boxed {
            source,
            plugin: guard::current_plugin(),
            waiting: Vec::new(),
        });
        let mut words: Words = [std::ptr::null_mut(); 5];
        words[0] = Box::into_raw(boxed).cast();
        let stream = OwnedRanges::new(words, Boxed::<S>::TABLE);
        Self { stream }
    }
}

/// A source on the heap, with the plugin that made it.
struct Boxed<S> {
    source: S,
    plugin: Option<&'static PluginState>,
    /// Complete, and not told yet: the caller had no room.
    waiting: Vec<usize>,
}

impl<S: RangeSource> Boxed<S> {
    const TABLE: &'static RangeStreamTable = &RangeStreamTable {
        poll_into: Some(Self::poll_into),
        drop: Some(Self::drop),
        ..grow::empty()
    };

    unsafe extern "C" fn poll_into(
        words: *mut Words,
        cx: *const FfiContext,
        buffers: *const FfiBuffer,
        buffer_count: usize,
        done: *mut FfiRangeDone,
        done_room: usize,
        done_count: *mut usize,
        err: *mut FfiError,
    ) -> Status {
        // SAFETY: `RangeReader::source` put a box into the first word; one thread at a time (R11).
        let boxed = unsafe { (*words)[0] }.cast::<Self>();
        // SAFETY: as above.
        let this = unsafe { &mut *boxed };
        // SAFETY: R9, R15.
        let call = unsafe { (*cx).call };
        let plugin = this.plugin;
        // SAFETY: the box never moves before it is dropped.
        let mut source = unsafe { Pin::new_unchecked(&mut this.source) };
        let waiting = &mut this.waiting;
        let polled = guarded(plugin, call, || {
            in_runtime(plugin, || {
                if !waiting.is_empty() {
                    return Poll::Ready(Some(Ok(())));
                }
                // SAFETY: R5.
                let raw = match unsafe { array(buffers, buffer_count) } {
                    Ok(raw) => raw,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                };
                let mut buffers = RangeBuffers { raw };
                let poll = |cx: &mut std::task::Context<'_>| {
                    source.as_mut().poll_ranges(cx, &mut buffers, waiting)
                };
                // SAFETY: R9.
                unsafe { with_context(cx, poll) }
            })
        });
        let error = match polled {
            // Complete ranges are reported first, also beside `Pending`: a later wake is not certain.
            Ok(Poll::Pending | Poll::Ready(None | Some(Ok(())))) if !waiting.is_empty() => {
                let told = waiting.len().min(done_room);
                for (at, index) in waiting.drain(..told).enumerate() {
                    // SAFETY: inside the `done_room` items that are there by the contract.
                    let place = unsafe { done.add(at) };
                    // SAFETY: writable by the contract.
                    unsafe { place.write(FfiRangeDone { index }) };
                }
                // SAFETY: writable by the contract.
                unsafe { done_count.write(told) };
                return READY;
            }
            Ok(Poll::Pending) => return PENDING,
            Ok(Poll::Ready(None)) => return END,
            Ok(Poll::Ready(Some(Ok(())))) => Error::new(crate::ErrorKind::Other)
                .with_message("a source of ranges went on without completing one"),
            Ok(Poll::Ready(Some(Err(error)))) => error,
            Err(panic) => {
                // SAFETY: writable by the contract.
                unsafe { copy_out(err, flatten(panic.into())) };
                return PANICKED;
            }
        };
        // SAFETY: writable by the contract.
        unsafe { copy_out(err, flatten(error)) };
        FAILED
    }

    unsafe extern "C" fn drop(words: *mut Words) {
        // SAFETY: made by `RangeReader::source`, ended once (R11).
        let boxed = unsafe { (*words)[0] }.cast::<Self>();
        // SAFETY: as above.
        let this = unsafe { Box::from_raw(boxed) };
        let plugin = this.plugin;
        contained_of(plugin, FaultKind::Drop, || {
            in_runtime(plugin, || drop(this))
        });
    }
}
