//! The shared mapping of crumbs, and handlers of the signals that a fault raises.

use libc::{c_int, c_void};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use std::cell::UnsafeCell;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Signals that a fault raises.
const SIGNALS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGABRT];

/// Maps the first `size` bytes of a file for the life of the process. What is written there is the file's, also
/// when the process crashes.
pub(super) fn map(file: &File, size: usize) -> io::Result<*mut c_void> {
    // SAFETY: a new mapping, where the system chooses; nothing else is at the address.
    let address = unsafe {
        mmap(
            ptr::null_mut(),
            size,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            file,
            0,
        )
    }?;
    Ok(address)
}

/// Actions of the signals before.
struct Before(UnsafeCell<[MaybeUninit<libc::sigaction>; SIGNALS.len()]>);

// SAFETY: written whole by `install`, once and before its first handler is in place; read by handlers only.
unsafe impl Sync for Before {}

static BEFORE: Before = Before(UnsafeCell::new(
    [const { MaybeUninit::uninit() }; SIGNALS.len()],
));

/// Installs the handlers. Called once.
pub(super) fn install() {
    for (at, signal) in SIGNALS.into_iter().enumerate() {
        // SAFETY: called once, under the lock of `begin`, before any handler that reads it is installed.
        let all = unsafe { &mut *BEFORE.0.get() };
        // Zeroes are the default action, should there be no answer.
        all[at] = MaybeUninit::zeroed();
        // SAFETY: no new action is given, and the old one is written into room for it.
        unsafe { libc::sigaction(signal, ptr::null(), all[at].as_mut_ptr()) };
    }
    // All of them are kept by now: a handler may run as soon as the first is installed.
    for signal in SIGNALS {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
        // SAFETY: zeroes are a valid `sigaction`; its fields are set in room that is ours.
        let action = unsafe {
            let action = action.assume_init_mut();
            action.sa_sigaction = handler as libc::sighandler_t;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            action
        };
        // SAFETY: the handler uses atomics and functions that are safe in signal handlers only.
        unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
    }
}

/// Address of the instruction that a signal has interrupted.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn interrupted(context: &libc::ucontext_t) -> u64 {
    context.uc_mcontext.gregs[libc::REG_RIP as usize].cast_unsigned()
}

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
fn interrupted(context: &libc::ucontext_t) -> u64 {
    context.uc_mcontext.pc
}

/// Of other processors it is not known, and no code is there.
#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
fn interrupted(_: &libc::ucontext_t) -> u64 {
    0
}

fn address(context: *mut c_void) -> u64 {
    // SAFETY: the kernel passes the context of the thread to a handler with `SA_SIGINFO`.
    let context = unsafe { context.cast::<libc::ucontext_t>().as_ref() };
    context.map_or(0, interrupted)
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    super::note(signal.unsigned_abs(), address(context));
    let Some(at) = SIGNALS.iter().position(|known| *known == signal) else {
        return;
    };
    // SAFETY: written before this handler was installed, and not since.
    let all = unsafe { &*BEFORE.0.get() };
    // SAFETY: as above: each of them was.
    let before = unsafe { all[at].assume_init_ref() };
    match before.sa_sigaction {
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: both are safe in a signal handler. The raised signal is delivered when this one returns.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
            // SAFETY: as above.
            unsafe { libc::raise(signal) };
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            // SAFETY: the address of a function of this type, as the flag says.
            let handler =
                unsafe { std::mem::transmute::<*const c_void, Handler>(handler as *const c_void) };
            handler(signal, info, context);
        }
        handler => {
            type Handler = extern "C" fn(c_int);
            // SAFETY: the address of a function of this type, without the flag.
            let handler =
                unsafe { std::mem::transmute::<*const c_void, Handler>(handler as *const c_void) };
            handler(signal);
        }
    }
}
