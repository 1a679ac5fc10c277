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
use std::io::{self, Seek};

use serde::{Deserialize, Serialize};

use super::Spot;
use super::directory::{self, Existing};
use crate::exit;
use crate::failure::{Failure, Result};

const SUFFIX: &str = ".holdall-part";
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
        let name = part_name(&spot.name);
        let failed = |cause: io::Error| Failure::file("create", &spot.beside(&name))(cause);
        let foreign = || foreign(&spot, &name);
        let busy = || {
            Failure::refused(
                exit::PRECONDITION,
                "busy",
                format!(
                    "another command is writing {}",
                    spot.beside(&name).display()
                ),
                "wait until it has ended",
            )
        };
        loop {
            let (file, created) = match spot.folder.create(&name).map_err(failed)? {
                Some(file) => (file, true),
                None => match spot.folder.existing(&name).map_err(failed)? {
                    Existing::File(file) => (file, false),
                    Existing::Gone => continue,
                    Existing::Foreign => return Err(foreign()),
                    Existing::Busy => return Err(busy()),
                },
            };
            let about = file.metadata().map_err(failed)?;
            if !about.is_file() {
                return Err(foreign());
            }
            // A new file can only be locked by a command that is about to refuse it.
            if !directory::lock(&file, created).map_err(failed)? {
                return Err(busy());
            }
            // The previous holder of the lock may have published the file that was opened.
            if !spot.folder.is_at(&name, &file) {
                continue;
            }
            let mark = match created {
                true => {
                    set_mark(&file, &Mark::default());
                    None
                }
                false => Some(read_mark(&file).ok_or_else(foreign)?),
            };
            let kept = mark.map(|mark| (mark, about.len()));
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
        let folder = &self.spot.folder;
        if !folder.is_at(&self.name, &self.file) {
            return Err(foreign(&self.spot, &self.name));
        }
        let (from, to) = (&self.name, &self.spot.name);
        directory::remove_mark(&self.file);
        let renamed = match force {
            true => folder.replace(&self.file, from, to),
            false => folder.rename_new(from, to),
        };
        match renamed {
            Ok(()) => {
                self.published = true;
                Ok(())
            }
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                self.resumable = false;
                Err(exists(&self.spot))
            }
            Err(cause) => {
                self.resumable = false;
                Err(Failure::file("write", &self.spot.path())(cause))
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
        let folder = &self.spot.folder;
        if !self.published && self.stays().is_none() && folder.is_at(&self.name, &self.file) {
            // Under the lock: no part of another command.
            let _ = folder.remove(&self.name);
        }
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
    let bytes = name.as_encoded_bytes();
    if bytes.len() + SUFFIX.len() <= LONGEST {
        let mut whole = name.to_owned();
        whole.push(SUFFIX);
        return whole;
    }
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let tail = format!("~{:016x}{SUFFIX}", hasher.finish());
    let mut kept = directory::cut(name, LONGEST - tail.len());
    kept.push(tail);
    kept
}

/// Whether the mark was written: the file system may have no place for it.
fn set_mark(file: &File, mark: &Mark) -> bool {
    serde_json::to_vec(mark)
        .is_ok_and(|mark| mark.len() <= MAX_MARK && directory::set_mark(file, &mark))
}

fn read_mark(file: &File) -> Option<Mark> {
    let mark = directory::mark(file, MAX_MARK)?;
    serde_json::from_slice(&mark).ok()
}

#[cfg(test)]
mod tests;
