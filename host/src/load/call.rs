//! One operation on the host's side: rules R5 to R9 and R15.

use super::instance::Instance;
use super::services::{PluginCounters, since_start};
use holdall_plugin_api::abi::grow::{self, Grows};
use holdall_plugin_api::abi::op::STORAGE_ALIGN;
use holdall_plugin_api::abi::request::{Args, Owned};
use holdall_plugin_api::abi::tables::*;
use holdall_plugin_api::abi::text::breach;
use holdall_plugin_api::abi::unflatten;
use holdall_plugin_api::abi::waker::lend;
use holdall_plugin_api::{Error, ErrorKind, Result};
use std::ffi::c_void;
use std::marker::PhantomPinned;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

/// What an operation runs under.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    /// When its caller is released.
    pub(crate) deadline: Option<Instant>,
    /// For logs.
    pub(crate) request_id: Option<Arc<str>>,
    /// W3C trace id, zero for none.
    pub(crate) trace_id: [u8; 16],
    /// W3C span id, zero for none.
    pub(crate) span_id: [u8; 8],
}

impl Call {
    pub(super) fn table(&self) -> FfiCall {
        FfiCall {
            deadline_ns: self.deadline.map_or(u64::MAX, since_start),
            trace_id: self.trace_id,
            span_id: self.span_id,
            request_id: FfiSlice::text(self.request_id.as_deref()),
            ..grow::empty()
        }
    }
}

/// The slot of an operation.
pub(super) type Start<A, O> = unsafe extern "C" fn(
    *const c_void,
    *const A,
    *mut c_void,
    *const FfiContext,
    *mut O,
    *mut FfiError,
    *mut FfiFuture,
) -> Status;

/// How an answer is read.
pub(super) type Read<O, T> = unsafe fn(&O) -> Result<T>;

#[repr(C, align(16))]
struct Storage(MaybeUninit<[u8; STORAGE_BYTES]>);

const _: () = assert!(align_of::<Storage>() == STORAGE_ALIGN);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Pending,
    Done,
}

/// An operation. Starts at its first poll, when its storage has stopped moving (R7).
pub(super) struct Operation<'a, A: Owned, O: Grows, T> {
    start: Start<A, O>,
    read: Read<O, T>,
    instance: &'a Instance,
    args: ManuallyDrop<Args<'a, A>>,
    out: O,
    err: FfiError,
    fut: MaybeUninit<FfiFuture>,
    call: FfiCall,
    /// Kept for `call`.
    _under: Call,
    cancelled: AtomicU8,
    stage: Stage,
    storage: Storage,
    _pinned: PhantomPinned,
}

// SAFETY: a plugin's operation may be polled and dropped on any thread, one at a time (R7, R11); the
// raw pointers lead to what this value owns or borrows.
unsafe impl<A: Owned, O: Grows, T> Send for Operation<'_, A, O, T> {}

impl<'a, A: Owned, O: Grows, T> Operation<'a, A, O, T> {
    // Built in place of the caller: as an `async fn` it would be moved once more.
    #[inline(always)]
    pub(super) fn new(
        instance: &'a Instance,
        start: Start<A, O>,
        read: Read<O, T>,
        args: Args<'a, A>,
        under: Call,
    ) -> Self {
        Operation {
            start,
            read,
            instance,
            args: ManuallyDrop::new(args),
            out: grow::empty(),
            err: grow::empty(),
            fut: MaybeUninit::uninit(),
            call: under.table(),
            _under: under,
            cancelled: AtomicU8::new(0),
            stage: Stage::New,
            storage: Storage(MaybeUninit::uninit()),
            _pinned: PhantomPinned,
        }
    }

    /// Where the state of the pending operation lies.
    ///
    /// # Safety
    ///
    /// The stage is `Pending`.
    unsafe fn state(&mut self) -> (FfiFuture, *mut c_void) {
        // SAFETY: filled when the operation became pending (R7).
        let fut = unsafe { self.fut.assume_init_read() };
        let state = if fut.boxed.is_null() {
            (&raw mut self.storage).cast()
        } else {
            fut.boxed
        };
        (fut, state)
    }
}

impl<A: Owned, O: Grows, T> Future for Operation<'_, A, O, T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing is moved out of `self`; the storage stays where it is.
        let this = unsafe { self.get_unchecked_mut() };
        this.call.cancelled = (&raw const this.cancelled).cast();
        let call = &raw const this.call;
        let status = match this.stage {
            Stage::New => {
                // Whatever happens next, what the arguments own has moved (R8).
                this.stage = Stage::Done;
                let storage = (&raw mut this.storage).cast();
                let backend = this.instance.backend();
                let args: *const A = this.args.raw();
                lend(cx, call, |cx| {
                    // SAFETY: R5 to R9: everything is alive and pinned until this value is dropped.
                    unsafe {
                        (this.start)(
                            backend,
                            args,
                            storage,
                            cx,
                            &raw mut this.out,
                            &raw mut this.err,
                            this.fut.as_mut_ptr(),
                        )
                    }
                })
            }
            Stage::Pending => {
                // SAFETY: the stage says so.
                let (fut, state) = unsafe { this.state() };
                let (out, err) = ((&raw mut this.out).cast(), &raw mut this.err);
                let status = match fut.poll {
                    // SAFETY: R7, R9.
                    Some(poll) => lend(cx, call, |cx| unsafe { poll(state, cx, out, err) }),
                    None => u8::MAX,
                };
                if status != PENDING {
                    this.stage = Stage::Done;
                    if let Some(drop) = fut.drop {
                        // SAFETY: R7: once, because the stage is `Done` now.
                        unsafe { drop(state) }
                    }
                }
                status
            }
            Stage::Done => {
                return Poll::Ready(Err(
                    Error::new(ErrorKind::Other).message("polled after completion")
                ));
            }
        };
        match status {
            PENDING => {
                this.stage = Stage::Pending;
                Poll::Pending
            }
            READY => {
                // SAFETY: R6: filled by the plugin, read once.
                let answer = unsafe { (this.read)(&this.out) };
                Poll::Ready(answer.inspect_err(|error| this.instance.judge(error)))
            }
            FAILED | PANICKED => {
                // SAFETY: R6: filled by the plugin, read once.
                let error = unsafe { unflatten(&this.err) };
                if status == PANICKED {
                    PluginCounters::count(&this.instance.plugin().counters().panics_in_calls);
                    this.instance.poison();
                }
                this.instance.judge(&error);
                Poll::Ready(Err(error))
            }
            other => {
                this.instance.poison();
                Poll::Ready(Err(breach(format_args!("an operation answered {other}"))))
            }
        }
    }
}

impl<A: Owned, O: Grows, T> Drop for Operation<'_, A, O, T> {
    fn drop(&mut self) {
        match self.stage {
            Stage::New => self.args.raw().discard(),
            Stage::Pending => {
                self.cancelled.store(1, Ordering::Relaxed);
                PluginCounters::count(&self.instance.plugin().counters().abandoned);
                // SAFETY: the stage says so.
                let (fut, state) = unsafe { self.state() };
                if let Some(drop) = fut.drop {
                    // SAFETY: R7: once.
                    unsafe { drop(state) }
                }
            }
            Stage::Done => {}
        }
        // SAFETY: dropped once, after the operation no longer uses it (R5).
        unsafe { ManuallyDrop::drop(&mut self.args) };
    }
}
