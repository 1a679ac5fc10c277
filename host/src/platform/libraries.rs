//! Whether the loader of Windows would find a library.

use std::ffi::OsStr;
use std::os::windows::ffi::OsStrExt;
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::FreeLibrary;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, GetModuleHandleExW, LOAD_LIBRARY_AS_DATAFILE,
    LOAD_LIBRARY_SEARCH_DEFAULT_DIRS, LoadLibraryExW,
};

/// Whether a library of this name is loaded, or lies where the loader looks: in the directories of the program and of
/// the system, and in those that the program has added. It is mapped as data for that, and nothing of it is run.
pub(crate) fn can_be_found(name: &str) -> bool {
    let name: Vec<u16> = OsStr::new(name).encode_wide().chain([0]).collect();
    let mut module = null_mut();
    // SAFETY: a text that ends in zero, and room for the address, which is not kept.
    let loaded = unsafe {
        let how = GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
        GetModuleHandleExW(how, name.as_ptr(), &mut module)
    };
    if loaded != 0 {
        return true;
    }
    let how = LOAD_LIBRARY_AS_DATAFILE | LOAD_LIBRARY_SEARCH_DEFAULT_DIRS;
    // SAFETY: a text that ends in zero; as data, the library runs nothing.
    let module = unsafe { LoadLibraryExW(name.as_ptr(), null_mut(), how) };
    if module.is_null() {
        return false;
    }
    // SAFETY: the handle is that of the call above, and nothing keeps it.
    unsafe { FreeLibrary(module) };
    true
}
