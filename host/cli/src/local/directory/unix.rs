//! An opened directory, and files in it by name.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, XattrFlags, fgetxattr,
    flock, fsetxattr, linkat, mkdirat, openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
const FILE: OFlags = OFlags::RDWR
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK);
const ATTRIBUTE: &str = "user.holdall.part";

/// An opened directory.
#[derive(Clone, Debug)]
pub(crate) struct Directory(Arc<OwnedFd>);

/// What a name leads to.
pub(super) enum Existing {
    File(File),
    /// Nothing, by now.
    Gone,
    /// What is no regular file.
    Foreign,
    /// A file that another command has opened.
    #[expect(dead_code, reason = "locks say it here")]
    Busy,
}

impl Directory {
    /// Opens a directory. Links in the path are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let fd = openat(CWD, path, DIRECTORY, Mode::empty())?;
        Ok(Self(Arc::new(fd)))
    }

    /// Opens a directory below, made if it is missing. A link is not followed: `None` for a link or a file.
    pub(super) fn enter(&self, name: &str) -> io::Result<Option<Self>> {
        let open = || openat(&*self.0, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) => match mkdirat(&*self.0, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(cause) => Err(cause),
            },
            opened => opened,
        };
        match opened {
            Ok(fd) => Ok(Some(Self(Arc::new(fd)))),
            Err(Errno::LOOP | Errno::NOTDIR) => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Whether something has the name, be it a link that leads nowhere.
    pub(super) fn is_taken(&self, name: &OsStr) -> bool {
        statat(&*self.0, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Creates a file; `None` when the name is taken.
    pub(super) fn create(&self, name: &OsStr) -> io::Result<Option<File>> {
        let flags = FILE | OFlags::CREATE | OFlags::EXCL;
        match openat(&*self.0, name, flags, Mode::from_raw_mode(0o666)) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::EXIST) => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Opens what has the name.
    pub(super) fn existing(&self, name: &OsStr) -> io::Result<Existing> {
        match openat(&*self.0, name, FILE, Mode::empty()) {
            Ok(fd) => Ok(Existing::File(File::from(fd))),
            Err(Errno::NOENT) => Ok(Existing::Gone),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::NODEV) => Ok(Existing::Foreign),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Whether this name leads to this file.
    pub(super) fn is_at(&self, name: &OsStr, file: &File) -> bool {
        match (
            rustix::fs::fstat(file),
            statat(&*self.0, name, AtFlags::SYMLINK_NOFOLLOW),
        ) {
            (Ok(ours), Ok(there)) => (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino),
            _ => false,
        }
    }

    /// Gives this file another name, in one step. What has that name is replaced, and its permissions stay: a
    /// private file stays private.
    pub(super) fn replace(&self, file: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
        if let Ok(old) = statat(&*self.0, to, AtFlags::SYMLINK_NOFOLLOW)
            && FileType::from_raw_mode(old.st_mode) == FileType::RegularFile
        {
            let _ = rustix::fs::fchmod(file, Mode::from_raw_mode(old.st_mode));
        }
        Ok(renameat(&*self.0, from, &*self.0, to)?)
    }

    /// Gives a file another name, in one step. `AlreadyExists` when something has that name.
    pub(super) fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let folder = &*self.0;
        match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
            // Not every file system can; a link is not made over a name either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                linkat(folder, from, folder, to, AtFlags::empty())?;
                self.remove(from)
            }
            done => Ok(done?),
        }
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&*self.0, name, AtFlags::empty())?)
    }
}

/// Locks a file against other commands; false when another has it. A lock that is `waited` for comes in the end.
pub(super) fn lock(file: &File, waited: bool) -> io::Result<bool> {
    let lock = match waited {
        true => FlockOperation::LockExclusive,
        false => FlockOperation::NonBlockingLockExclusive,
    };
    match flock(file, lock) {
        // Some network file systems have no locks: two commands do not exclude each other there.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(cause) => Err(cause.into()),
    }
}

/// Whether the mark was written: the file system may have no extended attributes.
pub(super) fn set_mark(file: &File, mark: &[u8]) -> bool {
    fsetxattr(file, ATTRIBUTE, mark, XattrFlags::empty()).is_ok()
}

/// The mark of a file, of at most `most` bytes.
pub(super) fn mark(file: &File, most: usize) -> Option<Vec<u8>> {
    let mut buffer = vec![0; most];
    let len = fgetxattr(file, ATTRIBUTE, buffer.as_mut_slice()).ok()?;
    buffer.truncate(len);
    Some(buffer)
}

pub(super) fn remove_mark(file: &File) {
    let _ = rustix::fs::fremovexattr(file, ATTRIBUTE);
}

/// Why no file can have this name; `None` for one that can.
pub(super) fn unusable(name: &str) -> Option<&'static str> {
    name.contains('\0').then_some("it has a NUL character")
}

/// Cuts a name to this many bytes.
pub(super) fn cut(name: &OsStr, most: usize) -> OsString {
    let bytes = name.as_bytes();
    let mut kept = bytes[..bytes.len().min(most)].to_vec();
    // Some file systems take nothing but UTF-8: no half of a character.
    if let Err(broken) = std::str::from_utf8(&kept)
        && std::str::from_utf8(bytes).is_ok()
    {
        kept.truncate(broken.valid_up_to());
    }
    OsString::from_vec(kept)
}
