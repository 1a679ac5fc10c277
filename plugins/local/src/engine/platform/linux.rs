//! Linux: system calls that take a directory's descriptor and a name.
//!
//! The kernel resolves paths of objects: `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
//! RESOLVE_NO_MAGICLINKS`.

use super::{Entry, FileType, Lock, LockFile, Open, Space, Stat};
use crate::engine::stamp::Stamp;
use rustix::buffer::spare_capacity;
use rustix::fs::{
    Advice, AtFlags, Dir, FlockOperation, Mode, OFlags, RawDir, RenameFlags, ResolveFlags,
    SeekFrom, StatxFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags, fadvise, fchmod, fgetxattr,
    fgetxattr_query, flock, fsetxattr, fstat, fstatfs, fstatvfs, futimens, ioctl_ficlone, linkat,
    mkdirat, openat, openat2, renameat, renameat_with, statat, statx, unlinkat,
};
use rustix::io::{ReadWriteFlags, fcntl_dupfd_cloexec, pread, preadv2};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::path::Path;

pub(crate) use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub(crate) use rustix::io::{Errno, write};

/// For directories: readable, because `fsync` needs that.
// Without O_NOFOLLOW, which would turn the answer for a link from ELOOP into ENOTDIR: `openat2` refuses
// links on its own, and `open_at` adds the flag.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
/// For objects: opening a FIFO must not block.
const OBJECT: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);
const NEW_FILE: OFlags = OFlags::RDWR
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::CLOEXEC);
const LOCK_FILE: OFlags = WRITABLE;
/// As for objects, a FIFO must not block.
const WRITABLE: OFlags = OFlags::RDWR
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK);

const CONFINED: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

const DIRECTORY_MODE: Mode = Mode::RWXU.union(Mode::RWXG).union(Mode::RWXO);
const FILE_MODE: Mode = Mode::RUSR
    .union(Mode::WUSR)
    .union(Mode::RGRP)
    .union(Mode::WGRP)
    .union(Mode::ROTH)
    .union(Mode::WOTH);

/// Name of the attribute that holds an object's metadata.
pub(crate) const ATTRIBUTE: &str = "user.holdall";

fn flags_of(what: Open) -> OFlags {
    match what {
        Open::Directory => DIRECTORY,
        Open::Object => OBJECT,
        Open::Writable => WRITABLE,
    }
}

/// Whether the system has [`open_confined`] at all.
pub(crate) const RESOLVES_PATHS: bool = true;

/// Whether "not found" may mean that the file system refuses a name.
pub(crate) const REFUSES_AS_ABSENT: bool = true;

/// Opens a directory by its path, in which links are followed.
pub(crate) fn open_path(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, DIRECTORY, Mode::empty())
}

/// Opens one name below a directory, never through a link.
pub(crate) fn open_at(dir: impl AsFd, name: &str, what: Open) -> Result<OwnedFd, Errno> {
    openat(dir, name, flags_of(what) | OFlags::NOFOLLOW, Mode::empty())
}

/// Opens a path below a directory, never through a link and never outside. Fails with `AGAIN` when
/// another program's rename raced with the walk.
pub(crate) fn open_confined(dir: impl AsFd, path: &str, what: Open) -> Result<OwnedFd, Errno> {
    openat2(dir, path, flags_of(what), Mode::empty(), CONFINED)
}

/// Opens an object as [`open_confined`] if the whole path is in the kernel's caches, else fails with
/// `AGAIN`.
pub(crate) fn open_cached(dir: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    let resolve = CONFINED | ResolveFlags::CACHED;
    openat2(dir, path, OBJECT, Mode::empty(), resolve)
}

/// Whether [`open_confined`] works here, and this process may use it.
pub(crate) fn can_open_confined(dir: impl AsFd) -> bool {
    openat2(
        dir,
        ".",
        OBJECT | OFlags::DIRECTORY,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
    .is_ok()
}

/// Creates a file that must not exist, for reading and writing.
pub(crate) fn create_at(dir: impl AsFd, name: &str) -> Result<OwnedFd, Errno> {
    openat(dir, name, NEW_FILE, FILE_MODE)
}

/// Opens a lock file. One that is created is for those who may write to its directory, and for no
/// one who may only read: a reader that can open a file can lock it.
pub(crate) fn open_lock(dir: impl AsFd, name: &str, which: LockFile) -> Result<OwnedFd, Errno> {
    let (flags, mode) = match which {
        LockFile::Existing => (LOCK_FILE, Mode::empty()),
        LockFile::Any => (LOCK_FILE | OFlags::CREATE, lock_mode(&dir)),
        LockFile::New => (LOCK_FILE | OFlags::CREATE | OFlags::EXCL, lock_mode(&dir)),
    };
    openat(dir, name, flags, mode)
}

fn lock_mode(dir: &impl AsFd) -> Mode {
    let writers = fstat(dir).map_or(0, |stat| stat.st_mode & 0o222);
    Mode::from_raw_mode(0o600 | writers | writers << 1)
}

/// Takes a lock, or fails with `WOULDBLOCK`.
pub(crate) fn try_lock(file: &OwnedFd, lock: Lock) -> Result<(), Errno> {
    flock(
        file,
        match lock {
            Lock::Shared => FlockOperation::NonBlockingLockShared,
            Lock::Exclusive => FlockOperation::NonBlockingLockExclusive,
        },
    )
}

/// Creates a directory, open to whom the process allows.
pub(crate) fn make_dir_at(dir: impl AsFd, name: &str) -> Result<(), Errno> {
    mkdirat(dir, name, DIRECTORY_MODE)
}

/// Creates a directory for this user alone.
pub(crate) fn make_private_dir_at(dir: impl AsFd, name: &str) -> Result<(), Errno> {
    mkdirat(dir, name, Mode::RWXU)
}

/// Takes reading and searching from those who may not write: a process that can open a lock file can
/// lock it.
pub(crate) fn keep_readers_out(dir: &OwnedFd) {
    let Ok(stat) = fstat(dir) else { return };
    let writers = stat.st_mode & 0o222;
    let mode = stat.st_mode & 0o7777 & (0o7000 | writers | writers << 1 | writers >> 1);
    if mode != stat.st_mode & 0o7777 {
        // Only the owner can, and where modes exist.
        let _ = fchmod(dir, Mode::from_raw_mode(mode));
    }
}

/// Removes a file's name.
pub(crate) fn remove_file_at(dir: impl AsFd, name: &str) -> Result<(), Errno> {
    unlinkat(dir, name, AtFlags::empty())
}

/// As [`remove_file_at`], by the name of an [`Entry`], which may be no key's.
pub(crate) fn remove_entry_at(dir: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    unlinkat(dir, name, AtFlags::empty())
}

/// Removes an empty directory.
pub(crate) fn remove_dir_at(dir: impl AsFd, name: &str) -> Result<(), Errno> {
    unlinkat(dir, name, AtFlags::REMOVEDIR)
}

/// Gives a file or directory another name in one step; a file of that name is replaced.
pub(crate) fn rename_at(
    from_dir: impl AsFd,
    from: &str,
    to_dir: impl AsFd,
    to: &str,
) -> Result<(), Errno> {
    renameat(from_dir, from, to_dir, to)
}

/// As [`rename_at`], but fails with `EXIST` where the new name is taken.
pub(crate) fn rename_new_at(
    from_dir: impl AsFd,
    from: &str,
    to_dir: impl AsFd,
    to: &str,
) -> Result<(), Errno> {
    renameat_with(from_dir, from, to_dir, to, RenameFlags::NOREPLACE)
}

/// Gives a file a further name; fails with `EXIST` where that is taken.
pub(crate) fn link_at(
    from_dir: impl AsFd,
    from: &str,
    to_dir: impl AsFd,
    to: &str,
) -> Result<(), Errno> {
    linkat(from_dir, from, to_dir, to, AtFlags::empty())
}

/// Facts about an open file.
pub(crate) fn stat(file: impl AsFd) -> Result<Stat, Errno> {
    fstat(file).map(Stat::from)
}

/// Facts about a name, a link's own if it is one.
pub(crate) fn stat_at(dir: impl AsFd, name: &str) -> Result<Stat, Errno> {
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(Stat::from)
}

/// Tells the files of a machine apart.
pub(crate) fn identity(file: impl AsFd) -> Result<(u64, u64), Errno> {
    stat(file).map(|stat| stat.identity)
}

/// As [`identity`], of what a path leads to.
pub(crate) fn identity_of_path(path: &Path) -> Result<(u64, u64), Errno> {
    rustix::fs::stat(path).map(|stat| Stat::from(stat).identity)
}

/// Lets the kernel fetch the facts of a name from its server; the empty name is the file itself.
pub(crate) fn fetch(dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    let which = match name {
        "" => AtFlags::EMPTY_PATH,
        _ => AtFlags::SYMLINK_NOFOLLOW,
    };
    let flags = which | AtFlags::STATX_FORCE_SYNC;
    super::retry(|| statx(dir, name, flags, StatxFlags::BASIC_STATS)).map(drop)
}

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

fn stamp(seconds: i64, nanoseconds: i64) -> Stamp {
    Stamp(seconds.saturating_mul(SECOND).saturating_add(nanoseconds))
}

impl From<rustix::fs::Stat> for Stat {
    // The fields are of different widths on different machines.
    #[allow(
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "widths differ between architectures"
    )]
    fn from(stat: rustix::fs::Stat) -> Self {
        Self {
            kind: rustix::fs::FileType::from_raw_mode(stat.st_mode).into(),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stamp(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: stamp(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            links: stat.st_nlink.into(),
            identity: (stat.st_dev, stat.st_ino),
        }
    }
}

impl From<rustix::fs::FileType> for FileType {
    fn from(kind: rustix::fs::FileType) -> Self {
        use rustix::fs::FileType as Kind;
        match kind {
            Kind::RegularFile => FileType::RegularFile,
            Kind::Directory => FileType::Directory,
            Kind::Symlink => FileType::Symlink,
            Kind::Fifo => FileType::Fifo,
            Kind::Socket => FileType::Socket,
            Kind::CharacterDevice | Kind::BlockDevice => FileType::Device,
            Kind::Unknown => FileType::Unknown,
        }
    }
}

/// A second descriptor of a directory.
pub(crate) fn duplicate(dir: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    fcntl_dupfd_cloexec(dir, 0)
}

/// Calls `each` for every name of a directory that was just opened.
pub(crate) fn each_name(
    dir: impl AsFd,
    mut each: impl FnMut(&[u8], FileType) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut buffer = vec![MaybeUninit::<u8>::uninit(); 64 << 10];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            // Removed meanwhile, so it is empty.
            Err(Errno::NOENT) => break,
            other => other?,
        };
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            each(name, entry.file_type().into())?;
        }
    }
    Ok(())
}

/// Names of a directory, in no order.
pub(crate) fn entries(dir: impl AsFd) -> Result<impl Iterator<Item = Result<Entry, Errno>>, Errno> {
    // A descriptor of its own: the position of a directory belongs to its descriptor.
    let entries = Dir::read_from(dir)?;
    Ok(entries.filter_map(|entry| match entry {
        Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => None,
        Ok(entry) => Some(Ok(Entry {
            name: entry.file_name().to_bytes().to_vec(),
            kind: entry.file_type().into(),
        })),
        Err(errno) => Some(Err(errno)),
    }))
}

/// Whether the names of a directory contain exactly this one.
pub(crate) fn holds(dir: impl AsFd, name: &str) -> Result<bool, Errno> {
    for entry in Dir::read_from(dir)? {
        if entry?.file_name().to_bytes() == name.as_bytes() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads at `offset`; 0 is the end.
pub(crate) fn read_at(file: &OwnedFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    pread(file, buffer, offset)
}

/// Appends to `buffer` what is at `offset`, up to its capacity; 0 is the end.
pub(crate) fn read_onto(file: &OwnedFd, buffer: &mut Vec<u8>, offset: u64) -> Result<usize, Errno> {
    pread(file, spare_capacity(buffer), offset)
}

/// As [`read_at`], but fails with `AGAIN` where that waits for a medium.
pub(crate) fn read_cached_at(
    file: &OwnedFd,
    buffer: &mut [u8],
    offset: u64,
) -> Result<usize, Errno> {
    let mut buffers = [IoSliceMut::new(buffer)];
    preadv2(file, &mut buffers, offset, ReadWriteFlags::NOWAIT)
}

/// Sets the position of the next [`write`].
pub(crate) fn seek(file: &OwnedFd, offset: u64) -> Result<(), Errno> {
    rustix::fs::seek(file, SeekFrom::Start(offset)).map(drop)
}

/// Cuts a file, or extends it by zeros, to this many bytes.
pub(crate) fn set_size(file: &OwnedFd, size: u64) -> Result<(), Errno> {
    rustix::fs::ftruncate(file, size)
}

/// Begins the write-back of written bytes, and waits for nothing.
pub(crate) fn begin_write_back(file: &OwnedFd, offset: u64, length: u64) {
    // "Not needed soon" starts the write-back of dirty pages and waits for nothing: what
    // sync_file_range would do, without needing a binding of our own.
    let _ = fadvise(file, offset, NonZeroU64::new(length), Advice::DontNeed);
}

/// Waits until a file's bytes and facts are on the medium.
pub(crate) fn sync(file: impl AsFd) -> Result<(), Errno> {
    rustix::fs::fsync(file)
}

/// Waits until the names of a directory are on the medium.
pub(crate) fn sync_dir(dir: impl AsFd) -> Result<(), Errno> {
    rustix::fs::fsync(dir)
}

/// Sets the modification time, and leaves the access time alone.
pub(crate) fn set_modified(file: &OwnedFd, time: Stamp) -> Result<(), Errno> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: time.0.div_euclid(SECOND),
            tv_nsec: time.0.rem_euclid(SECOND) as _,
        },
    };
    futimens(file, &times)
}

/// Sets the attribute of an object's metadata, and leaves the modification time alone.
pub(crate) fn set_attribute(file: &OwnedFd, value: &[u8]) -> Result<(), Errno> {
    fsetxattr(file, ATTRIBUTE, value, XattrFlags::empty())
}

/// Reads the attribute of an object's metadata. Fails with `RANGE` where the buffer is too short,
/// with `NODATA` where there is none, with `OPNOTSUPP` where there cannot be one.
pub(crate) fn attribute(file: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    fgetxattr(file, ATTRIBUTE, buffer)
}

/// Bytes of that attribute.
pub(crate) fn attribute_size(file: &OwnedFd) -> Result<usize, Errno> {
    fgetxattr_query(file, ATTRIBUTE)
}

/// Lets a new file share the blocks of another, each side's own from its first write on.
pub(crate) fn clone_file(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    ioctl_ficlone(to, from)
}

/// Copies at most `most` bytes at `offset` to where the other file is written next, within the kernel. Fails with `OPNOTSUPP`
/// and its like where it cannot.
pub(crate) fn copy_range(
    from: &OwnedFd,
    mut offset: u64,
    to: &OwnedFd,
    most: usize,
) -> Result<usize, Errno> {
    rustix::fs::copy_file_range(from, Some(&mut offset), to, None, most)
}

/// Space of the file system under a directory.
pub(crate) fn space(dir: impl AsFd) -> Result<Space, Errno> {
    let facts = fstatvfs(dir)?;
    let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
    Ok(Space {
        used: bytes(facts.f_blocks.saturating_sub(facts.f_bfree)),
        free: bytes(facts.f_bavail),
        total: bytes(facts.f_blocks),
    })
}

/// Whether there is no medium under a directory: tmpfs or ramfs.
pub(crate) fn is_in_memory(dir: impl AsFd) -> bool {
    is_one_of(dir, &IN_MEMORY)
}

/// Whether the kernel remembers facts of files for a server: FUSE or a network.
pub(crate) fn is_remembered(dir: impl AsFd) -> bool {
    is_one_of(dir, &REMEMBERED)
}

/// tmpfs, ramfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// FUSE, NFS, SMB, CIFS, 9P, Ceph.
const REMEMBERED: [u64; 6] = [
    0x6573_5546,
    0x6969,
    0xfe53_4d42,
    0xff53_4d42,
    0x0102_1997,
    0x00c3_6400,
];

/// Whether the file system's number is among these.
fn is_one_of(file: impl AsFd, numbers: &[u64]) -> bool {
    #[allow(
        clippy::unnecessary_cast,
        reason = "the field's width differs between architectures"
    )]
    fstatfs(file).is_ok_and(|facts| numbers.contains(&(facts.f_type as u64)))
}

/// Whether open files and directories are replaced and removed at once.
#[cfg(test)]
pub(crate) fn replaces_what_is_open(_test: &str) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_kept() {
        let file = OwnedFd::from(tempfile::tempfile().unwrap());
        set_modified(&file, Stamp(-1)).unwrap();
        assert_eq!(stat(&file).unwrap().modified, Stamp(-1));
    }
}
