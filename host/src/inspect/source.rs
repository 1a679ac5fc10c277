//! Opening and reading a candidate within bounds.

use crate::fault::{Code, Fault};
use object::ReadCache;
use rustix::fs::{FileType, Mode, OFlags, fstat, open as open_file};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// No plugin is larger.
const MAX_BYTES: u64 = 1 << 30;
/// Headers, symbols and the descriptor together are smaller.
const READ_BUDGET: u64 = 256 << 20;

/// A regular file and its size. `O_NONBLOCK`, so that a pipe without a writer does not hang us.
pub(super) fn open(path: &Path) -> Result<(File, u64), Box<Fault>> {
    let refuse = |code, expected: &str, found: String| {
        Box::new(Fault::new(code).expected(expected).found(found))
    };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = open_file(path, flags, Mode::empty()).map_err(|cause| match cause {
        // A socket cannot be opened at all.
        rustix::io::Errno::NXIO => refuse(
            Code::NotRegularFile,
            "a regular file",
            "a socket or pipe".into(),
        ),
        cause => refuse(
            Code::Unreadable,
            "a readable file",
            io::Error::from(cause).to_string(),
        ),
    })?;
    let stat = fstat(&file).map_err(|cause| {
        refuse(
            Code::Unreadable,
            "a readable file",
            io::Error::from(cause).to_string(),
        )
    })?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a folder"),
        FileType::Fifo => Some("a pipe"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice | FileType::BlockDevice => Some("a device"),
        _ => Some("something else"),
    };
    if let Some(kind) = kind {
        return Err(refuse(Code::NotRegularFile, "a regular file", kind.into()));
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if size > MAX_BYTES {
        return Err(refuse(
            Code::TooLarge,
            "at most 1 GiB",
            format!("{size} bytes"),
        ));
    }
    Ok((File::from(file), size))
}

/// The whole content; a file that changes its size meanwhile is refused.
pub(super) fn read(file: File, size: u64, path: &Path) -> Result<Vec<u8>, Box<Fault>> {
    let refuse = |code, expected: String, found: String| {
        Box::new(
            Fault::new(code)
                .expected(expected)
                .found(found)
                .location(path.display().to_string()),
        )
    };
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(size + 1)
        .read_to_end(&mut bytes)
        .map_err(|cause| {
            refuse(
                Code::Unreadable,
                "a readable file".into(),
                cause.to_string(),
            )
        })?;
    if bytes.len() as u64 != size {
        let found = format!("{} bytes: it is being written", bytes.len());
        return Err(refuse(Code::Truncated, format!("{size} bytes"), found));
    }
    Ok(bytes)
}

/// Positional reads, remembered, within a budget.
pub(super) fn cache(file: File) -> ReadCache<Budget> {
    ReadCache::new(Budget {
        file,
        left: READ_BUDGET,
    })
}

/// Ends with an error instead of reading without end.
#[derive(Debug)]
pub(super) struct Budget {
    file: File,
    left: u64,
}

impl Read for Budget {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.len() as u64 > self.left {
            return Err(io::Error::other("more headers than any plugin has"));
        }
        let read = self.file.read(buf)?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Seek for Budget {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
