//! The loader of the system: `LoadLibraryExW`.

pub(super) use libloading::os::windows::Library;
use libloading::os::windows::{LOAD_LIBRARY_SEARCH_DEFAULT_DIRS, LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR};
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::path::Path;
use windows_sys::Win32::System::Memory::{
    MEMORY_BASIC_INFORMATION, PAGE_EXECUTE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE,
    PAGE_EXECUTE_WRITECOPY, VirtualQuery,
};

/// Maps a library. Libraries that it needs are looked for beside it and in the directories of the program and of
/// the system, never in the current directory or along `PATH`.
///
/// # Safety
///
/// Its constructors run.
pub(super) unsafe fn open(path: &Path) -> Result<Library, libloading::Error> {
    let flags = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS;
    // SAFETY: by the contract of this function.
    unsafe { Library::load_with_flags(path, flags) }
}

/// The addresses at which the loader put the code of this library, by the system's own records: the executable
/// pages of its image.
pub(super) fn executable_ranges(handle: isize) -> Result<Vec<Range<usize>>, &'static str> {
    const CODE: u32 =
        PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY;
    // A handle of a library is the address of its image.
    let base = handle.cast_unsigned();
    let (mut code, mut at) = (Vec::new(), base);
    loop {
        let mut pages = MaybeUninit::<MEMORY_BASIC_INFORMATION>::zeroed();
        let address = std::ptr::without_provenance::<c_void>(at);
        // SAFETY: any address may be asked for; the answer is written into room of its size.
        let asked = unsafe {
            let size = size_of::<MEMORY_BASIC_INFORMATION>();
            VirtualQuery(address, pages.as_mut_ptr(), size)
        };
        // SAFETY: zeroes are a valid answer.
        let pages = unsafe { pages.assume_init() };
        if asked == 0 || pages.AllocationBase.addr() != base || pages.RegionSize == 0 {
            break;
        }
        let start = pages.BaseAddress.addr();
        let end = start.saturating_add(pages.RegionSize);
        if pages.Protect & CODE != 0 {
            code.push(start..end);
        }
        at = end;
    }
    match code.is_empty() {
        true => Err("the loader mapped no code of the library"),
        false => Ok(code),
    }
}
