//! Signal handlers of the process, which foreign code may replace.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;

/// The signals whose handlers are the program's: those that end it, wake it or stop it. Handlers of
/// faults (SIGSEGV and the like) and of timers of a language's runtime stay with the code that set them.
const SIGNALS: [(libc::c_int, &str); 11] = [
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGCHLD, "SIGCHLD"),
    (libc::SIGTSTP, "SIGTSTP"),
    (libc::SIGXFSZ, "SIGXFSZ"),
];

/// `SA_RESTORER`: set by the C library in every action that it passes on.
const RESTORER: libc::c_int = 0x0400_0000;

/// The handlers of one moment.
#[derive(Clone)]
pub struct Handlers([Option<libc::sigaction>; SIGNALS.len()]);

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handlers").finish_non_exhaustive()
    }
}

impl Handlers {
    /// The handlers of now.
    #[must_use]
    pub fn save() -> Self {
        Self(SIGNALS.map(|(signal, _)| current(signal)))
    }

    /// Puts back every handler that differs. Returns the names of these signals.
    pub(crate) fn restore(&self) -> Vec<&'static str> {
        self.restore_where(|_, _| true)
    }

    /// Puts back the handlers of these signals that differ. Returns the names of the signals.
    pub fn restore_only(&self, signals: &[libc::c_int]) -> Vec<&'static str> {
        self.restore_where(|signal, _| signals.contains(&signal))
    }

    /// Puts back the handlers that are functions in `code` now. Returns the names of these signals.
    pub(crate) fn restore_from(&self, code: &[Range<usize>]) -> Vec<&'static str> {
        self.restore_where(|_, handler| code.iter().any(|range| range.contains(&handler)))
    }

    fn restore_where(&self, replaced: impl Fn(libc::c_int, usize) -> bool) -> Vec<&'static str> {
        let mut restored = Vec::new();
        for ((signal, name), saved) in SIGNALS.iter().zip(&self.0) {
            let (Some(saved), Some(now)) = (saved, current(*signal)) else {
                continue;
            };
            let flags = (now.sa_flags ^ saved.sa_flags) & !RESTORER;
            let same = now.sa_sigaction == saved.sa_sigaction && flags == 0;
            if same || !replaced(*signal, now.sa_sigaction) {
                continue;
            }
            // SAFETY: `saved` was filled by the kernel for this signal; the old action is not asked
            // for.
            if unsafe { libc::sigaction(*signal, saved, ptr::null_mut()) } == 0 {
                restored.push(*name);
            }
        }
        restored
    }
}

fn current(signal: libc::c_int) -> Option<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is given, and the old one is written into room for it.
    let asked = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeroes are a valid `sigaction` (no handler, an empty mask), and the call filled it.
    (asked == 0).then(|| unsafe { action.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn foreign(_: libc::c_int) {}

    fn take(signal: libc::c_int, handler: usize) {
        let mut action = current(signal).unwrap();
        action.sa_sigaction = handler;
        // SAFETY: a handler that does nothing, or SIG_IGN.
        let set = unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
        assert_eq!(set, 0);
    }

    #[test]
    fn replaced_handlers_are_put_back_and_named() {
        let saved = Handlers::save();
        take(libc::SIGUSR2, libc::SIG_IGN);
        assert_eq!(saved.restore(), ["SIGUSR2"]);
        assert_eq!(saved.restore(), Vec::<&str>::new());
        // Only what points into the given code is put back.
        let address = foreign as extern "C" fn(libc::c_int) as usize;
        take(libc::SIGUSR2, address);
        assert_eq!(
            saved.restore_from(std::slice::from_ref(&(0..1))),
            Vec::<&str>::new()
        );
        let code = address..address + 1;
        assert_eq!(saved.restore_from(std::slice::from_ref(&code)), ["SIGUSR2"]);
        take(libc::SIGUSR2, address);
        assert_eq!(saved.restore_only(&[libc::SIGTERM]), Vec::<&str>::new());
        assert_eq!(saved.restore_only(&[libc::SIGUSR2]), ["SIGUSR2"]);
        let now = current(libc::SIGUSR2).unwrap().sa_sigaction;
        assert_ne!(now, address);
    }
}
