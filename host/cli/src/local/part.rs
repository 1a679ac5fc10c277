//! Partial downloads: `NAME.holdall-part` until the file is complete.
//!
//! Every part carries an extended attribute that marks it as made by this command and says which
//! object it belongs to. A file of that name without the mark belongs to the user and is never
//! opened for writing. On file systems without extended attributes a part is removed when the
//! command ends.

use std::collections::hash_map::DefaultHasher;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Seek;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, XattrFlags};
use rustix::fs::{
    fgetxattr, flock, fsetxattr, fstat, linkat, openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::Spot;
use crate::exit;
use crate::failure::{Failure, Result};

const SUFFIX: &str = ".holdall-part";
const ATTRIBUTE: &str = "user.holdall.part";
/// Longest mark that is written or read, in bytes.
const MAX_MARK: usize = 4096;

/// The object that a part belongs to. The default mark belongs to no object: such a part was made by
/// this command and cannot be resumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The address.
    pub(crate) source: String,
    /// The object's etag: another content has another.
    pub(crate) etag: String,
    /// The object's size, in bytes.
    pub(crate) size: u64,
}

/// A partial file. Dropped before it is published, it stays only when it can be resumed.
#[derive(Debug)]
pub(crate) struct Part {
    spot: Spot,
    name: OsString,
    file: File,
    kept: Option<(Mark, u64)>,
    resumable: bool,
    published: bool,
}

impl Part {
    /// Creates the part, or opens the one that an earlier attempt left, under an exclusive lock.
    ///
    /// # Errors
    ///
    /// Exit code 4 when the name is taken by something that this command did not make, or by the part
    /// of a command that runs.
    pub(crate) fn open(spot: Spot) -> Result<Self> {
        const EXISTING: OFlags = OFlags::RDWR
            .union(OFlags::CLOEXEC)
            .union(OFlags::NOFOLLOW)
            .union(OFlags::NONBLOCK);
        let name = part_name(&spot.name);
        let failed = |cause: Errno| Failure::file("create", &spot.beside(&name))(cause.into());
        let foreign = || foreign(&spot, &name);
        loop {
            let mode = Mode::from_raw_mode(0o666);
            let new = EXISTING | OFlags::CREATE | OFlags::EXCL;
            let (fd, created) = match openat(&*spot.folder, &name, new, mode) {
                Ok(fd) => (fd, true),
                Err(Errno::EXIST) => match openat(&*spot.folder, &name, EXISTING, mode) {
                    Ok(fd) => (fd, false),
                    Err(Errno::NOENT) => continue,
                    Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::NODEV) => {
                        return Err(foreign());
                    }
                    Err(cause) => return Err(failed(cause)),
                },
                Err(cause) => return Err(failed(cause)),
            };
            let about = fstat(&fd).map_err(failed)?;
            if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
                return Err(foreign());
            }
            // A new file can only be locked by a command that is about to refuse it.
            let lock = match created {
                true => FlockOperation::LockExclusive,
                false => FlockOperation::NonBlockingLockExclusive,
            };
            match flock(&fd, lock) {
                // Some network file systems have no locks: two commands do not exclude each other there.
                Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(Failure::refused(
                        exit::PRECONDITION,
                        "busy",
                        format!(
                            "another command is writing {}",
                            spot.beside(&name).display()
                        ),
                        "wait until it has ended",
                    ));
                }
                Err(cause) => return Err(failed(cause)),
            }
            let file = File::from(fd);
            // The previous holder of the lock may have published the file that was opened.
            if !is_at(&file, &spot, &name) {
                continue;
            }
            let mark = match created {
                true => {
                    set_mark(&file, &Mark::default());
                    None
                }
                false => Some(read_mark(&file).ok_or_else(foreign)?),
            };
            let kept = mark.map(|mark| (mark, about.st_size.unsigned_abs()));
            return Ok(Self {
                resumable: kept.as_ref().is_some_and(|(mark, _)| mark.is_resumable()),
                spot,
                name,
                file,
                kept,
                published: false,
            });
        }
    }

    /// What an earlier attempt left of this address: what it is, and how many bytes are there.
    pub(crate) fn kept(&self, source: &str) -> Option<(Mark, u64)> {
        let kept = self.kept.as_ref();
        kept.filter(|(mark, bytes)| mark.source == source && (1..=mark.size).contains(bytes))
            .cloned()
    }

    /// Starts from nothing. With a mark, what is written can be resumed later.
    pub(crate) fn begin(&mut self, mark: Option<&Mark>) -> Result<()> {
        // Not resumable while bytes and mark may disagree.
        self.resumable = false;
        self.kept = None;
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(Failure::file("write", &self.path()))?;
        // An old mark on new bytes would be wrong: it is always replaced.
        let none = Mark::default();
        let marked = set_mark(&self.file, mark.unwrap_or(&none)) && mark.is_some();
        self.resumable = marked;
        Ok(())
    }

    /// The file, to read and write at the position of its own.
    pub(crate) fn file(&self) -> Result<File> {
        self.file
            .try_clone()
            .map_err(Failure::file("open", &self.path()))
    }

    /// Removes the part: it does not belong to the object.
    pub(crate) fn discard(mut self) {
        self.mark_useless();
    }

    /// Has the part removed when it is dropped.
    pub(crate) fn mark_useless(&mut self) {
        self.resumable = false;
    }

    /// Whether it will stay when the command fails now.
    pub(crate) fn stays(&self) -> Option<u64> {
        let bytes = self.file.metadata().map_or(0, |about| about.len());
        (self.resumable && bytes > 0).then_some(bytes)
    }

    /// Gives the file its name, in one step.
    pub(crate) fn publish(mut self, force: bool) -> Result<()> {
        if !is_at(&self.file, &self.spot, &self.name) {
            return Err(foreign(&self.spot, &self.name));
        }
        let folder = &*self.spot.folder;
        let (from, to) = (&self.name, &self.spot.name);
        let _ = rustix::fs::fremovexattr(&self.file, ATTRIBUTE);
        let renamed = if force {
            if let Ok(old) = statat(folder, to, AtFlags::SYMLINK_NOFOLLOW)
                && FileType::from_raw_mode(old.st_mode) == FileType::RegularFile
            {
                // A private file stays private.
                let _ = rustix::fs::fchmod(&self.file, Mode::from_raw_mode(old.st_mode));
            }
            renameat(folder, from, folder, to)
        } else {
            match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
                // Not every file system can; a link is not made over a name either.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                    linkat(folder, from, folder, to, AtFlags::empty())
                        .and_then(|()| unlinkat(folder, from, AtFlags::empty()))
                }
                done => done,
            }
        };
        match renamed {
            Ok(()) => {
                self.published = true;
                Ok(())
            }
            Err(Errno::EXIST) => {
                self.resumable = false;
                Err(exists(&self.spot))
            }
            Err(cause) => {
                self.resumable = false;
                Err(Failure::file("write", &self.spot.path())(cause.into()))
            }
        }
    }

    /// Its path, for people.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.spot.beside(&self.name)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.published && self.stays().is_none() && is_at(&self.file, &self.spot, &self.name) {
            // Under the lock: no part of another command.
            let _ = unlinkat(&*self.spot.folder, &self.name, AtFlags::empty());
        }
    }
}

/// Whether this name leads to this file.
fn is_at(file: &File, spot: &Spot, name: &OsStr) -> bool {
    match (
        fstat(file),
        statat(&*spot.folder, name, AtFlags::SYMLINK_NOFOLLOW),
    ) {
        (Ok(ours), Ok(there)) => (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino),
        _ => false,
    }
}

impl Mark {
    fn is_resumable(&self) -> bool {
        !self.etag.is_empty()
    }
}

/// The refusal to use a file that this command did not make.
fn foreign(spot: &Spot, name: &OsStr) -> Failure {
    Failure::refused(
        exit::PRECONDITION,
        "part_exists",
        format!(
            "{} exists and is not a partial download that holdall can resume",
            spot.beside(name).display()
        ),
        "move or remove it, or name another target file",
    )
}

/// The refusal to replace a file.
pub(crate) fn exists(spot: &Spot) -> Failure {
    Failure::refused(
        exit::PRECONDITION,
        "target_exists",
        format!("{} exists already", spot.path().display()),
        "--force replaces it; or name another file",
    )
}

/// `NAME.holdall-part`; a name that is too long for that is cut and told apart by a hash.
fn part_name(name: &OsStr) -> OsString {
    const LONGEST: usize = 255;
    let bytes = name.as_bytes();
    if bytes.len() + SUFFIX.len() <= LONGEST {
        return [name, OsStr::new(SUFFIX)].concat_names();
    }
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tail = format!("~{:016x}{SUFFIX}", hasher.finish());
    let mut kept = bytes[..LONGEST - tail.len()].to_vec();
    // Some file systems take nothing but UTF-8: no half of a character.
    if let Err(broken) = std::str::from_utf8(&kept)
        && std::str::from_utf8(bytes).is_ok()
    {
        kept.truncate(broken.valid_up_to());
    }
    kept.extend_from_slice(tail.as_bytes());
    OsString::from_vec(kept)
}

trait ConcatNames {
    fn concat_names(&self) -> OsString;
}

impl ConcatNames for [&OsStr; 2] {
    fn concat_names(&self) -> OsString {
        let mut whole = self[0].to_owned();
        whole.push(self[1]);
        whole
    }
}

/// Whether the mark was written: the file system may have no extended attributes.
fn set_mark(file: &File, mark: &Mark) -> bool {
    serde_json::to_vec(mark).is_ok_and(|mark| {
        mark.len() <= MAX_MARK && fsetxattr(file, ATTRIBUTE, &mark, XattrFlags::empty()).is_ok()
    })
}

fn read_mark(file: &File) -> Option<Mark> {
    let mut buffer = vec![0; MAX_MARK];
    let len = fgetxattr(file, ATTRIBUTE, buffer.as_mut_slice()).ok()?;
    serde_json::from_slice(buffer.get(..len)?).ok()
}

#[cfg(test)]
mod tests;
