//! Signals of the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGXFSZ};
use signal_hook::iterator;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a command to end. The first is that of a terminal that has gone.
pub(super) const ENDING: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

/// Signals that no longer end the process.
pub(super) struct Signals(iterator::Signals);

impl Signals {
    pub(super) fn new(numbers: &[i32]) -> io::Result<Self> {
        iterator::Signals::new(numbers).map(Self)
    }

    /// Calls `take` with the number of each, until it answers false.
    pub(super) fn each(&mut self, mut take: impl FnMut(i32) -> bool) {
        for number in self.0.forever() {
            if !take(number) {
                return;
            }
        }
    }
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

/// Ends the process as other commands end when their reader has gone; returns where that fails.
pub(crate) fn end_by_broken_pipe() {
    let _ = signal_hook::low_level::emulate_default_handler(SIGPIPE);
}
