//! Mapping the bytes of an image, and finding what the loader mapped.

use super::image::Image;
use super::load_fault;
use crate::platform::signals::Handlers;
use crate::plugin::fault::{Code, Fault};
use holdall_plugin_api::abi::tables::PluginTable;
#[cfg(not(target_env = "musl"))]
use libc::{RTLD_DI_LINKMAP, dlinfo};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
#[cfg(target_env = "musl")]
use musl::{RTLD_DI_LINKMAP, dlinfo};
use std::error::Error as _;
use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::path::Path;

/// The shape of the exported symbol.
pub(super) type Entry = extern "C" fn() -> *const PluginTable;

/// A mapped library.
#[derive(Debug)]
pub(super) struct Mapping {
    sha256: [u8; 32],
    /// Executable addresses of this file.
    code: Vec<Range<usize>>,
    // Never unmapped: threads, thread-local destructors and wakers of the plugin may outlive every
    // handle, and unmapping code that still runs is a crash.
    library: ManuallyDrop<Library>,
    // Open for the life of the process: the loader knows a library by its name, and a number that is
    // used again would name this one.
    _image: ManuallyDrop<Image>,
    /// The signal handlers before its code ran.
    handlers: Handlers,
}

impl Mapping {
    /// Maps these bytes, read from `path`. From here on constructors of the library have run.
    pub(super) fn new(mut image: Image, path: &Path) -> Result<Mapping, Box<Fault>> {
        let refused = |cause: String| {
            let expected = "a library that the system's loader takes";
            Box::new(load_fault(Code::MapFailed, expected, cause))
        };
        let handlers = Handlers::save();
        let name = image.path();
        // SAFETY: loading runs the library's constructors. Naming a plugin directory is the act of
        // trust (documented at `Builder::plugin_dir`); the bytes passed every check that can be made
        // without running them.
        let library = unsafe { Library::open(Some(&name), RTLD_NOW | RTLD_LOCAL) };
        let handle = library.map_err(|cause| {
            // The loader's own reason, with the file's name instead of the copy's.
            let reason = cause
                .source()
                .map_or(cause.to_string(), |why| why.to_string());
            let (copy, file) = (name.display().to_string(), path.display().to_string());
            refused(reason.replace(&copy, &file))
        })?;
        let handle = handle.into_raw();
        // SAFETY: the handle that `into_raw` has just given.
        let library = ManuallyDrop::new(unsafe { Library::from_raw(handle) });
        // The loader has resolved every name by now.
        let code = executable_ranges(handle).map_err(|cause| refused(cause.to_owned()))?;
        image.remove_copy();
        Ok(Mapping {
            sha256: image.sha256(),
            code,
            library,
            _image: ManuallyDrop::new(image),
            handlers,
        })
    }

    /// Puts back signal handlers that differ from those before its constructors ran. Returns the
    /// names of the signals.
    pub(super) fn restore_signals(&self) -> Vec<&'static str> {
        self.handlers.restore()
    }

    /// As [`Mapping::restore_signals`], for handlers that are code of this library.
    pub(super) fn restore_own_signals(&self) -> Vec<&'static str> {
        self.handlers.restore_from(&self.code)
    }

    /// Addresses of its code.
    pub(super) fn code(&self) -> &[Range<usize>] {
        &self.code
    }

    pub(super) fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The entry function, which must lie in this very file and not in a library it needs.
    pub(super) fn entry(&self, symbol: &str) -> Result<Entry, Box<Fault>> {
        // SAFETY: the symbol's type is that of the ABI's entry; a plugin that lies about it is a
        // matter of trust, like all of its code.
        let entry = unsafe { self.library.get::<Entry>(symbol.as_bytes()) }.map_err(|cause| {
            Box::new(load_fault(
                Code::SymbolMissing,
                format!("the symbol {symbol}"),
                cause.to_string(),
            ))
        })?;
        let entry = *entry;
        if !is_inside(&self.code, entry as usize) {
            let found = "it resolves to code outside of the file".to_owned();
            return Err(Box::new(load_fault(
                Code::EntryOutsideFile,
                format!("{symbol} inside the file"),
                found,
            )));
        }
        Ok(entry)
    }
}

impl super::handshake::Code for Mapping {
    fn contains(&self, address: usize) -> bool {
        is_inside(&self.code, address)
    }
}

fn is_inside(code: &[Range<usize>], address: usize) -> bool {
    code.iter().any(|range| range.contains(&address))
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
fn executable_ranges(handle: *mut c_void) -> Result<Vec<Range<usize>>, &'static str> {
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
