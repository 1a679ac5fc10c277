//! Pages of memory.

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use std::ffi::c_void;
use std::io;
use std::ptr::{self, NonNull};

/// Maps `size` bytes of zeroes that can be written.
pub(super) fn page(size: usize) -> io::Result<NonNull<c_void>> {
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: a new mapping, where the system chooses.
    let page = unsafe { mmap_anonymous(ptr::null_mut(), size, protection, flags) }?;
    NonNull::new(page).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// Makes the page readable only.
///
/// # Safety
///
/// `page` is a whole mapping of [`page`], of this size, and nothing writes to it any more.
pub(super) unsafe fn seal(page: NonNull<c_void>, size: usize) -> io::Result<()> {
    // SAFETY: by the contract of this function.
    unsafe { mprotect(page.as_ptr(), size, MprotectFlags::READ) }?;
    Ok(())
}
