//! The end of the process, and its last words.

use libc::c_int;
use std::fs::File;
use std::io::{self, Write};
use std::os::windows::io::AsHandle;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, TerminateProcess};

/// Ends the process without exit handlers and without the code that libraries run when they are detached.
pub(super) fn end(code: c_int) -> ! {
    // SAFETY: no preconditions; the handle is a constant.
    let this = unsafe { GetCurrentProcess() };
    // SAFETY: the handle of this process, with every right.
    unsafe { TerminateProcess(this, code.cast_unsigned()) };
    // Not reached: it does not return for the calling process.
    std::process::abort()
}

/// Writes to standard error without its lock, which the calling thread may hold. A failure is ignored: there is
/// nowhere to report it.
pub(crate) fn say(text: &[u8]) {
    let own = io::stderr()
        .as_handle()
        .try_clone_to_owned()
        .map(File::from);
    let _ = own.and_then(|mut file| file.write_all(text));
}
