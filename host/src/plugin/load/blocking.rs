//! Plugins that block, and those that the configuration moves here: rule R16. Every call into one runs in the
//! pool, never on the caller's thread.

use super::call::{Call, NO_FUTURE, Start, no_future};
use super::caller::{CallerState, run, wait};
use super::gate::Pass;
use super::instance::Instance;
use super::instance_body::{InstanceBody, InstanceRanges};
use super::owned::{Own, Portable};
use super::pool::off_the_caller;
use crate::platform::crumbs::Inside;
use holdall_plugin_api::Source;
use holdall_plugin_api::abi::grow::{self, Grows, Room};
use holdall_plugin_api::abi::tables::*;
use holdall_plugin_api::abi::waker::lend;
use holdall_plugin_api::{Bytes, Checksums, Result};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A job's result, on its way.
pub(super) type Pending<T> = Pin<Box<dyn Future<Output = Result<Seated<T>>> + Send>>;

/// What a job yields, with what let it into the plugin: freeing the one needs the other.
pub(super) struct Seated<T> {
    // Fields end in this order.
    pub(super) value: T,
    pub(super) pass: Option<Pass>,
}

impl<T> Seated<T> {
    pub(super) fn alone(self) -> T {
        self.value
    }
}

/// Starts an operation in the pool. `finish` reads its answer there.
///
/// # Safety
///
/// R1, R5 and R8 for `args` during the call: what it owns moves. `start` is the slot of this
/// instance's plugin.
pub(super) unsafe fn start<A: Portable, O: Grows + 'static, T: Send + 'static>(
    instance: &Arc<Instance>,
    (start, name): (Start<A, O>, &'static str),
    args: *const A,
    under: Call,
    pass: Option<Pass>,
    finish: impl FnOnce(Status, &Room<O>, &FfiError) -> Result<T> + Send + 'static,
) -> Pending<T> {
    let caller_state = Arc::new(CallerState::default());
    // SAFETY: by the contract.
    let own = match unsafe { A::own(args, &caller_state) } {
        Ok(own) => own,
        Err(error) => return Box::pin(std::future::ready(Err(error))),
    };
    let share = instance.plugin().share();
    let job = Job {
        instance: instance.clone(),
        caller_state: caller_state.clone(),
        start,
        name,
        own,
        under,
        pass,
    };
    let counters = instance.plugin().counters();
    Box::pin(run(share.clone(), counters, caller_state, move || {
        job.run(finish)
    }))
}

/// One operation, in a thread of the pool.
struct Job<A: Portable, O> {
    // Fields end in this order: the instance outlives what the arguments own (R12).
    own: Own<A>,
    start: Start<A, O>,
    name: &'static str,
    under: Call,
    caller_state: Arc<CallerState>,
    pass: Option<Pass>,
    instance: Arc<Instance>,
}

#[repr(C, align(16))]
struct Storage(MaybeUninit<[u8; STORAGE_BYTES]>);

impl<A: Portable, O: Grows> Job<A, O> {
    fn run<T>(
        mut self,
        finish: impl FnOnce(Status, &Room<O>, &FfiError) -> Result<T>,
    ) -> Option<Result<Seated<T>>> {
        let request = self.under.request_id.as_deref();
        let inside = Inside::new(self.instance.plugin().crumb, self.name, request);
        let _entered = inside.enter();
        let call = FfiCall {
            cancelled: self.caller_state.flag(),
            ..self.under.table()
        };
        let call = &raw const call;
        let (mut out, mut err) = (Room::<O>::new(), grow::empty::<FfiError>());
        let mut fut = NO_FUTURE;
        let mut storage = Storage(MaybeUninit::uninit());
        let storage = (&raw mut storage).cast::<c_void>();
        let backend = self.instance.backend();
        let mut pending: Option<FfiFuture> = None;

        let status = wait(&self.caller_state, |cx| {
            let (out, err) = (out.as_mut_ptr(), &raw mut err);
            let status = match &pending {
                None => {
                    let args = self.own.hand_over();
                    // SAFETY: R5 to R9: all of it lives on this stack until the operation has ended.
                    let status = lend(cx, call, |cx| unsafe {
                        (self.start)(backend, args, storage, cx, out, err, &raw mut fut)
                    });
                    self.own.started();
                    if status == PENDING {
                        if fut.poll.is_none() {
                            return Poll::Ready(PENDING);
                        }
                        pending = Some(fut);
                    }
                    status
                }
                Some(fut) => match fut.poll {
                    // SAFETY: R7, R9.
                    Some(poll) => lend(cx, call, |cx| unsafe {
                        poll(state(fut, storage), cx, out.cast(), err)
                    }),
                    None => u8::MAX,
                },
            };
            if status == PENDING {
                Poll::Pending
            } else {
                Poll::Ready(status)
            }
        });
        if let Some(fut) = pending
            && let Some(drop) = fut.drop
        {
            // SAFETY: R7: once, ready or not.
            unsafe { drop(state(&fut, storage)) }
        }
        let status = status?;
        let value = if status == PENDING {
            self.instance.poison();
            Err(no_future())
        } else {
            finish(status, &out, &err)
        };
        let pass = self.pass.take();
        Some(value.map(|value| Seated { value, pass }))
    }
}

/// Where the state of a pending operation lies (R7).
fn state(fut: &FfiFuture, storage: *mut c_void) -> *mut c_void {
    if fut.boxed.is_null() {
        storage
    } else {
        fut.boxed
    }
}

/// Fills ranges in the pool. The memory moves there, so that a caller who leaves takes nothing away.
pub(super) async fn filled(
    mut held: InstanceRanges,
    under: Call,
    instance: Arc<Instance>,
) -> Result<Vec<Vec<u8>>> {
    let plugin = instance.plugin();
    let caller_state = Arc::new(CallerState::default());
    let here = caller_state.clone();
    let work = move || {
        let call = FfiCall {
            cancelled: here.flag(),
            ..under.table()
        };
        let request = under.request_id.as_deref();
        let filled = wait(&here, |cx| held.poll(cx, &raw const call, request));
        drop(held);
        filled
    };
    run(
        plugin.share().clone(),
        plugin.counters(),
        caller_state,
        work,
    )
    .await
}

/// A body of a plugin that blocks: each chunk is pulled by a job.
pub(super) struct Pulled {
    state: Pull,
    call: Call,
    instance: Arc<Instance>,
}

enum Pull {
    Idle(Foreign),
    Busy(Pulling),
    Broken,
}

type Pulling = Pin<Box<dyn Future<Output = Result<(Foreign, Option<Result<Bytes>>)>> + Send>>;

/// The plugin's body. Its end is a call into the plugin too.
struct Foreign(Option<InstanceBody>);

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some(held) = self.0.take() {
            off_the_caller(move || drop(held));
        }
    }
}

impl Pulled {
    pub(super) fn new(held: InstanceBody, call: Call, instance: Arc<Instance>) -> Self {
        Self {
            state: Pull::Idle(Foreign(Some(held))),
            call,
            instance,
        }
    }

    fn pull(&self, mut body: Foreign) -> Pull {
        let share = self.instance.plugin().share();
        let (caller_state, under) = (Arc::new(CallerState::default()), self.call.clone());
        let here = caller_state.clone();
        let work = move || {
            let call = FfiCall {
                cancelled: here.flag(),
                ..under.table()
            };
            let held = body.0.as_mut()?;
            let request = under.request_id.as_deref();
            let next = wait(&here, |cx| held.poll_chunk(cx, &raw const call, request))?;
            Some(Ok((body, next)))
        };
        Pull::Busy(Box::pin(run(
            share.clone(),
            self.instance.plugin().counters(),
            caller_state,
            work,
        )))
    }
}

impl Source for Pulled {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if let Pull::Idle(_) = &self.state
            && let Pull::Idle(body) = std::mem::replace(&mut self.state, Pull::Broken)
        {
            self.state = self.pull(body);
        }
        let Pull::Busy(job) = &mut self.state else {
            return Poll::Ready(None);
        };
        Poll::Ready(match std::task::ready!(job.as_mut().poll(cx)) {
            Ok((body, next)) => {
                self.state = Pull::Idle(body);
                next
            }
            Err(error) => {
                self.instance.note_fault(&error);
                self.state = Pull::Broken;
                Some(Err(error))
            }
        })
    }

    fn checksums(self: Pin<&mut Self>) -> Checksums {
        match &self.state {
            Pull::Idle(Foreign(Some(held))) => held.checksums(),
            _ => Checksums::NONE,
        }
    }

    // Memory of the receiver is not lent: it would have to stay while the job runs, also when the receiver leaves.

    #[cfg(unix)]
    fn file(&self) -> Option<holdall_plugin_api::LentFile<'_>> {
        match &self.state {
            Pull::Idle(Foreign(Some(held))) => held.file(),
            _ => None,
        }
    }
}
