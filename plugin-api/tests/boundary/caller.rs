//! A caller as small as it gets: what a host in C would do.

use holdall_plugin_api::StaticPlugin;
use holdall_plugin_api::abi::VERSION;
use holdall_plugin_api::abi::extension::host_about;
use holdall_plugin_api::abi::grow::{self, Grows};
use holdall_plugin_api::abi::tables::*;
use holdall_plugin_api::abi::waker::lend;
use holdall_plugin_api::abi::{request, unflatten};
use holdall_plugin_api::{Error, Result};
use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
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

struct Services(HostServices);

// SAFETY: never written, and its functions may be called from any thread.
unsafe impl Send for Services {}
// SAFETY: as above.
unsafe impl Sync for Services {}

/// A host's table by its name (R18).
pub static OFFERED: [usize; 2] = [16, 7];

unsafe extern "C" fn get_extension(_: *const c_void, name: FfiSlice) -> *const c_void {
    // SAFETY: R4: lent for the call.
    match unsafe { holdall_plugin_api::abi::text::copied(name) } {
        Ok(Some(name)) if name == "unstable.kit.offered" => (&raw const OFFERED).cast(),
        _ => std::ptr::null(),
    }
}

fn services() -> &'static HostServices {
    static SERVICES: OnceLock<Services> = OnceLock::new();
    let new = || HostServices {
        flags: 1,
        fault: Some(fault),
        monotonic_ns: Some(monotonic),
        get_extension: Some(get_extension),
        ..grow::empty()
    };
    &SERVICES.get_or_init(|| Services(new())).0
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
    Pending(Pending<O>),
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

/// A pending operation. The plugin keeps pointers into it, so it lies behind pointers of ours: a `Box`
/// would claim it anew with every move.
pub struct Pending<O: Grows> {
    lent: *mut Lent<O>,
    at: Places<O>,
    count: Arc<Count>,
    live: bool,
}

/// What the plugin reads and writes.
struct Lent<O> {
    storage: Storage,
    out: O,
    err: FfiError,
    fut: FfiFuture,
    cancelled: AtomicU8,
    call: FfiCall,
}

/// Where it lies.
struct Places<O> {
    storage: *mut c_void,
    out: *mut O,
    err: *mut FfiError,
    fut: *mut FfiFuture,
    cancelled: *const AtomicU8,
    call: *mut FfiCall,
}

impl<O> Clone for Places<O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Places<O> {}

impl<O: Grows> Pending<O> {
    fn new() -> Self {
        let lent = Box::into_raw(Box::new(Lent {
            storage: Storage(MaybeUninit::uninit()),
            out: grow::empty(),
            err: grow::empty(),
            fut: FfiFuture {
                boxed: std::ptr::null_mut(),
                poll: None,
                drop: None,
            },
            cancelled: AtomicU8::new(0),
            call: FfiCall {
                deadline_ns: 1_000_000_005,
                request_id: FfiSlice::text(Some("request-7")),
                ..grow::empty()
            },
        }));
        let at = Places {
            // SAFETY: just made.
            storage: unsafe { &raw mut (*lent).storage }.cast(),
            // SAFETY: as above.
            out: unsafe { &raw mut (*lent).out },
            // SAFETY: as above.
            err: unsafe { &raw mut (*lent).err },
            // SAFETY: as above.
            fut: unsafe { &raw mut (*lent).fut },
            // SAFETY: as above.
            cancelled: unsafe { &raw const (*lent).cancelled },
            // SAFETY: as above.
            call: unsafe { &raw mut (*lent).call },
        };
        // SAFETY: as above.
        unsafe { (*at.call).cancelled = at.cancelled.cast() };
        let count = Arc::new(Count(AtomicUsize::new(0)));
        Pending {
            lent,
            at,
            count,
            live: false,
        }
    }

    /// One call of the plugin, and what it came to.
    fn step(mut self, call: impl FnOnce(Places<O>, *const FfiContext) -> Status) -> Outcome<O> {
        let waker = Waker::from(self.count.clone());
        let cx = Context::from_waker(&waker);
        let status = lend(&cx, self.at.call, |cx| call(self.at, cx));
        self.live = status == PENDING;
        // SAFETY: ours, and the plugin is not at it now.
        let err = unsafe { &*self.at.err };
        match status {
            PENDING => Outcome::Pending(self),
            // SAFETY: R6: filled by the plugin, read once.
            READY => Outcome::Ready(unsafe { self.at.out.read() }),
            // SAFETY: as above.
            FAILED => Outcome::Failed(unsafe { unflatten(err) }),
            // SAFETY: as above.
            PANICKED => Outcome::Panicked(unsafe { unflatten(err) }),
            other => panic!("status {other}"),
        }
    }

    /// Its functions, and its state.
    fn state(&self) -> (FfiFuture, *mut c_void) {
        assert!(self.live);
        // SAFETY: filled when the operation became pending.
        let fut = unsafe { self.at.fut.read() };
        match fut.boxed.is_null() {
            true => (fut, self.at.storage),
            false => (fut, fut.boxed),
        }
    }

    pub fn is_boxed(&self) -> bool {
        !self.state().0.boxed.is_null()
    }

    pub fn wakes(&self) -> usize {
        self.count.0.load(Ordering::SeqCst)
    }

    pub fn cancel(&self) {
        // SAFETY: ours; the plugin reads it as an atomic too.
        let cancelled = unsafe { &*self.at.cancelled };
        cancelled.store(1, Ordering::SeqCst);
    }

    pub fn poll(self) -> Outcome<O> {
        let (fut, state) = self.state();
        self.step(|at, cx| {
            // SAFETY: R7.
            let status = unsafe { (fut.poll.unwrap())(state, cx, at.out.cast(), at.err) };
            if status != PENDING {
                // SAFETY: R7: once.
                unsafe { (fut.drop.unwrap())(state) }
            }
            status
        })
    }
}

impl<O: Grows> Drop for Pending<O> {
    fn drop(&mut self) {
        if self.live {
            let (fut, state) = self.state();
            // SAFETY: R7: once.
            unsafe { (fut.drop.unwrap())(state) }
        }
        // SAFETY: made by `new`; the plugin is done with it.
        drop(unsafe { Box::from_raw(self.lent) });
    }
}

fn begin<A, O: Grows>(start: Start<A, O>, backend: *const c_void, args: &A) -> Outcome<O> {
    Pending::<O>::new().step(|at, cx| {
        // SAFETY: R5 to R9.
        unsafe { start(backend, args, at.storage, cx, at.out, at.err, at.fut) }
    })
}

impl Caller {
    pub fn open(plugin: &StaticPlugin, config: &str) -> Result<Caller> {
        // SAFETY: R1.
        let table = unsafe { grow::copy_in((plugin.entry)()) }.unwrap();
        // SAFETY: R1.
        let ops = unsafe { grow::copy_in(table.ops) }.unwrap();
        let about = host_about("kit", "1.2.3");
        let minor = VERSION.minor;
        let mut args = request::write_open(config, "test", services(), minor, &about);
        match begin(table.open.unwrap(), std::ptr::null(), args.raw()) {
            Outcome::Ready(out) => {
                // SAFETY: R6: filled by the plugin, read once.
                unsafe { holdall_plugin_api::abi::answer::read_opened(&out, minor) }.unwrap();
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
