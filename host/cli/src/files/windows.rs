//! Files, where systems differ.

use std::fs::{File, FileType, Metadata};
use std::io;
use std::os::windows::fs::MetadataExt;
use std::os::windows::io::AsHandle;
use std::path::{Path, PathBuf};

/// Says which file it is: its path without links.
pub(crate) type Identity = PathBuf;

/// The identity of what a path leads to.
pub(crate) fn identity(path: &Path) -> io::Result<Identity> {
    path.canonicalize()
}

/// Changes with the file and its content.
pub(crate) fn version(about: &Metadata) -> (u64, i64, i64) {
    (
        about.creation_time(),
        about.last_write_time().cast_signed(),
        about.file_size().cast_signed(),
    )
}

/// Whether it takes bytes and keeps nothing: devices and pipes have paths of their own on Windows, and no
/// kind.
pub(crate) fn is_stream(_kind: FileType) -> bool {
    false
}

/// Changes nothing: Windows has no permission bits.
pub(crate) fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Does nothing: NTFS keeps the order of renames in its journal, and a directory cannot be flushed.
pub(crate) fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Standard input without a buffer, which would cost a copy.
pub(crate) fn standard_input() -> io::Result<File> {
    io::stdin().as_handle().try_clone_to_owned().map(File::from)
}

/// Does nothing: the hint is given when a file is opened.
pub(crate) fn read_ahead(_file: &File) {}
