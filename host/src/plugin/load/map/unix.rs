//! The loader of the system: `dlopen`.

#[cfg(not(target_env = "musl"))]
use libc::{RTLD_DI_LINKMAP, dlinfo};
pub(super) use libloading::os::unix::Library;
use libloading::os::unix::{RTLD_LOCAL, RTLD_NOW};
#[cfg(target_env = "musl")]
use musl::{RTLD_DI_LINKMAP, dlinfo};
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::path::Path;

/// Maps a library with every name resolved, and its own names hidden from others.
///
/// # Safety
///
/// Its constructors run.
pub(super) unsafe fn open(path: &Path) -> Result<Library, libloading::Error> {
    // SAFETY: by the contract of this function.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
}

/// The crate `libc` has these for glibc only (`dlfcn.h`).
#[cfg(target_env = "musl")]
mod musl {
    use super::{c_int, c_void};

    pub(super) const RTLD_DI_LINKMAP: c_int = 2;

    unsafe extern "C" {
        pub(super) fn dlinfo(handle: *mut c_void, request: c_int, info: *mut c_void) -> c_int;
    }
}

/// The start of the loader's record of a library (`link.h`).
#[repr(C)]
struct LinkMap {
    base: usize,
    name: *const std::ffi::c_char,
    dynamic: *const c_void,
}

/// Which library is looked for, and what was found of it.
struct Search {
    base: usize,
    dynamic: usize,
    code: Vec<Range<usize>>,
}

/// The addresses at which the loader put the code of this library, by the loader's own records:
/// names and paths play no part.
pub(super) fn executable_ranges(handle: *mut c_void) -> Result<Vec<Range<usize>>, &'static str> {
    let mut map: *const LinkMap = std::ptr::null();
    // SAFETY: the handle is that of an open library, and the record's address is written to `map`.
    let asked = unsafe { dlinfo(handle, RTLD_DI_LINKMAP, (&raw mut map).cast()) };
    // SAFETY: on success it leads to the record of an open library, which lives as long as that.
    let Some(map) = (unsafe { map.as_ref() }).filter(|_| asked == 0) else {
        return Err("the loader has no record of the library");
    };
    let mut search = Search {
        base: map.base,
        dynamic: map.dynamic.addr(),
        code: Vec::new(),
    };
    // SAFETY: the callback gets the address of `search`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    if search.code.is_empty() {
        return Err("the loader mapped no code of the library");
    }
    Ok(search.code)
}

unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    search: *mut c_void,
) -> c_int {
    // SAFETY: `executable_ranges` passes its own `Search`, which nothing else uses meanwhile.
    let search = unsafe { &mut *search.cast::<Search>() };
    // SAFETY: the loader passes a record that is valid for the call.
    let info = unsafe { &*info };
    if info.dlpi_addr as usize != search.base || info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the record says how many headers there are.
    let headers =
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let at = |header: &libc::Elf64_Phdr| search.base.wrapping_add(header.p_vaddr as usize);
    let is_it = |header: &libc::Elf64_Phdr| {
        header.p_type == libc::PT_DYNAMIC && at(header) == search.dynamic
    };
    if !headers.iter().any(is_it) {
        return 0;
    }
    search.code = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0)
        .map(|header| at(header)..at(header).wrapping_add(header.p_memsz as usize))
        .collect();
    1
}
