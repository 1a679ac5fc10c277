//! Signals that end the command, and what is done about them.

#[cfg_attr(unix, path = "signals/unix.rs")]
#[cfg_attr(windows, path = "signals/windows.rs")]
mod system;

pub(crate) use system::{end_by_broken_pipe, hangups, ignore_file_size};

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use holdall::platform::exit::leave_at_once;
use holdall::platform::signals::Handlers;
use tokio::sync::oneshot;

/// How long a command may take to put things away before it is ended all the same.
const PUTTING_AWAY: Duration = Duration::from_secs(5);
/// What a server has for that after its drain.
const AFTER_THE_DRAIN: Duration = Duration::from_millis(1500);
/// How often the handlers are looked after.
const KEEP: Duration = Duration::from_millis(500);

/// How long the process may live on after the first signal.
#[derive(Clone, Debug)]
pub(crate) struct Grace(Arc<AtomicU64>);

impl Grace {
    /// For a server: its drain, and what plugins need to end.
    pub(crate) fn after_drain(drain: Duration) -> Self {
        let grace = Self(Arc::default());
        grace.set_drain(drain);
        grace
    }

    /// Takes another drain into account.
    pub(crate) fn set_drain(&self, drain: Duration) {
        let grace = drain.saturating_add(AFTER_THE_DRAIN).as_millis();
        let grace = u64::try_from(grace).unwrap_or(u64::MAX);
        self.0.store(grace, Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Yields the number of the first signal. A second one ends the process, or the end of the grace.
///
/// Signals are read by threads of their own, which run nothing else: they work while plugins keep every
/// thread of the runtime busy, or hold the lock of the system's loader.
pub(crate) fn first() -> io::Result<oneshot::Receiver<i32>> {
    let grace = u64::try_from(PUTTING_AWAY.as_millis()).unwrap_or(u64::MAX);
    first_of(&system::ENDING, Grace(Arc::new(AtomicU64::new(grace))))
}

/// As [`first`], for a server: it lives on without a terminal.
pub(crate) fn first_but_hangup(grace: Grace) -> io::Result<oneshot::Receiver<i32>> {
    first_of(&system::ENDING[1..], grace)
}

fn first_of(ending: &'static [i32], grace: Grace) -> io::Result<oneshot::Receiver<i32>> {
    let mut signals = system::Signals::new(ending)?;
    let handlers = Handlers::save();
    let (arrives, arrived) = channel();
    let (tell, told) = oneshot::channel();
    let named = |name: &str| thread::Builder::new().name(name.to_owned());
    named("holdall-signals").spawn(move || {
        signals.each(|number| arrives.send(number).is_ok());
    })?;
    named("holdall-ending").spawn(move || end(ending, &handlers, &arrived, tell, &grace))?;
    Ok(told)
}

fn end(
    ending: &[i32],
    handlers: &Handlers,
    arrived: &Receiver<i32>,
    tell: oneshot::Sender<i32>,
    grace: &Grace,
) {
    // A plugin may set a handler of its own, or ignore a signal, at any time.
    let kept = |until: Option<Instant>| loop {
        let left = until.map_or(KEEP, |until| {
            until.saturating_duration_since(Instant::now()).min(KEEP)
        });
        match arrived.recv_timeout(left) {
            Err(RecvTimeoutError::Timeout) if until.is_none_or(|until| Instant::now() < until) => {
                let taken = handlers.restore_only(ending);
                if !taken.is_empty() {
                    let signals = taken.join(", ");
                    tracing::warn!(
                        target: "holdall",
                        signals,
                        "a plugin replaced signal handlers; the program's were put back"
                    );
                }
            }
            other => return other.ok(),
        }
    };
    let Some(number) = kept(None) else { return };
    let _ = tell.send(number);
    let _second = kept(Some(Instant::now() + grace.get()));
    leave_at_once(128_u8.wrapping_add(number as u8));
}
