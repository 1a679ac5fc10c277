//! A tokio of the plugin's own. The host's is invisible to a loaded library, and the other way round.

use super::guard::{self, KeptCall, PluginState};
use crate::{Error, ErrorKind, Result};
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Blocking jobs at once; more wait.
const BLOCKING_THREADS: usize = 32;

impl PluginState {
    /// The runtime, started at its first use: a plugin that was only opened has no thread.
    pub(crate) fn runtime(&'static self) -> &'static Runtime {
        self.runtime.get_or_init(|| {
            let started = Builder::new_multi_thread()
                .worker_threads(1)
                .max_blocking_threads(BLOCKING_THREADS)
                .thread_name("holdall-plugin")
                .on_thread_start(move || guard::own_thread(self))
                .enable_all()
                .build();
            match started {
                Ok(runtime) => runtime,
                // Inside the panic guard: it becomes an error of the operation.
                Err(cause) => panic!("the plugin's runtime cannot start: {cause}"),
            }
        })
    }
}

/// A future that runs as a task of the plugin's runtime, and is aborted with its handle.
pub(crate) struct Spawned<F: Future> {
    plugin: &'static PluginState,
    state: State<F>,
}

enum State<F: Future> {
    New(Option<F>),
    Running(JoinHandle<F::Output>),
}

/// The future of a task, within the call that started it: its log lines name the request.
struct Within<F> {
    call: Option<KeptCall>,
    future: F,
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the future is pinned with `self` and never moved; the call is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        match &this.call {
            Some(call) => call.within(|| future.poll(cx)),
            None => future.poll(cx),
        }
    }
}

impl<F: Future> Spawned<F> {
    pub(crate) fn new(plugin: &'static PluginState, future: F) -> Self {
        Self {
            plugin,
            state: State::New(Some(future)),
        }
    }
}

// The future is moved into its task before it is ever polled, so nothing here is pinned.
impl<F: Future> Unpin for Spawned<F> {}

impl<F, T> Future for Spawned<F>
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let plugin = self.plugin;
        if let State::New(future) = &mut self.state
            && let Some(future) = future.take()
        {
            let call = KeptCall::current();
            let task = plugin.runtime().spawn(Within { call, future });
            self.state = State::Running(task);
        }
        let State::Running(task) = &mut self.state else {
            return Poll::Ready(Err(
                Error::new(ErrorKind::Other).with_message("polled after completion")
            ));
        };
        match Pin::new(task).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(result)) => Poll::Ready(result),
            Poll::Ready(Err(ended)) if ended.is_panic() => resume_unwind(ended.into_panic()),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Error::new(ErrorKind::Cancelled))),
        }
    }
}

impl<F: Future> Drop for Spawned<F> {
    fn drop(&mut self) {
        // Dropping a handle alone would leave the task running.
        if let State::Running(task) = &self.state {
            task.abort();
        }
    }
}
