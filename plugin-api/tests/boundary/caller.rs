//! A caller as small as it gets: what a host in C would do.

use holdall_plugin_api::abi::export::StaticPlugin;
use holdall_plugin_api::abi::grow::{self, Grows};
use holdall_plugin_api::abi::tables::*;
use holdall_plugin_api::abi::waker::lend;
use holdall_plugin_api::abi::{request, unflatten};
use holdall_plugin_api::{Error, Result};
use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The slot of an operation.
pub type Start<A, O> = unsafe extern "C" fn(
    *const c_void,
    *const A,
    *mut c_void,
    *const FfiContext,
    *mut O,
    *mut FfiError,
    *mut FfiFuture,
) -> Status;

thread_local! {
    static FAULTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What plugins reported in this thread.
pub fn faults() -> Vec<String> {
    FAULTS.with_borrow(Clone::clone)
}

unsafe extern "C" fn fault(_: *const c_void, kind: u32, message: FfiSlice) {
    // SAFETY: lent for the call.
    let message = unsafe { holdall_plugin_api::abi::text::copied(message) }
        .unwrap()
        .unwrap();
    FAULTS.with_borrow_mut(|faults| faults.push(format!("{kind}: {message}")));
}

unsafe extern "C" fn monotonic(_: *const c_void) -> u64 {
    5
}

fn services() -> &'static HostServices {
    Box::leak(Box::new(HostServices {
        flags: 1,
        fault: Some(fault),
        monotonic_ns: Some(monotonic),
        ..grow::empty()
    }))
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// An opened backend.
#[derive(Debug)]
pub struct Caller {
    pub ops: BackendTable,
    backend: *const c_void,
}

/// What a call came to.
pub enum Outcome<O: Grows> {
    Ready(O),
    Pending(Box<Pending<O>>),
    Failed(Error),
    Panicked(Error),
}

impl<O: Grows> Outcome<O> {
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Ready(_) => "ready",
            Outcome::Pending(_) => "pending",
            Outcome::Failed(_) => "failed",
            Outcome::Panicked(_) => "panicked",
        }
    }
}

#[repr(C, align(16))]
struct Storage(MaybeUninit<[u8; STORAGE_BYTES]>);

/// A pending operation; its storage does not move.
pub struct Pending<O: Grows> {
    storage: Storage,
    out: O,
    err: FfiError,
    fut: MaybeUninit<FfiFuture>,
    cancelled: Box<AtomicU8>,
    call: Box<FfiCall>,
    count: Arc<Count>,
    live: bool,
}

impl<O: Grows> Pending<O> {
    fn new() -> Box<Self> {
        let cancelled = Box::new(AtomicU8::new(0));
        let call = Box::new(FfiCall {
            deadline_ns: 1_000_000_005,
            cancelled: (&raw const *cancelled).cast(),
            request_id: FfiSlice::text(Some("request-7")),
            ..grow::empty()
        });
        Box::new(Pending {
            storage: Storage(MaybeUninit::uninit()),
            out: grow::empty(),
            err: grow::empty(),
            fut: MaybeUninit::uninit(),
            cancelled,
            call,
            count: Arc::new(Count(AtomicUsize::new(0))),
            live: false,
        })
    }

    fn under<R>(&mut self, f: impl FnOnce(&mut Self, *const FfiContext) -> R) -> R {
        let waker = Waker::from(self.count.clone());
        let call = &raw const *self.call;
        lend(&Context::from_waker(&waker), call, |cx| f(self, cx))
    }

    fn outcome(mut self: Box<Self>, status: Status) -> Outcome<O> {
        self.live = status == PENDING;
        match status {
            PENDING => Outcome::Pending(self),
            READY => Outcome::Ready(self.out),
            // SAFETY: R6: filled by the plugin, read once.
            FAILED => Outcome::Failed(unsafe { unflatten(&self.err) }),
            // SAFETY: as above.
            PANICKED => Outcome::Panicked(unsafe { unflatten(&self.err) }),
            other => panic!("status {other}"),
        }
    }

    fn state(&mut self) -> (FfiFuture, *mut c_void) {
        assert!(self.live);
        // SAFETY: filled when the operation became pending.
        let fut = unsafe { self.fut.assume_init_read() };
        (
            fut,
            if fut.boxed.is_null() {
                (&raw mut self.storage).cast()
            } else {
                fut.boxed
            },
        )
    }

    pub fn is_boxed(&self) -> bool {
        // SAFETY: filled when the operation became pending.
        !unsafe { self.fut.assume_init_read() }.boxed.is_null()
    }

    pub fn wakes(&self) -> usize {
        self.count.0.load(Ordering::SeqCst)
    }

    pub fn cancel(&mut self) {
        self.cancelled.store(1, Ordering::SeqCst);
    }

    pub fn poll(mut self: Box<Self>) -> Outcome<O> {
        let (fut, state) = self.state();
        let status = self.under(|this, cx| {
            // SAFETY: R7.
            unsafe { (fut.poll.unwrap())(state, cx, (&raw mut this.out).cast(), &raw mut this.err) }
        });
        if status != PENDING {
            self.live = false;
            // SAFETY: R7: once.
            unsafe { (fut.drop.unwrap())(state) }
        }
        self.outcome(status)
    }
}

impl<O: Grows> Drop for Pending<O> {
    fn drop(&mut self) {
        if self.live {
            let (fut, state) = self.state();
            // SAFETY: R7: once.
            unsafe { (fut.drop.unwrap())(state) }
        }
    }
}

fn begin<A, O: Grows>(start: Start<A, O>, backend: *const c_void, args: &A) -> Outcome<O> {
    let mut pending = Pending::<O>::new();
    let status = pending.under(|this, cx| {
        let storage = (&raw mut this.storage).cast();
        // SAFETY: R5 to R9.
        unsafe {
            start(
                backend,
                args,
                storage,
                cx,
                &raw mut this.out,
                &raw mut this.err,
                this.fut.as_mut_ptr(),
            )
        }
    });
    pending.outcome(status)
}

impl Caller {
    pub fn open(plugin: &StaticPlugin, config: &str) -> Result<Caller> {
        // SAFETY: R1.
        let table = unsafe { grow::copy_in((plugin.entry)()) }.unwrap();
        // SAFETY: R1.
        let ops = unsafe { grow::copy_in(table.ops) }.unwrap();
        let mut args = request::write_open(config, "test", services(), 0);
        match begin(table.open.unwrap(), std::ptr::null(), args.raw()) {
            Outcome::Ready(out) => {
                // SAFETY: R6: filled by the plugin, read once.
                unsafe { holdall_plugin_api::abi::answer::read_opened(&out) }.unwrap();
                Ok(Caller {
                    ops,
                    backend: out.backend,
                })
            }
            Outcome::Failed(error) | Outcome::Panicked(error) => Err(error),
            Outcome::Pending(_) => panic!("pending"),
        }
    }

    pub fn call<A, O: Grows>(&self, start: Option<Start<A, O>>, args: &A) -> Outcome<O> {
        begin(start.unwrap(), self.backend, args)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // SAFETY: R12: once.
        unsafe { (self.ops.drop.unwrap())(self.backend) }
    }
}

/// Polls a future that is ready.
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("pending"),
    }
}
