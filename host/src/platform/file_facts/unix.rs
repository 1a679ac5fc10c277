//! Facts of a file that change when its content does.

use rustix::fs::{FileType, Mode, OFlags, RawMode, Stat, fstat, open, stat as stat_of};
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Facts of a file that change when its content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The facts of now.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        Ok(fstat(file)?.into())
    }

    /// The facts of what lies at a path now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(stat_of(path)?.into())
    }

    /// Time of the last change, since 1970.
    pub(crate) fn changed(&self) -> Duration {
        let (seconds, nanoseconds) = self.changed;
        Duration::new(
            u64::try_from(seconds).unwrap_or(0),
            u32::try_from(nanoseconds).unwrap_or(0),
        )
    }
}

impl From<Stat> for Stamp {
    fn from(stat: Stat) -> Self {
        Stamp {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            modified: (
                stat.st_mtime,
                i64::try_from(stat.st_mtime_nsec).unwrap_or(0),
            ),
            changed: (
                stat.st_ctime,
                i64::try_from(stat.st_ctime_nsec).unwrap_or(0),
            ),
        }
    }
}

/// What lies at a path.
pub(crate) enum Opened {
    /// A regular file, open for reading, and its size in bytes.
    Regular(File, u64),
    /// Something else, and what it is.
    Other(&'static str),
}

/// Opens a regular file for reading, and nothing else.
pub(crate) fn open_regular(path: &Path) -> io::Result<Opened> {
    // Asked before it is opened: opening alone would wake a writer that waits at a pipe, or move a
    // tape. Asked again afterwards, because the name may lead elsewhere by then.
    if let Some(kind) = other_kind(stat_of(path)?.st_mode) {
        return Ok(Opened::Other(kind));
    }
    // `NONBLOCK`, so that not even then a pipe without a writer hangs us.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open(path, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    Ok(match other_kind(stat.st_mode) {
        Some(kind) => Opened::Other(kind),
        None => Opened::Regular(File::from(file), u64::try_from(stat.st_size).unwrap_or(0)),
    })
}

/// The kind of a file that is not a regular one.
fn other_kind(mode: RawMode) -> Option<&'static str> {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a folder"),
        FileType::Fifo => Some("a pipe"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice | FileType::BlockDevice => Some("a device"),
        _ => Some("something else"),
    }
}
