//! A caller and the job that works for it: each may end before the other.

use super::pool::{self, Share};
use super::services::PluginCounters;
use holdall_plugin_api::{Error, ErrorKind, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use tokio::runtime::Handle;

/// Whether the caller of a job is still there. Everything that waits in the job waits here.
#[derive(Debug, Default)]
pub(super) struct CallerState {
    left: AtomicU8,
    lock: Mutex<()>,
    bell: Condvar,
}

impl CallerState {
    /// Non-zero once the caller has gone: what `FfiCall::cancelled` points to.
    pub(super) fn flag(&self) -> *const u8 {
        (&raw const self.left).cast()
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire) != 0
    }

    fn leave(&self) {
        self.left.store(1, Ordering::Release);
        self.ring();
    }

    fn ring(&self) {
        // Under the lock, so that no waiter falls asleep between its look and the notification.
        let _held = self.locked();
        self.bell.notify_all();
    }

    fn locked(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes a thread that waits in [`wait`].
struct Signal {
    caller_state: Arc<CallerState>,
    rung: AtomicBool,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.caller_state.ring();
    }
}

/// Polls until it is ready, and sleeps in between; `None` when the caller leaves meanwhile.
pub(super) fn wait<T>(
    caller_state: &Arc<CallerState>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    let signal = Arc::new(Signal {
        caller_state: caller_state.clone(),
        rung: AtomicBool::new(false),
    });
    let waker = Waker::from(signal.clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            return Some(value);
        }
        let mut held = caller_state.locked();
        while !signal.rung.swap(false, Ordering::Acquire) {
            if caller_state.has_left() {
                return None;
            }
            held = caller_state
                .bell
                .wait(held)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Where a job puts its result.
struct Reply<T>(Mutex<State<T>>);

enum State<T> {
    Waiting(Option<Waker>),
    Here(Result<T>),
    /// The caller has gone, or has it already.
    Closed,
}

impl<T> Reply<T> {
    fn locked(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deliver(&self, result: Result<T>, counters: &PluginCounters) {
        let mut state = self.locked();
        match &mut *state {
            State::Waiting(waker) => {
                let waker = waker.take();
                *state = State::Here(result);
                drop(state);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            State::Here(_) | State::Closed => {
                drop(state);
                PluginCounters::count(&counters.late_results);
                // Here and not with the caller: to free it is the plugin's work, and may block.
                drop(result);
            }
        }
    }
}

/// The caller's end.
struct Caller<T: Send + 'static> {
    reply: Arc<Reply<T>>,
    caller_state: Arc<CallerState>,
    counters: &'static PluginCounters,
}

impl<T: Send + 'static> Future for Caller<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.reply.locked();
        match std::mem::replace(&mut *state, State::Closed) {
            State::Waiting(mut waker) => {
                match &mut waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => waker = Some(cx.waker().clone()),
                }
                *state = State::Waiting(waker);
                Poll::Pending
            }
            State::Here(result) => Poll::Ready(result),
            State::Closed => Poll::Ready(Err(
                Error::new(ErrorKind::Other).with_message("polled after completion")
            )),
        }
    }
}

impl<T: Send + 'static> Drop for Caller<T> {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut *self.reply.locked(), State::Closed);
        match state {
            State::Waiting(_) => {
                PluginCounters::count(&self.counters.abandoned);
                self.caller_state.leave();
            }
            State::Here(result) => {
                PluginCounters::count(&self.counters.late_results);
                pool::off_the_caller(move || drop(result));
            }
            State::Closed => {}
        }
    }
}

/// Runs `work` in the pool when it is its turn. Dropping the future leaves the work to itself: it
/// sees that at `caller_state`, and its result is freed where it runs. `None` says that it saw it.
pub(super) async fn run<T: Send + 'static>(
    share: Share,
    counters: &'static PluginCounters,
    caller_state: Arc<CallerState>,
    work: impl FnOnce() -> Option<Result<T>> + Send + 'static,
) -> Result<T> {
    let turn = share.turn().await;
    let reply = Arc::new(Reply(Mutex::new(State::Waiting(None))));
    let caller = Caller {
        reply: reply.clone(),
        caller_state: caller_state.clone(),
        counters,
    };
    // A body of the caller may use timers and sockets of the caller's runtime.
    let runtime = Handle::try_current().ok();
    let job = move || {
        let _turn = turn;
        let _entered = runtime.as_ref().map(Handle::enter);
        if caller_state.has_left() {
            return;
        }
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Some(Err(
                Error::new(ErrorKind::Other).with_message("a job of the blocking pool panicked")
            ))
        });
        if let Some(result) = done {
            reply.deliver(result, counters);
        }
    };
    if !pool::spawn(job) {
        // The job stays in the queue and will see that its caller has left.
        return Err(
            Error::new(ErrorKind::Unavailable).with_message("no thread for a plugin that blocks")
        );
    }
    caller.await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    fn counters() -> &'static PluginCounters {
        Box::leak(Box::default())
    }

    /// Yields to the pool until it happens.
    async fn until(mut happened: impl FnMut() -> bool) {
        // Generous: a machine under load may give this thread no time for seconds.
        let happening = async {
            while !happened() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), happening).await;
        assert!(waited.is_ok(), "it did not happen");
    }

    #[tokio::test]
    async fn a_result_arrives_while_the_runtime_goes_on() {
        let (open, gate) = mpsc::channel::<()>();
        let work = move || {
            Some(
                gate.recv()
                    .map(|()| 7)
                    .map_err(|_| Error::new(ErrorKind::Other)),
            )
        };
        let job = tokio::spawn(run(Share::new(), counters(), Arc::default(), work));
        // A runtime of one thread: this line is reached although the job blocks.
        tokio::time::sleep(Duration::from_millis(5)).await;
        open.send(()).unwrap();
        assert_eq!(job.await.unwrap().unwrap(), 7);
    }

    #[tokio::test]
    async fn a_late_result_is_freed_and_counted() {
        let (open, gate) = mpsc::channel::<()>();
        let (alive, counters) = (Arc::new(()), counters());
        let counted = alive.clone();
        let work = move || {
            gate.recv().ok();
            Some(Ok(counted))
        };
        let job = run(Share::new(), counters, Arc::default(), work);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), job)
                .await
                .is_err()
        );
        assert_eq!(
            (
                counters.abandoned.load(Ordering::SeqCst),
                counters.late_results.load(Ordering::SeqCst)
            ),
            (1, 0)
        );
        open.send(()).unwrap();
        until(|| {
            counters.late_results.load(Ordering::SeqCst) == 1 && Arc::strong_count(&alive) == 1
        })
        .await;
    }

    #[tokio::test]
    async fn a_result_without_a_caller_is_freed_in_the_pool() {
        struct Where(mpsc::Sender<Option<String>>);
        impl Drop for Where {
            fn drop(&mut self) {
                self.0
                    .send(std::thread::current().name().map(str::to_owned))
                    .unwrap();
            }
        }
        let (to, from) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel();
        let work = move || {
            gate.recv().unwrap();
            done.send(()).unwrap();
            Some(Ok(Where(to)))
        };
        let counters = counters();
        let mut job = Box::pin(run(Share::new(), counters, Arc::default(), work));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(job.as_mut().poll(&mut cx).is_pending());
        open.send(()).unwrap();
        is_done.recv().unwrap();
        // Whether the result is there already or still on its way, it goes back to the pool.
        drop(job);
        assert_eq!(
            from.recv_timeout(Duration::from_secs(60))
                .unwrap()
                .as_deref(),
            Some("holdall-blocking")
        );
        assert_eq!(counters.late_results.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_waiting_job_sees_that_its_caller_left() {
        let caller_state = Arc::new(CallerState::default());
        let (to, from) = mpsc::channel();
        let inside = caller_state.clone();
        let work = move || {
            let waited = wait(&inside, |_| Poll::<()>::Pending);
            to.send(waited).unwrap();
            None::<Result<()>>
        };
        let counters = counters();
        let job = run(Share::new(), counters, caller_state, work);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), job)
                .await
                .is_err()
        );
        assert_eq!(from.recv_timeout(Duration::from_secs(60)).unwrap(), None);
        assert_eq!(counters.late_results.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn waiting_sleeps_until_it_is_woken() {
        let caller_state = Arc::new(CallerState::default());
        let mut polls = 0;
        let waited = wait(&caller_state, |cx| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(polls);
            }
            let waker = cx.waker().clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(30));
                waker.wake();
            });
            Poll::Pending
        });
        assert_eq!(waited, Some(2), "polled again before it was woken");
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let work = || -> Option<Result<()>> { panic!("on purpose") };
        let error = run(Share::new(), counters(), Arc::default(), work)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Other);
    }
}
