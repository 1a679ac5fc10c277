//! Signals that end the command, and what is done about them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use holdall::platform::exit::leave;
use signal_hook::consts::SIGXFSZ;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// A signal that asks a command to end, with its number.
type Ending = (fn() -> SignalKind, i32);

const ENDING: [Ending; 3] = [
    (SignalKind::hangup, 1),
    (SignalKind::interrupt, 2),
    (SignalKind::terminate, 15),
];

/// How long a command may take to put things away before it is ended all the same.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Yields the number of the first signal. A second one ends the process, or the end of `grace`.
///
/// The watch runs on the runtime's own thread: it works also while a plugin keeps the thread of the
/// command busy.
pub(crate) fn first(grace: Option<Duration>) -> io::Result<oneshot::Receiver<i32>> {
    first_of(&ENDING, grace)
}

/// As [`first`], for a server: it lives on without a terminal, and takes all the time it needs.
pub(crate) fn first_but_hangup() -> io::Result<oneshot::Receiver<i32>> {
    first_of(&ENDING[1..], None)
}

/// A write beyond RLIMIT_FSIZE fails with `EFBIG`, instead of ending the process by SIGXFSZ.
pub(crate) fn ignore_file_size() -> io::Result<()> {
    let seen = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGXFSZ, seen).map(drop)
}

/// Each SIGHUP, which no longer ends the process.
pub(crate) fn hangups() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

fn first_of(ending: &[Ending], grace: Option<Duration>) -> io::Result<oneshot::Receiver<i32>> {
    let mut signals = ending
        .iter()
        .map(|(kind, number)| Ok((signal(kind())?, *number)))
        .collect::<io::Result<Vec<_>>>()?;
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let number = next(&mut signals).await;
        let _ = tell.send(number);
        match grace {
            Some(grace) => drop(tokio::time::timeout(grace, next(&mut signals)).await),
            None => drop(next(&mut signals).await),
        }
        leave(128_u8.wrapping_add(number as u8));
    });
    Ok(told)
}

async fn next(signals: &mut [(Signal, i32)]) -> i32 {
    std::future::poll_fn(|cx| {
        for (signal, number) in signals.iter_mut() {
            if signal.poll_recv(cx).is_ready() {
                return std::task::Poll::Ready(*number);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
