//! The shared mapping of crumbs, and the filter of exceptions that nothing handles.
//!
//! `abort` and the fail-fast of Rust end the process without a call of the filter: they leave no note.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::ptr;
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::CloseHandle;
use windows_sys::Win32::System::Diagnostics::Debug::{
    EXCEPTION_CONTINUE_SEARCH, EXCEPTION_POINTERS, LPTOP_LEVEL_EXCEPTION_FILTER,
    SetUnhandledExceptionFilter,
};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, FILE_MAP_ALL_ACCESS, MapViewOfFile, PAGE_READWRITE,
};

/// Maps the first `size` bytes of a file for the life of the process. What is written there is the file's, also
/// when the process crashes.
pub(super) fn map(file: &File, size: usize) -> io::Result<*mut c_void> {
    let handle = file.as_raw_handle();
    // SAFETY: an open file; no attributes, no name, and the size of the file.
    let mapping =
        unsafe { CreateFileMappingW(handle, ptr::null(), PAGE_READWRITE, 0, 0, ptr::null()) };
    if mapping.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a mapping that is open, of at least this size; the system chooses the address.
    let view = unsafe { MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, size) };
    let cause = io::Error::last_os_error();
    // SAFETY: opened above; the view keeps what it needs.
    unsafe { CloseHandle(mapping) };
    match view.Value.is_null() {
        true => Err(cause),
        false => Ok(view.Value),
    }
}

/// The filter of before.
static BEFORE: OnceLock<LPTOP_LEVEL_EXCEPTION_FILTER> = OnceLock::new();

/// Installs the filter. Called once.
pub(super) fn install() {
    // SAFETY: the filter uses atomics only; the one before is called after it.
    let before = unsafe { SetUnhandledExceptionFilter(Some(on_exception)) };
    let _ = BEFORE.set(before);
}

unsafe extern "system" fn on_exception(about: *const EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system passes a record that is valid for the call.
    let record = unsafe { about.as_ref() }.and_then(|about| {
        // SAFETY: as above.
        unsafe { about.ExceptionRecord.as_ref() }
    });
    if let Some(record) = record {
        let address = record.ExceptionAddress.addr() as u64;
        super::note(record.ExceptionCode.cast_unsigned(), address);
    }
    match BEFORE.get().copied().flatten() {
        // SAFETY: a filter that the system has called until now, with the record of this call.
        Some(before) => unsafe { before(about) },
        None => EXCEPTION_CONTINUE_SEARCH,
    }
}
