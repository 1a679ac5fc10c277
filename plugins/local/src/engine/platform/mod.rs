//! What differs by operating system: the same names and the same meaning on each.
//!
//! Every name is one segment below an open directory, and no call follows a link. Errors are the numbers of
//! the system; [`super::fault`] gives them a meaning. `linux` calls the kernel, `windows` calls the native
//! interface below Win32, which takes a directory's handle and a name as Linux does.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(windows)]
pub(crate) use windows::*;

use super::stamp::Stamp;

/// Type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(windows, expect(dead_code, reason = "types that only Linux has"))]
pub(crate) enum FileType {
    RegularFile,
    Directory,
    /// A symbolic link; on Windows every reparse point.
    Symlink,
    Fifo,
    Socket,
    Device,
    /// The file system does not say.
    Unknown,
}

/// Facts about a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    pub(crate) kind: FileType,
    /// Bytes.
    pub(crate) size: u64,
    /// The modification time.
    pub(crate) modified: Stamp,
    /// The change time.
    pub(crate) changed: Stamp,
    /// Number of names; 0 once the file is removed.
    pub(crate) links: u64,
    /// Tells the files of a root apart: device and inode; on Windows 0 and the number of the file on its volume.
    pub(crate) identity: (u64, u64),
}

/// What is opened, for reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Open {
    /// A directory, and nothing else.
    Directory,
    /// An object, or whatever has its name; opening never waits.
    Object,
    /// A file of the store's own, for writing too.
    Writable,
}

/// How a lock file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockFile {
    /// It must exist.
    Existing,
    /// It is created when it is missing.
    Any,
    /// It must not exist.
    New,
}

/// Kind of a lock on a file, which the system releases with its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Shared,
    Exclusive,
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The name as it is in keys; not UTF-8 where no key has it.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: FileType,
}

/// Space of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) used: u64,
    pub(crate) free: u64,
    pub(crate) total: u64,
}

/// Repeats a call that a signal has interrupted.
pub(crate) fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
