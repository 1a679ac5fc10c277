//! Mapping the bytes of an image, and finding what the loader mapped.

#[cfg_attr(unix, path = "map/unix.rs")]
#[cfg_attr(windows, path = "map/windows.rs")]
mod system;

use super::image::Image;
use super::load_fault;
use crate::platform::signals::Handlers;
use crate::plugin::fault::{Code, Fault};
use holdall_plugin_api::abi::tables::PluginTable;
use std::error::Error as _;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::path::Path;
use system::Library;

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
        let library = unsafe { system::open(&name) };
        let library = library.map_err(|cause| {
            // The loader's own reason, with the file's name instead of the copy's.
            let reason = cause
                .source()
                .map_or(cause.to_string(), |why| why.to_string());
            let (copy, file) = (name.display().to_string(), path.display().to_string());
            refused(reason.replace(&copy, &file))
        })?;
        let handle = library.into_raw();
        // SAFETY: the handle that `into_raw` has just given.
        let library = ManuallyDrop::new(unsafe { Library::from_raw(handle) });
        // The loader has resolved every name by now.
        let code = system::executable_ranges(handle);
        let code = code.map_err(|cause| refused(cause.to_owned()))?;
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
