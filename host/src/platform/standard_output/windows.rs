//! The standard output of the program, kept from plugins.

use std::fs::File;
use std::io;
use std::os::windows::io::AsHandle;
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle,
};

/// Keeps standard output for the program: what a plugin prints goes to standard error from now on. Returns the
/// standard output that the program was started with.
///
/// A plugin with a C library of its own that has asked for the handle already keeps what it has.
///
/// # Errors
///
/// What the operating system says.
pub fn keep() -> io::Result<File> {
    let own = io::stdout().as_handle().try_clone_to_owned();
    let own = match own {
        Ok(own) => File::from(own),
        // Closed by the caller: what is written fails, as it would on the closed handle.
        Err(_) => File::open("NUL")?,
    };
    // SAFETY: no preconditions.
    let errors = unsafe { GetStdHandle(STD_ERROR_HANDLE) };
    // SAFETY: a handle that stays open, or none.
    if unsafe { SetStdHandle(STD_OUTPUT_HANDLE, errors) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // The C library has numbers of its own; the program and a plugin may share it.
    // SAFETY: numbers; a wrong one is an error, and means that nothing is written there.
    unsafe { libc::dup2(2, 1) };
    Ok(own)
}
