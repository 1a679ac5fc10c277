//! Events of the console, and of the end of the session, under the numbers of signals.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::windows::{
    CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown, ctrl_break, ctrl_c, ctrl_close,
    ctrl_logoff, ctrl_shutdown,
};

/// A console that is closed.
const HANGUP: i32 = 1;
/// Ctrl-C and Ctrl-Break.
const INTERRUPT: i32 = 2;
/// The end of the session or of the system; a service is stopped by it, too.
const TERMINATE: i32 = 15;

/// The events that ask a command to end. The first is that of a console that has gone.
pub(super) const ENDING: [i32; 3] = [HANGUP, INTERRUPT, TERMINATE];

/// Events that no longer end the process at once. Windows ends it some five seconds after all but Ctrl-C and
/// Ctrl-Break.
pub(super) struct Signals {
    runtime: Runtime,
    c: CtrlC,
    stop: CtrlBreak,
    close: Option<CtrlClose>,
    logoff: CtrlLogoff,
    shutdown: CtrlShutdown,
}

impl Signals {
    pub(super) fn new(numbers: &[i32]) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().build()?;
        // Where it is not asked for, the system's own handler ends the process at once.
        let close = match numbers.contains(&HANGUP) {
            true => Some(ctrl_close()?),
            false => None,
        };
        Ok(Self {
            runtime,
            c: ctrl_c()?,
            stop: ctrl_break()?,
            close,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Calls `take` with the number of each, until it answers false.
    pub(super) fn each(&mut self, mut take: impl FnMut(i32) -> bool) {
        let Self {
            runtime,
            c,
            stop,
            close,
            logoff,
            shutdown,
        } = self;
        loop {
            let number = runtime.block_on(async {
                let closed = async {
                    match close {
                        Some(close) => close.recv().await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    Some(()) = c.recv() => INTERRUPT,
                    Some(()) = stop.recv() => INTERRUPT,
                    Some(()) = closed => HANGUP,
                    Some(()) = logoff.recv() => TERMINATE,
                    Some(()) = shutdown.recv() => TERMINATE,
                    else => std::future::pending().await,
                }
            });
            if !take(number) {
                return;
            }
        }
    }
}

/// Does nothing: Windows has no limit of file sizes.
pub(crate) fn ignore_file_size() -> io::Result<()> {
    Ok(())
}

/// Events that ask a server to read its configuration again: none.
pub(crate) struct Hangups;

impl Hangups {
    /// Never answers.
    pub(crate) async fn recv(&mut self) -> Option<()> {
        std::future::pending().await
    }
}

/// Windows has no SIGHUP: a server reads its configuration at its start only.
pub(crate) fn hangups() -> io::Result<Hangups> {
    Ok(Hangups)
}

/// Returns: Windows ends no process because a reader has gone.
pub(crate) fn end_by_broken_pipe() {}
