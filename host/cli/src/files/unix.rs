//! Files, where systems differ.

use std::fs::{File, FileType, Metadata, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// Says which file it is, whatever its name.
pub(crate) type Identity = (u64, u64);

/// The identity of what a path leads to.
pub(crate) fn identity(path: &Path) -> io::Result<Identity> {
    let about = std::fs::metadata(path)?;
    Ok((about.dev(), about.ino()))
}

/// Changes with the file and its content.
pub(crate) fn version(about: &Metadata) -> (u64, i64, i64) {
    (about.ino(), about.ctime(), about.ctime_nsec())
}

/// Whether it takes bytes and keeps nothing.
pub(crate) fn is_stream(kind: FileType) -> bool {
    kind.is_char_device() || kind.is_block_device() || kind.is_fifo()
}

/// Sets the permission bits.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode))
}

/// Makes renames in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Standard input without a buffer, which would cost a copy.
pub(crate) fn standard_input() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

/// The file is read from its start to its end. Only a hint: whatever it answers, the bytes are the same.
pub(crate) fn read_ahead(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
}
