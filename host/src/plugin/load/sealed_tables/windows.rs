//! Pages of memory.

use std::ffi::c_void;
use std::io;
use std::ptr::{self, NonNull};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RESERVE, PAGE_READONLY, PAGE_READWRITE, VirtualAlloc, VirtualProtect,
};

/// Maps `size` bytes of zeroes that can be written.
pub(super) fn page(size: usize) -> io::Result<NonNull<c_void>> {
    // SAFETY: a new allocation, where the system chooses.
    let page = unsafe { VirtualAlloc(ptr::null(), size, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE) };
    NonNull::new(page).ok_or_else(io::Error::last_os_error)
}

/// Makes the page readable only.
///
/// # Safety
///
/// `page` is a whole allocation of [`page`], of this size, and nothing writes to it any more.
pub(super) unsafe fn seal(page: NonNull<c_void>, size: usize) -> io::Result<()> {
    let mut before = 0;
    // SAFETY: by the contract of this function.
    match unsafe { VirtualProtect(page.as_ptr(), size, PAGE_READONLY, &mut before) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
