//! Operations on the plugin's side: rule R7.

use super::guard::{FaultKind, PluginState, contained_of, guarded};
use crate::Result;
use crate::abi::STORAGE_ALIGN;
use crate::abi::flatten;
use crate::abi::grow::{Grows, copy_out};
use crate::abi::tables::*;
use crate::abi::waker::with_context;
use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Where the caller wants things: the last arguments of every `start_*`.
#[derive(Clone, Copy)]
pub struct Slots<T> {
    /// Storage of [`STORAGE_BYTES`], aligned to [`STORAGE_ALIGN`], that does not move.
    pub storage: *mut c_void,
    /// Waker and call.
    pub cx: *const FfiContext,
    /// The answer.
    pub out: *mut T,
    /// The error.
    pub err: *mut FfiError,
    /// The pending operation.
    pub fut: *mut FfiFuture,
}

struct Op<F> {
    future: F,
    plugin: &'static PluginState,
}

/// Runs `f` with the plugin's runtime entered, when it has one.
pub(crate) fn in_runtime<R>(plugin: Option<&'static PluginState>, f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "tokio")]
    if let Some(plugin) = plugin
        && plugin.mode.is_tokio()
    {
        let _entered = plugin.runtime().enter();
        return f();
    }
    let _ = plugin;
    f()
}

/// Places a future, polls it once, and tells what became of it.
///
/// # Safety
///
/// The slots follow R5, R7 and R9; `future` may borrow what R5 keeps alive.
pub unsafe fn start<F, T>(plugin: &'static PluginState, future: F, slots: Slots<T>) -> Status
where
    F: Future<Output = Result<T>> + Send,
    T: Grows,
{
    let op = Op { future, plugin };
    let inline =
        const { size_of::<Op<F>>() <= STORAGE_BYTES && align_of::<Op<F>>() <= STORAGE_ALIGN };
    let (state, pending) = if inline {
        // SAFETY: R7: the storage is large and aligned enough.
        unsafe { slots.storage.cast::<Op<F>>().write(op) };
        let drop = drop_inline::<F> as unsafe extern "C" fn(*mut c_void);
        // Its address is not kept: the caller derives it anew at each poll, so that its own borrow
        // of the storage stays the last word.
        (
            slots.storage,
            FfiFuture {
                boxed: std::ptr::null_mut(),
                poll: Some(poll::<F, T>),
                drop: Some(drop),
            },
        )
    } else {
        let boxed = Box::into_raw(Box::new(op)).cast();
        (
            boxed,
            FfiFuture {
                boxed,
                poll: Some(poll::<F, T>),
                drop: Some(drop_boxed::<F>),
            },
        )
    };
    // SAFETY: R7.
    let status = unsafe { poll::<F, T>(state, slots.cx, slots.out.cast(), slots.err) };
    if status == PENDING {
        // SAFETY: R7.
        unsafe { slots.fut.write(pending) }
    } else if let Some(drop) = pending.drop {
        // SAFETY: R7: final, so it ends here.
        unsafe { drop(state) }
    }
    status
}

/// Answers at once.
///
/// # Safety
///
/// As [`start`].
pub unsafe fn fail<T>(error: crate::Error, slots: Slots<T>) -> Status {
    // SAFETY: R7.
    unsafe { copy_out(slots.err, flatten(error)) };
    FAILED
}

unsafe extern "C" fn poll<F, T>(
    state: *mut c_void,
    cx: *const FfiContext,
    out: *mut c_void,
    err: *mut FfiError,
) -> Status
where
    F: Future<Output = Result<T>> + Send,
    T: Grows,
{
    // SAFETY: R7: placed by `start`, not moved since, polled by one thread at a time.
    let op = unsafe { &mut *state.cast::<Op<F>>() };
    let plugin = op.plugin;
    // SAFETY: as above: the future does not move before it is dropped in place.
    let future = unsafe { Pin::new_unchecked(&mut op.future) };
    // SAFETY: R9.
    let call = unsafe { (*cx).call };
    let polled = guarded(Some(plugin), call, || {
        in_runtime(Some(plugin), || {
            // SAFETY: R9.
            unsafe { with_context(cx, |cx| future.poll(cx)) }
        })
    });
    match polled {
        Ok(Poll::Pending) => PENDING,
        Ok(Poll::Ready(Ok(value))) => {
            // SAFETY: R7.
            unsafe { copy_out(out.cast::<T>(), value) };
            READY
        }
        Ok(Poll::Ready(Err(error))) => {
            // SAFETY: R7.
            unsafe { copy_out(err, flatten(error)) };
            FAILED
        }
        Err(panic) => {
            // SAFETY: R7.
            unsafe { copy_out(err, flatten(panic.into())) };
            PANICKED
        }
    }
}

unsafe extern "C" fn drop_inline<F>(state: *mut c_void) {
    // SAFETY: R7: placed by `start`.
    let plugin = unsafe { (*state.cast::<Op<F>>()).plugin };
    contained_of(Some(plugin), FaultKind::Drop, || {
        // SAFETY: R7: dropped once.
        in_runtime(Some(plugin), || unsafe {
            state.cast::<Op<F>>().drop_in_place()
        });
    });
}

unsafe extern "C" fn drop_boxed<F>(state: *mut c_void) {
    // SAFETY: R7: boxed by `start`, dropped once.
    let op = unsafe { Box::from_raw(state.cast::<Op<F>>()) };
    let plugin = op.plugin;
    contained_of(Some(plugin), FaultKind::Drop, || {
        in_runtime(Some(plugin), || drop(op))
    });
}

/// A future and what becomes of its result. An `async` block would hold the arguments twice: the
/// operation would no longer fit the storage and cost an allocation.
pub(crate) struct Then<F, M>(pub(crate) F, pub(crate) M);

impl<F, T, O, M> Future for Then<F, M>
where
    F: Future<Output = Result<T>>,
    M: Fn(T) -> O,
{
    type Output = Result<O>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the first field is pinned with `self` and never moved; the second is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let future = unsafe { Pin::new_unchecked(&mut this.0) };
        future.poll(cx).map(|result| result.map(&this.1))
    }
}
