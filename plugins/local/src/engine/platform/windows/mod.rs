//! Windows: the native interface below Win32, which takes a directory's handle and a name.
//!
//! - A name is one segment, so a path is walked by segments. Each open takes the name itself and never what
//!   a reparse point (a link, a junction, a placeholder of a cloud) leads to; those are refused.
//! - Win32 gives some names a meaning of their own (`con`, `nul.txt`, `a.`, `a:b`). They are written otherwise, see
//!   [`spelling`]: outside of this module a name is what it is in a key.
//! - Names are compared as the directory compares them: without case, except in a directory that is marked
//!   case-sensitive.
//! - Files are renamed and removed with the semantics of POSIX, so that open files are replaced; file systems
//!   without them (FAT, network) do it as Windows always did.
//! - Access is what the access-control list of the root says; new files inherit it.

mod errno;
mod names;
#[allow(unsafe_code, reason = "the calls of the system")]
mod native;
mod spelling;

pub(crate) use errno::Errno;
pub(crate) use std::fs::File as OwnedFd;
pub(crate) use std::os::windows::io::BorrowedHandle as BorrowedFd;

use super::{Entry, FileType, Lock, LockFile, Open, Space, Stat};
use crate::engine::stamp::Stamp;
use names::{listed, name_of, of_listed};
use native::{Named, Wanted};
use spelling::segment;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::AsHandle;
use std::path::Path;
use std::time::Duration;
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_ALL_INFORMATION, FILE_BASIC_INFORMATION, FILE_CREATE, FILE_DIRECTORY_FILE,
    FILE_DISPOSITION_DELETE, FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE,
    FILE_DISPOSITION_INFORMATION, FILE_DISPOSITION_INFORMATION_EX,
    FILE_DISPOSITION_POSIX_SEMANTICS, FILE_NON_DIRECTORY_FILE, FILE_OPEN, FILE_OPEN_IF,
    FILE_RENAME_IGNORE_READONLY_ATTRIBUTE, FILE_RENAME_POSIX_SEMANTICS,
    FILE_RENAME_REPLACE_IF_EXISTS, FileAllInformation, FileBasicInformation,
    FileDispositionInformation, FileDispositionInformationEx, FileFsDeviceInformation,
    FileFsFullSizeInformation, FileFsVolumeInformation, FileInternalInformation,
    FileLinkInformation, FileRenameInformation, FileRenameInformationEx, FileStandardInformation,
};
use windows_sys::Wdk::System::SystemServices::{
    FILE_FS_DEVICE_INFORMATION, FILE_FS_FULL_SIZE_INFORMATION, FILE_FS_VOLUME_INFORMATION,
    FILE_REMOTE_DEVICE,
};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, FILE_ATTRIBUTE_DIRECTORY,
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_FLAG_BACKUP_SEMANTICS, FILE_GENERIC_READ,
    FILE_GENERIC_WRITE, FILE_LIST_DIRECTORY, FILE_READ_ATTRIBUTES, FILE_TRAVERSE,
    FILE_WRITE_ATTRIBUTES, SYNCHRONIZE,
};

/// What has a handle.
pub(crate) trait AsFd {
    /// Its handle.
    fn as_fd(&self) -> BorrowedFd<'_>;
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.as_handle()
    }
}

impl AsFd for BorrowedFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        *self
    }
}

impl<T: AsFd> AsFd for &T {
    fn as_fd(&self) -> BorrowedFd<'_> {
        (**self).as_fd()
    }
}

/// Rights to a directory that is walked and listed.
const DIRECTORY: u32 = FILE_LIST_DIRECTORY | FILE_TRAVERSE | FILE_READ_ATTRIBUTES | SYNCHRONIZE;

/// Whether the system has [`open_confined`] at all.
pub(crate) const RESOLVES_PATHS: bool = false;

/// Opens a directory by its path, in which links are followed.
pub(crate) fn open_path(path: &Path) -> Result<OwnedFd, Errno> {
    let dir = open_by_path(path, DIRECTORY)?;
    match stat(&dir)?.kind {
        FileType::Directory => Ok(dir),
        _ => Err(Errno::NOTDIR),
    }
}

fn open_by_path(path: &Path, access: u32) -> Result<File, Errno> {
    let mut options = OpenOptions::new();
    // Without this flag directories cannot be opened.
    let options = options
        .access_mode(access)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    options.open(path).map_err(errno)
}

/// Opens one name below a directory, never through a link; `.` is the directory itself.
pub(crate) fn open_at(dir: impl AsFd, name: &str, what: Open) -> Result<OwnedFd, Errno> {
    let (access, options) = match what {
        Open::Directory => (DIRECTORY, FILE_DIRECTORY_FILE),
        Open::Object => (FILE_GENERIC_READ, 0),
        Open::Writable => (
            FILE_GENERIC_READ | FILE_GENERIC_WRITE,
            FILE_NON_DIRECTORY_FILE,
        ),
    };
    let name = match name {
        "." => Vec::new(),
        name => segment(name)?,
    };
    opened(dir, &name, access, options, FILE_OPEN)
}

/// Opens a name, and refuses a reparse point.
fn opened(
    dir: impl AsFd,
    name: &[u16],
    access: u32,
    options: u32,
    disposition: u32,
) -> Result<File, Errno> {
    let wanted = Wanted {
        access,
        options,
        disposition,
    };
    let file = open_any(dir, name, wanted)?;
    if disposition != FILE_CREATE && stat(&file)?.kind == FileType::Symlink {
        return Err(Errno::LOOP);
    }
    Ok(file)
}

/// Opens the name itself, a reparse point's own if it is one.
fn open_name(dir: impl AsFd, name: &[u16], access: u32, options: u32) -> Result<File, Errno> {
    let wanted = Wanted {
        access,
        options,
        disposition: FILE_OPEN,
    };
    open_any(dir, name, wanted)
}

fn open_any(dir: impl AsFd, name: &[u16], wanted: Wanted) -> Result<File, Errno> {
    match native::open(dir.as_fd(), name, wanted) {
        // What wine says of a directory that was moved or removed.
        Err(Errno::INVAL) => Err(Errno::NOENT),
        opened => opened,
    }
}

/// Not on Windows: see [`RESOLVES_PATHS`].
pub(crate) fn open_confined(_dir: impl AsFd, _path: &str, _what: Open) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// Not on Windows.
pub(crate) fn open_cached(_dir: impl AsFd, _path: &str) -> Result<OwnedFd, Errno> {
    Err(Errno::AGAIN)
}

/// Whether "not found" may mean that the file system refuses a name; what is no name is [`Errno::ILSEQ`].
pub(crate) const REFUSES_AS_ABSENT: bool = false;

/// Whether [`open_confined`] works here.
pub(crate) fn can_open_confined(_dir: impl AsFd) -> bool {
    false
}

/// Creates a file that must not exist, for reading and writing.
pub(crate) fn create_at(dir: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    let access = FILE_GENERIC_READ | FILE_GENERIC_WRITE;
    let name = segment(name)?;
    opened(dir, &name, access, FILE_NON_DIRECTORY_FILE, FILE_CREATE)
}

/// Opens a lock file. Who may open it is what the access-control list of the root says.
pub(crate) fn open_lock(dir: impl AsFd, name: &str, which: LockFile) -> Result<OwnedFd, Errno> {
    let disposition = match which {
        LockFile::Existing => FILE_OPEN,
        LockFile::Any => FILE_OPEN_IF,
        LockFile::New => FILE_CREATE,
    };
    let access = FILE_GENERIC_READ | FILE_GENERIC_WRITE;
    let name = segment(name)?;
    opened(dir, &name, access, FILE_NON_DIRECTORY_FILE, disposition)
}

/// Takes a lock, or fails with `WOULDBLOCK`.
pub(crate) fn try_lock(file: &OwnedFd, lock: Lock) -> Result<(), Errno> {
    let taken = match lock {
        Lock::Shared => file.try_lock_shared(),
        Lock::Exclusive => file.try_lock(),
    };
    taken.map_err(|error| match error {
        TryLockError::WouldBlock => Errno::WOULDBLOCK,
        TryLockError::Error(error) => errno(error),
    })
}

/// Creates a directory, open to whom the directory above it is.
pub(crate) fn make_dir_at(dir: impl AsFd, name: &str) -> Result<(), Errno> {
    let name = segment(name)?;
    opened(dir, &name, DIRECTORY, FILE_DIRECTORY_FILE, FILE_CREATE).map(drop)
}

/// As [`make_dir_at`]: access-control lists are inherited.
pub(crate) fn make_private_dir_at(dir: impl AsFd, name: &str) -> Result<(), Errno> {
    make_dir_at(dir, name)
}

/// Nothing: the access-control list of the root says who may read.
pub(crate) fn keep_readers_out(_dir: &OwnedFd) {}

/// Removes a file's name.
pub(crate) fn remove_file_at(dir: impl AsFd, name: &str) -> Result<(), Errno> {
    remove(dir, &segment(name)?, FILE_NON_DIRECTORY_FILE)
}

/// As [`remove_file_at`], by the name of an [`Entry`], which may be no key's.
pub(crate) fn remove_entry_at(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    remove(dir, &of_listed(name)?, FILE_NON_DIRECTORY_FILE)
}

/// Removes an empty directory.
pub(crate) fn remove_dir_at(dir: impl AsFd, name: &str) -> Result<(), Errno> {
    remove(dir, &segment(name)?, FILE_DIRECTORY_FILE)
}

fn remove(dir: impl AsFd, name: &[u16], options: u32) -> Result<(), Errno> {
    patiently(|| {
        let file = open_name(&dir, name, DELETE | SYNCHRONIZE, options)?;
        let flags = FILE_DISPOSITION_DELETE
            | FILE_DISPOSITION_POSIX_SEMANTICS
            | FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE;
        let how = FILE_DISPOSITION_INFORMATION_EX { Flags: flags };
        match native::set(file.as_fd(), FileDispositionInformationEx, &how) {
            Err(unknown) if unknown.is_unsupported() => {
                let how = FILE_DISPOSITION_INFORMATION { DeleteFile: true };
                native::set(file.as_fd(), FileDispositionInformation, &how)
            }
            done => done,
        }
    })
}

/// Gives a file or directory another name in one step; a file of that name is replaced.
pub(crate) fn rename_at(
    from_dir: impl AsFd,
    from: &str,
    to_dir: impl AsFd,
    to: &str,
) -> Result<(), Errno> {
    rename(from_dir, from, to_dir, to, FILE_RENAME_REPLACE_IF_EXISTS)
}

/// As [`rename_at`], but fails with `EXIST` where the new name is taken.
pub(crate) fn rename_new_at(
    from_dir: impl AsFd,
    from: &str,
    to_dir: impl AsFd,
    to: &str,
) -> Result<(), Errno> {
    rename(from_dir, from, to_dir, to, 0)
}

fn rename(
    from_dir: impl AsFd,
    from: &str,
    to_dir: impl AsFd,
    to: &str,
    replace: u32,
) -> Result<(), Errno> {
    let posix = replace | FILE_RENAME_POSIX_SEMANTICS | FILE_RENAME_IGNORE_READONLY_ATTRIBUTE;
    let (target, from, name) = (to_dir.as_fd(), segment(from)?, segment(to)?);
    patiently(|| {
        let file = open_name(&from_dir, &from, DELETE | SYNCHRONIZE, 0)?;
        let named = Named::new(target, &name, posix)?;
        match native::name(file.as_fd(), FileRenameInformationEx, &named) {
            Err(unknown) if unknown.is_unsupported() => {
                let named = Named::new(target, &name, replace)?;
                native::name(file.as_fd(), FileRenameInformation, &named)
            }
            // Which is what the system says of a right that is missing, too.
            Err(Errno::ACCESS) => Err(in_the_way(target, &name).unwrap_or(Errno::ACCESS)),
            done => done,
        }
    })
}

/// What "access denied" means where a name is taken: a directory has it, or a file that is in use, on a file system
/// that does not replace those.
fn in_the_way(dir: BorrowedFd<'_>, name: &[u16]) -> Option<Errno> {
    if stat_name(dir, name).ok()?.kind == FileType::Directory {
        return Some(Errno::ISDIR);
    }
    let removable = open_name(dir, name, DELETE | SYNCHRONIZE, 0);
    matches!(removable, Ok(_) | Err(Errno::BUSY)).then_some(Errno::BUSY)
}

/// Gives a file a further name; fails with `EXIST` where that is taken.
pub(crate) fn link_at(
    from_dir: impl AsFd,
    from: &str,
    to_dir: impl AsFd,
    to: &str,
) -> Result<(), Errno> {
    let access = FILE_WRITE_ATTRIBUTES | SYNCHRONIZE;
    let file = open_name(from_dir, &segment(from)?, access, FILE_NON_DIRECTORY_FILE)?;
    let named = Named::new(to_dir.as_fd(), &segment(to)?, 0)?;
    native::name(file.as_fd(), FileLinkInformation, &named)
}

/// Pauses between attempts while another program has a file open that it does not share.
const PAUSES_MS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Repeats a change that another program holds up for a moment, such as a virus scanner that reads what was just
/// written.
fn patiently(mut change: impl FnMut() -> Result<(), Errno>) -> Result<(), Errno> {
    for pause in PAUSES_MS {
        match change() {
            Err(Errno::BUSY) => std::thread::sleep(Duration::from_millis(pause)),
            done => return done,
        }
    }
    change()
}

/// Facts about an open file.
pub(crate) fn stat(file: impl AsFd) -> Result<Stat, Errno> {
    let all: Result<FILE_ALL_INFORMATION, Errno> = native::query(file.as_fd(), FileAllInformation);
    let (basic, standard, internal) = match all {
        // What wine says when the file's path is gone, which is one of the facts.
        Err(Errno::INVAL) => (
            native::query(file.as_fd(), FileBasicInformation)?,
            native::query(file.as_fd(), FileStandardInformation)?,
            native::query(file.as_fd(), FileInternalInformation)?,
        ),
        all => {
            let all = all?;
            let (basic, standard) = (all.BasicInformation, all.StandardInformation);
            (basic, standard, all.InternalInformation)
        }
    };
    let links = if standard.DeletePending {
        0
    } else {
        standard.NumberOfLinks.into()
    };
    Ok(Stat {
        kind: kind_of(basic.FileAttributes),
        size: u64::try_from(standard.EndOfFile).unwrap_or(0),
        modified: stamp(basic.LastWriteTime),
        changed: stamp(basic.ChangeTime),
        links,
        identity: (0, internal.IndexNumber.cast_unsigned()),
    })
}

fn kind_of(attributes: u32) -> FileType {
    if attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
        FileType::Symlink
    } else if attributes & FILE_ATTRIBUTE_DIRECTORY != 0 {
        FileType::Directory
    } else {
        FileType::RegularFile
    }
}

/// Units of 100 ns between 1601, where times of Windows begin, and 1970.
const TICKS_TO_1970: i64 = 116_444_736_000_000_000;
/// Nanoseconds of a unit.
const TICK_NS: i64 = 100;

fn stamp(ticks: i64) -> Stamp {
    Stamp(ticks.saturating_sub(TICKS_TO_1970).saturating_mul(TICK_NS))
}

/// Facts about a name, a link's own if it is one.
pub(crate) fn stat_at(dir: impl AsFd, name: &str) -> Result<Stat, Errno> {
    stat_name(dir, &segment(name)?)
}

fn stat_name(dir: impl AsFd, name: &[u16]) -> Result<Stat, Errno> {
    stat(open_name(dir, name, FILE_READ_ATTRIBUTES | SYNCHRONIZE, 0)?)
}

/// Tells the files of a machine apart.
pub(crate) fn identity(file: impl AsFd) -> Result<(u64, u64), Errno> {
    let volume: Result<FILE_FS_VOLUME_INFORMATION, Errno> =
        native::query_volume(file.as_fd(), FileFsVolumeInformation);
    let volume = match volume {
        // Drives that other programs provide, and mounts without a device under wine.
        Err(Errno::OPNOTSUPP) => 0,
        volume => volume?.VolumeSerialNumber.into(),
    };
    let (_, index) = stat(file)?.identity;
    Ok((volume, index))
}

/// As [`identity`], of what a path leads to.
pub(crate) fn identity_of_path(path: &Path) -> Result<(u64, u64), Errno> {
    identity(open_by_path(path, FILE_READ_ATTRIBUTES | SYNCHRONIZE)?)
}

/// Nothing: each open asks the server.
pub(crate) fn fetch(_dir: BorrowedFd<'_>, _name: &str) -> Result<(), Errno> {
    Ok(())
}

/// A second handle of a directory.
pub(crate) fn duplicate(dir: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    dir.try_clone_to_owned().map(File::from).map_err(errno)
}

/// Bytes of names that one call reads, in units of 8.
const NAMES: usize = (64 << 10) / 8;

/// Calls `each` for every name of a directory that was just opened.
pub(crate) fn each_name(
    dir: impl AsFd,
    mut each: impl FnMut(&[u8], FileType) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut buffer = vec![0_u64; NAMES];
    let mut first = true;
    let mut text = Vec::new();
    loop {
        let mut rest = match native::read_directory(dir.as_fd(), &mut buffer, None, first) {
            // Removed meanwhile, so it is empty.
            Ok(None) | Err(Errno::NOENT) => return Ok(()),
            read => read?.unwrap_or_default(),
        };
        first = false;
        while let Some((found, next)) = name_of(rest) {
            if !found.is_dots() {
                listed(found.name, &mut text);
                each(&text, kind_of(found.attributes))?;
            }
            match next {
                0 => break,
                next => rest = rest.get(next..).unwrap_or_default(),
            }
        }
    }
}

/// Names of a directory, in no order.
pub(crate) fn entries(dir: impl AsFd) -> Result<impl Iterator<Item = Result<Entry, Errno>>, Errno> {
    // A handle of its own: the position of a directory belongs to its handle.
    let dir = open_at(dir, ".", Open::Directory)?;
    let mut all = Vec::new();
    each_name(&dir, |name, kind| {
        let name = name.to_vec();
        all.push(Ok(Entry { name, kind }));
        Ok(())
    })?;
    Ok(all.into_iter())
}

/// Whether the names of a directory contain exactly this one.
pub(crate) fn holds(dir: impl AsFd, name: &str) -> Result<bool, Errno> {
    let wanted = segment(name)?;
    // A handle of its own: it keeps the name that it was first asked for.
    let dir = open_at(dir, ".", Open::Directory)?;
    let mut buffer = vec![0_u64; 1024];
    let mut first = true;
    // As the directory compares names, so there may be several: short names match too.
    while let Some(mut rest) =
        native::read_directory(dir.as_fd(), &mut buffer, Some(&wanted), first)?
    {
        first = false;
        while let Some((found, next)) = name_of(rest) {
            if found.name.eq(wanted.iter().copied()) {
                return Ok(true);
            }
            match next {
                0 => break,
                next => rest = rest.get(next..).unwrap_or_default(),
            }
        }
    }
    Ok(false)
}

/// Writes after what was written, or where [`seek`] says; returns how many bytes.
pub(crate) fn write(mut file: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    file.write(bytes).map_err(errno)
}

/// Sets the position of the next [`write`].
pub(crate) fn seek(mut file: &OwnedFd, offset: u64) -> Result<(), Errno> {
    file.seek(SeekFrom::Start(offset)).map(drop).map_err(errno)
}

/// Cuts a file, or extends it by zeros, to this many bytes.
pub(crate) fn set_size(file: &OwnedFd, size: u64) -> Result<(), Errno> {
    file.set_len(size).map_err(errno)
}

/// Reads at `offset`; 0 is the end.
pub(crate) fn read_at(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    file.seek_read(buffer, offset).map_err(errno)
}

/// Appends to `buffer` what is at `offset`, up to its capacity; 0 is the end.
pub(crate) fn read_onto(file: &OwnedFd, buffer: &mut Vec<u8>, offset: u64) -> Result<usize, Errno> {
    let before = buffer.len();
    buffer.resize(buffer.capacity(), 0);
    let read = read_at(file, &mut buffer[before..], offset);
    buffer.truncate(before + read.unwrap_or(0));
    read
}

/// Not on Windows, which does not say what is cached.
pub(crate) fn read_cached_at(
    _file: &OwnedFd,
    _buffer: &mut [u8],
    _offset: u64,
) -> Result<usize, Errno> {
    Err(Errno::AGAIN)
}

/// Nothing: Windows begins to write back on its own.
pub(crate) fn begin_write_back(_file: &OwnedFd, _offset: u64, _length: u64) {}

/// Waits until a file's bytes and facts are on the medium.
pub(crate) fn sync(file: impl AsFd) -> Result<(), Errno> {
    native::flush(file.as_fd())
}

/// Waits until the names of a directory are on the medium.
pub(crate) fn sync_dir(dir: impl AsFd) -> Result<(), Errno> {
    // Flushing needs a right to write, and one of these is what the change itself needed.
    let reopened = |right| {
        opened(
            &dir,
            &[],
            right | SYNCHRONIZE,
            FILE_DIRECTORY_FILE,
            FILE_OPEN,
        )
    };
    let writable = match reopened(FILE_ADD_FILE | FILE_READ_ATTRIBUTES) {
        Err(Errno::ACCESS) => reopened(FILE_ADD_SUBDIRECTORY | FILE_READ_ATTRIBUTES),
        writable => writable,
    };
    native::flush(writable?.as_fd())
}

/// Sets the modification time, and leaves the access time alone.
pub(crate) fn set_modified(file: &OwnedFd, time: Stamp) -> Result<(), Errno> {
    let ticks = time.0.div_euclid(TICK_NS).saturating_add(TICKS_TO_1970);
    let times = FILE_BASIC_INFORMATION {
        LastWriteTime: ticks,
        // Writes through this handle leave the change time alone from here on, also those that it makes when
        // it is closed: the rename that publishes the file is the last change.
        ChangeTime: -1,
        ..FILE_BASIC_INFORMATION::default()
    };
    native::set(file.as_fd(), FileBasicInformation, &times)
}

/// Not on Windows: metadata goes to sidecars.
pub(crate) fn set_attribute(_file: &OwnedFd, _value: &[u8]) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Not on Windows.
pub(crate) fn attribute(_file: impl AsFd, _buffer: &mut [u8]) -> Result<usize, Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Not on Windows.
pub(crate) fn attribute_size(_file: &OwnedFd) -> Result<usize, Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Not on Windows: a copy goes through memory.
pub(crate) fn clone_file(_from: &OwnedFd, _to: &OwnedFd) -> Result<(), Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Not on Windows: a copy goes through memory.
pub(crate) fn copy_range(
    _from: &OwnedFd,
    _offset: u64,
    _to: &OwnedFd,
    _most: usize,
) -> Result<usize, Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Space of the file system under a directory.
pub(crate) fn space(dir: impl AsFd) -> Result<Space, Errno> {
    let facts: FILE_FS_FULL_SIZE_INFORMATION =
        native::query_volume(dir.as_fd(), FileFsFullSizeInformation)?;
    let unit = u64::from(facts.SectorsPerAllocationUnit) * u64::from(facts.BytesPerSector);
    let bytes = |units: i64| u64::try_from(units).unwrap_or(0).saturating_mul(unit);
    let total = bytes(facts.TotalAllocationUnits);
    Ok(Space {
        used: total.saturating_sub(bytes(facts.ActualAvailableAllocationUnits)),
        free: bytes(facts.CallerAvailableAllocationUnits),
        total,
    })
}

/// Windows has no file system in memory of its own.
pub(crate) fn is_in_memory(_dir: impl AsFd) -> bool {
    false
}

/// Whether the file system is another machine's.
pub(crate) fn is_remembered(dir: impl AsFd) -> bool {
    let device: Result<FILE_FS_DEVICE_INFORMATION, _> =
        native::query_volume(dir.as_fd(), FileFsDeviceInformation);
    device.is_ok_and(|device| device.Characteristics & FILE_REMOTE_DEVICE != 0)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Whether open files and directories are replaced and removed at once, which wine does not do. Says so aloud where
/// a test is left out for that.
#[cfg(test)]
pub(crate) fn replaces_what_is_open(test: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_path(folder.path()).unwrap();
    let open = create_at(&dir, "open").unwrap();
    drop(create_at(&dir, "other").unwrap());
    let replaced = rename_at(&dir, "other", &dir, "open").is_ok();
    drop(open);
    if !replaced {
        let line = format!("SKIPPED: {test}: open files are not replaced here\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    replaced
}

#[cfg(test)]
mod tests;
