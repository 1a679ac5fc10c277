//! The end of a process that has mapped plugins.
//!
//! Plugins are never unmapped, and their exit handlers and static destructors must not decide how a
//! program ends: a handler may sleep or abort. A program therefore ends by [`leave`], and [`guard`]
//! catches a plugin that calls `exit` itself.
#![allow(unsafe_code, reason = "`atexit` of the C library has no safe binding")]

use libc::c_int;
use std::io::{self, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};

/// Exit code of a process that something else than [`leave`] ends.
static GUARD: AtomicI32 = AtomicI32::new(0);

/// Ends the process with `code` when anything but [`leave`] ends it by `exit`, a return from `main`
/// included.
///
/// Call it before any plugin is mapped: exit handlers run in the reverse order of their registration,
/// so that the guard runs last.
pub fn guard(code: u8) {
    static REGISTERED: Once = Once::new();
    GUARD.store(code.into(), Ordering::SeqCst);
    REGISTERED.call_once(|| {
        // SAFETY: `atexit` takes any function without arguments; this one never unwinds.
        let _ = unsafe { libc::atexit(at_exit) };
    });
}

extern "C" fn at_exit() {
    // Not `eprintln!`: the thread that called `exit` may hold its lock.
    let text = b"holdall: the process was ended by a call of exit() in a plugin [plugin_fault]\n";
    // With standard error closed the code still says it.
    super::process::say(text);
    leave_now(GUARD.load(Ordering::SeqCst));
}

/// Flushes standard output and ends the process, without exit handlers and static destructors.
pub fn leave(code: u8) -> ! {
    // Nothing can be done about an output that fails here; writers that matter flush and look.
    let _ = io::stdout().flush();
    leave_now(code.into())
}

/// As [`leave`], without waiting for the lock of standard output: a thread that a plugin holds up may
/// have it.
pub fn leave_at_once(code: u8) -> ! {
    leave_now(code.into())
}

fn leave_now(code: c_int) -> ! {
    super::crumbs::end();
    super::process::end(code)
}
