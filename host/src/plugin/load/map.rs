//! Mapping the very bytes that were inspected.
//!
//! They are copied into a sealed memory file, so that nobody can change them between the check and
//! the mapping, or under the running code.

use super::load_fault;
use crate::plugin::fault::{Code, Fault};
use holdall_plugin_api::abi::tables::PluginTable;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

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
    // Open for ever: the loader knows a library by its name, and a number that is used again would
    // name this one.
    _file: ManuallyDrop<Backing>,
}

#[derive(Debug)]
enum Backing {
    Sealed(#[expect(dead_code, reason = "held open")] OwnedFd),
    /// A private copy, where memory files may not be executed.
    Copied(#[expect(dead_code, reason = "held")] tempfile::TempDir),
}

pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

impl Mapping {
    /// Maps these bytes. From here on constructors of the library have run.
    pub(super) fn new(bytes: &[u8], sha256: [u8; 32], name: &str) -> Result<Mapping, Box<Fault>> {
        let refused = |what: &str, cause: &dyn std::fmt::Display| {
            let found = format!("{what}: {cause}");
            Box::new(load_fault(
                Code::MapFailed,
                "a library that the system's loader takes",
                found,
            ))
        };
        let hash: String = sha256[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let label = format!("holdall:{name}:{hash}");
        let (path, backing, marker) = match sealed(bytes, &label) {
            Ok(file) => {
                let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
                (path, Backing::Sealed(file), format!("/memfd:{label}"))
            }
            Err(Errno::ACCESS | Errno::PERM | Errno::NOSYS) => {
                let folder =
                    private_copy(bytes).map_err(|cause| refused("a private copy", &cause))?;
                let path = folder.path().join("plugin.so");
                let marker = path.display().to_string();
                (path, Backing::Copied(folder), marker)
            }
            Err(cause) => return Err(refused("a sealed memory file", &cause)),
        };
        // SAFETY: loading runs the library's constructors. Naming a plugin directory is the act of
        // trust (documented at `Builder::plugin_dir`); the bytes passed every check that can be made
        // without running them.
        let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|cause| refused("the system's loader", &cause))?;
        let (library, file) = (ManuallyDrop::new(library), ManuallyDrop::new(backing));
        // The loader has resolved every name by now; what it mapped of this file can be read back.
        let code =
            executable_ranges(&marker).map_err(|cause| refused("/proc/self/maps", &cause))?;
        Ok(Mapping {
            sha256,
            code,
            library,
            _file: file,
        })
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
        if !handshake_inside(&self.code, entry as usize) {
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
        handshake_inside(&self.code, address)
    }
}

fn handshake_inside(code: &[Range<usize>], address: usize) -> bool {
    code.iter().any(|range| range.contains(&address))
}

/// A memory file of these bytes that can never change again.
fn sealed(bytes: &[u8], label: &str) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // `EXEC` says what it is for where memory files are not executable by default; kernels before
    // 6.3 do not know it.
    let file = match memfd_create(label, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(label, flags)?,
        other => other?,
    };
    let mut file = File::from(file);
    file.write_all(bytes)
        .map_err(|cause| Errno::from_io_error(&cause).unwrap_or(Errno::IO))?;
    let file = OwnedFd::from(file);
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file)
}

/// A copy in a folder that only this user can enter.
fn private_copy(bytes: &[u8]) -> std::io::Result<tempfile::TempDir> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let folder = tempfile::Builder::new()
        .prefix("holdall-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()?;
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o500)
        .open(folder.path().join("plugin.so"))?;
    file.write_all(bytes)?;
    Ok(folder)
}

/// Where the loader put the code of the file with this name.
fn executable_ranges(marker: &str) -> std::io::Result<Vec<Range<usize>>> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    Ok(maps
        .lines()
        .filter(|line| line.contains(marker))
        .filter_map(executable_range)
        .collect())
}

/// `7f00-7f10 r-xp 00000000 00:01 1234 /name` as a range, when it is executable.
fn executable_range(line: &str) -> Option<Range<usize>> {
    let (addresses, rest) = line.split_once(' ')?;
    if rest.as_bytes().get(2) != Some(&b'x') {
        return None;
    }
    let (start, end) = addresses.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_cannot_be_changed() {
        let file = sealed(b"bytes", "holdall:test").unwrap();
        assert!(
            File::from(file.try_clone().unwrap())
                .write_all(b"more")
                .is_err()
        );
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        assert!(
            File::options()
                .write(true)
                .open(&path)
                .and_then(|mut f| f.write_all(b"x"))
                .is_err()
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"bytes");
    }

    #[test]
    fn a_private_copy_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = private_copy(b"bytes").unwrap();
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(mode(&folder.path().join("plugin.so")), 0o500);
    }

    #[test]
    fn maps_are_read() {
        let line = "7f00-7f10 r-xp 00000000 00:01 12 /memfd:holdall:x (deleted)";
        assert_eq!(executable_range(line), Some(0x7f00..0x7f10));
        assert_eq!(executable_range(&line.replace("r-xp", "rw-p")), None);
    }
}
