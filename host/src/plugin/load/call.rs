//! One operation on the host's side: rules R5 to R9 and R15.

use super::Plugin;
use super::blocking::{self, Seated};
use super::gate::Pass;
use super::instance::Instance;
use super::owned::Portable;
use super::services::{PluginCounters, since_start};
use super::spans::KeptSpan;
use crate::platform::crumbs::Inside;
use holdall_plugin_api::abi::STORAGE_ALIGN;
use holdall_plugin_api::abi::grow::{self, Grows, Room};
use holdall_plugin_api::abi::request::Args;
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
use std::time::{Duration, Instant};

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
    /// The program's own span, for lines from other threads.
    pub(crate) _span: Option<Arc<KeptSpan>>,
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
    /// In the pool, for a plugin that blocks.
    Away,
    Done,
}

/// How an operation gets into a plugin that takes few at once.
enum Entry {
    NotEntered,
    Waiting(Pin<Box<dyn Future<Output = Result<Pass>> + Send>>),
    Inside(Pass),
}

/// An operation. Starts at its first poll, when its storage has stopped moving (R7).
pub(super) struct Operation<'a, A: Portable, O: Grows, T> {
    start: Start<A, O>,
    read: Read<O, T>,
    instance: &'a Arc<Instance>,
    args: ManuallyDrop<Args<'a, A>>,
    out: Room<O>,
    err: FfiError,
    fut: FfiFuture,
    call: FfiCall,
    /// Kept for `call`.
    _under: Call,
    cancelled: AtomicU8,
    stage: Stage,
    away: Option<blocking::Pending<T>>,
    entry: Entry,
    /// For crash records.
    name: &'static str,
    storage: Storage,
    _pinned: PhantomPinned,
}

// SAFETY: a plugin's operation may be polled and dropped on any thread, one at a time (R7, R11); the
// raw pointers lead to what this value owns or borrows.
unsafe impl<A: Portable, O: Grows, T> Send for Operation<'_, A, O, T> {}

impl<'a, A: Portable, O: Grows, T> Operation<'a, A, O, T> {
    // Built in place of the caller: as an `async fn` it would be moved once more.
    #[inline(always)]
    pub(super) fn new(
        instance: &'a Arc<Instance>,
        start: Start<A, O>,
        read: Read<O, T>,
        args: Args<'a, A>,
        under: Call,
        name: &'static str,
    ) -> Self {
        Operation {
            name,
            start,
            read,
            instance,
            args: ManuallyDrop::new(args),
            out: Room::new(),
            err: grow::empty(),
            fut: NO_FUTURE,
            call: under.table(),
            _under: under,
            cancelled: AtomicU8::new(0),
            stage: Stage::New,
            away: None,
            entry: Entry::NotEntered,
            storage: Storage(MaybeUninit::uninit()),
            _pinned: PhantomPinned,
        }
    }

    /// Whether the plugin was called.
    pub(super) fn has_begun(self: Pin<&Self>) -> bool {
        self.stage != Stage::New
    }

    /// What let it in, for the body that it answered.
    pub(super) fn take_pass(self: Pin<&mut Self>) -> Option<Pass> {
        // SAFETY: a pass is not pinned.
        let entry = unsafe { &mut self.get_unchecked_mut().entry };
        match std::mem::replace(entry, Entry::NotEntered) {
            Entry::Inside(pass) => Some(pass),
            Entry::NotEntered | Entry::Waiting(_) => None,
        }
    }

    /// Waits at the gate of a plugin that has one.
    fn poll_entry(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(gate) = self.instance.gate() else {
            return Poll::Ready(Ok(()));
        };
        if let Entry::NotEntered = self.entry {
            self.entry = match gate.try_enter() {
                Some(pass) => Entry::Inside(pass),
                None => Entry::Waiting(Box::pin(gate.enter(self.instance.max_wait()))),
            };
        }
        if let Entry::Waiting(waiting) = &mut self.entry {
            let entered = std::task::ready!(waiting.as_mut().poll(cx));
            self.entry = Entry::NotEntered;
            self.entry = Entry::Inside(entered?);
        }
        Poll::Ready(Ok(()))
    }

    /// Where the state of the pending operation lies.
    fn state(&mut self) -> *mut c_void {
        if self.fut.boxed.is_null() {
            (&raw mut self.storage).cast()
        } else {
            self.fut.boxed
        }
    }
}

impl<A: Portable, O: Grows + 'static, T: Send + 'static> Operation<'_, A, O, T> {
    #[cold]
    fn poll_away(&mut self, cx: &mut Context<'_>) -> Poll<Result<T>> {
        if self.stage == Stage::New {
            self.stage = Stage::Away;
            let (read, instance) = (self.read, self.instance.clone());
            // SAFETY: R6: filled by the plugin, read once.
            let finish = move |status, out: &Room<O>, err: &FfiError| unsafe {
                settle(&instance, status, read, out, err)
            };
            let args: *const A = self.args.raw();
            let pass = match std::mem::replace(&mut self.entry, Entry::NotEntered) {
                Entry::Inside(pass) => Some(pass),
                Entry::NotEntered | Entry::Waiting(_) => None,
            };
            let under = self._under.clone();
            // SAFETY: R8: what the arguments own moves here, and the stage tells that it has.
            let job = unsafe {
                let at = (self.start, self.name);
                blocking::start(self.instance, at, args, under, pass, finish)
            };
            self.away = Some(job);
        }
        let polled = match &mut self.away {
            Some(job) => std::task::ready!(job.as_mut().poll(cx)),
            None => return Poll::Ready(Err(completed())),
        };
        (self.away, self.stage) = (None, Stage::Done);
        Poll::Ready(polled.map(|Seated { value, pass }| {
            // Until this operation is dropped, or for the body that it answered.
            self.entry = pass.map_or(Entry::NotEntered, Entry::Inside);
            value
        }))
    }

    /// For a plugin that blocks, or that takes few operations at once: `None` says that the way in
    /// is clear, from here.
    #[cold]
    fn poll_special(&mut self, cx: &mut Context<'_>) -> Option<Poll<Result<T>>> {
        match self.poll_entry(cx) {
            Poll::Pending => return Some(Poll::Pending),
            Poll::Ready(Err(error)) => {
                self.stage = Stage::Done;
                self.args.raw().discard();
                return Some(Poll::Ready(Err(error)));
            }
            Poll::Ready(Ok(())) => {}
        }
        self.instance.blocks().then(|| self.poll_away(cx))
    }
}

impl<A: Portable, O: Grows + 'static, T: Send + 'static> Future for Operation<'_, A, O, T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing is moved out of `self`; the storage stays where it is.
        let this = unsafe { self.get_unchecked_mut() };
        this.call.cancelled = (&raw const this.cancelled).cast();
        if this.stage == Stage::New
            && !this.instance.is_plain()
            && let Some(polled) = this.poll_special(cx)
        {
            return polled;
        }
        if this.stage == Stage::Away {
            return this.poll_away(cx);
        }
        let request = this._under.request_id.as_deref();
        let inside = Inside::new(this.instance.plugin().crumb, this.name, request);
        let _entered = inside.enter();
        let call = &raw const this.call;
        let began = Began::now();
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
                            this.out.as_mut_ptr(),
                            &raw mut this.err,
                            &raw mut this.fut,
                        )
                    }
                })
            }
            Stage::Pending => {
                let (fut, state) = (this.fut, this.state());
                let (out, err) = (this.out.as_mut_ptr().cast(), &raw mut this.err);
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
            Stage::Away | Stage::Done => return Poll::Ready(Err(completed())),
        };
        began.ended(this.instance.plugin(), this.name);
        if status == PENDING {
            if this.fut.poll.is_none() {
                // Nothing was started that could be dropped.
                this.stage = Stage::Done;
                this.instance.poison();
                return Poll::Ready(Err(no_future()));
            }
            this.stage = Stage::Pending;
            return Poll::Pending;
        }
        // SAFETY: R6: filled by the plugin, read once.
        Poll::Ready(unsafe { settle(this.instance, status, this.read, &this.out, &this.err) })
    }
}

/// What a plugin finds in the place of its future.
pub(super) const NO_FUTURE: FfiFuture = FfiFuture {
    boxed: std::ptr::null_mut(),
    poll: None,
    drop: None,
};

/// The plugin said that an operation is pending, and left no future.
pub(super) fn no_future() -> Error {
    breach("an operation answered PENDING without a future: `poll` is null")
}

fn completed() -> Error {
    Error::new(ErrorKind::Other).with_message("polled after completion")
}

/// What a final status means, and what it says about the instance.
///
/// # Safety
///
/// R6: `out` or `err`, as the status says, was filled by the plugin and is not read again.
#[inline(always)]
pub(super) unsafe fn settle<O: Grows, T>(
    instance: &Instance,
    status: Status,
    read: Read<O, T>,
    out: &Room<O>,
    err: &FfiError,
) -> Result<T> {
    match status {
        READY => {
            let answer = out.filled().and_then(|out| {
                // SAFETY: by the contract.
                unsafe { read(out) }
            });
            answer.inspect_err(|error| instance.note_fault(error))
        }
        FAILED | PANICKED => {
            // SAFETY: by the contract.
            let error = unsafe { unflatten(err) };
            if status == PANICKED {
                PluginCounters::count(&instance.plugin().counters().panics_in_calls);
                instance.poison();
            }
            instance.note_fault(&error);
            Err(error)
        }
        other => {
            instance.poison();
            Err(breach(format_args!("an operation answered {other}")))
        }
    }
}

impl<A: Portable, O: Grows, T> Drop for Operation<'_, A, O, T> {
    fn drop(&mut self) {
        match self.stage {
            Stage::New => self.args.raw().discard(),
            Stage::Pending => {
                self.cancelled.store(1, Ordering::Relaxed);
                PluginCounters::count(&self.instance.plugin().counters().abandoned);
                let state = self.state();
                if let Some(drop) = self.fut.drop {
                    // SAFETY: R7: once.
                    unsafe { drop(state) }
                }
            }
            // Its arguments have moved to the job, which the drop of `away` cancels.
            Stage::Away | Stage::Done => {}
        }
        // SAFETY: dropped once, after the operation no longer uses it (R5).
        unsafe { ManuallyDrop::drop(&mut self.args) };
    }
}

/// A poll that takes longer is logged.
const LONG: Duration = Duration::from_millis(50);

/// When a poll began: one that is long holds its caller's thread. By the coarse clock of the system, because it is read
/// twice in each poll: its steps of a few milliseconds are fine enough, and a reading costs some ten nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct Began(
    #[cfg(target_os = "linux")] Duration,
    #[cfg(not(target_os = "linux"))] std::time::Instant,
);

#[cfg(target_os = "linux")]
fn coarse() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

impl Began {
    #[inline]
    pub(super) fn now() -> Self {
        #[cfg(target_os = "linux")]
        return Self(coarse());
        #[cfg(not(target_os = "linux"))]
        return Self(std::time::Instant::now());
    }

    #[inline]
    fn elapsed(self) -> Duration {
        #[cfg(target_os = "linux")]
        return coarse().saturating_sub(self.0);
        #[cfg(not(target_os = "linux"))]
        return self.0.elapsed();
    }

    /// At the end of a poll.
    #[inline]
    pub(super) fn ended(self, plugin: &Plugin, operation: &'static str) {
        let took = self.elapsed();
        if took > LONG {
            warn(plugin, operation, took);
        }
    }
}

#[cold]
fn warn(plugin: &Plugin, operation: &'static str, took: Duration) {
    tracing::warn!(
        target: "holdall",
        code = "long_poll",
        plugin = plugin.descriptor().about.name,
        operation,
        milliseconds = took.as_millis() as u64,
        "a poll of the plugin held its caller's thread; a plugin that blocks says `runtime: blocking` in `export_plugin!`, \
         or has HOLDALL_FLAG_BLOCKING; until it does, `polling = \"spawned\"` of its backends keeps it off that thread"
    );
}
