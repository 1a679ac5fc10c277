//! The end of the process, and its last words.

use libc::c_int;

/// Ends the process without exit handlers and static destructors.
pub(super) fn end(code: c_int) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Writes to standard error without its lock, which the calling thread may hold. A failure is ignored: there is
/// nowhere to report it.
pub(crate) fn say(text: &[u8]) {
    let _ = rustix::io::write(rustix::stdio::stderr(), text);
}
