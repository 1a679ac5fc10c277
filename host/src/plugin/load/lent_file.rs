//! The file that a stream lends, judged before anything is read of it: rule R21.

use holdall_plugin_api::abi::text::breach;
use holdall_plugin_api::{LentFile, Result};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fstat};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// A lent file that was judged. The plugin keeps it open until its stream is dropped.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    descriptor: RawFd,
    range: Range<u64>,
}

impl Judged {
    /// Judges what a stream of `length` bytes lends.
    ///
    /// # Errors
    ///
    /// A breach of the contract, which names the field: the descriptor is not open for reading or leads to no regular
    /// file, the range is not that of the answer, or not within the file.
    pub(super) fn new(lent: LentFile<'_>, length: u64) -> Result<Self> {
        let descriptor = lent.as_raw_fd();
        let closed = |errno| {
            breach(format_args!(
                "the descriptor {descriptor} of a lent file is not open: {errno} (`FfiFile.descriptor`)"
            ))
        };
        let mode = fcntl_getfl(lent).map_err(closed)?;
        let facts = fstat(lent).map_err(closed)?;
        let kind = FileType::from_raw_mode(facts.st_mode);
        if kind != FileType::RegularFile {
            return Err(breach(format_args!(
                "the descriptor {descriptor} of a lent file leads to a {kind:?}, a regular file expected (`FfiFile.descriptor`)"
            )));
        }
        if mode.intersection(OFlags::ACCMODE) == OFlags::WRONLY || mode.contains(OFlags::PATH) {
            return Err(breach(format_args!(
                "the descriptor {descriptor} of a lent file is not open for reading (`FfiFile.descriptor`)"
            )));
        }
        if lent.length() != length {
            return Err(breach(format_args!(
                "a lent file of {} bytes for an answer of {length} (`FfiFile.length`)",
                lent.length()
            )));
        }
        let range = lent.offset()..lent.offset() + length;
        let size = u64::try_from(facts.st_size).unwrap_or(0);
        if range.end > size {
            return Err(breach(format_args!(
                "the bytes {}..{} of a lent file that has {size} (`FfiFile.offset`)",
                range.start, range.end
            )));
        }
        Ok(Self { descriptor, range })
    }

    /// The file, for as long as its stream is there.
    ///
    /// # Safety
    ///
    /// R21: `'a` ends before the stream that lent it.
    pub(super) unsafe fn lent<'a>(&self) -> LentFile<'a> {
        // SAFETY: by the contract; it was open when it was judged.
        let file = unsafe { BorrowedFd::borrow_raw(self.descriptor) };
        LentFile::new(file, self.range.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::ErrorKind;
    use std::fs::{File, OpenOptions};
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_readable_range_of_a_file_is_a_breach() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "0123456789").unwrap();
        let reading = File::open(file.path()).unwrap();
        let writing = OpenOptions::new().write(true).open(file.path()).unwrap();
        let folder = File::open(file.path().parent().unwrap()).unwrap();
        let null = File::open("/dev/null").unwrap();
        // SAFETY: never read or closed: it is only asked for, as a plugin that lies may have it.
        let closed = unsafe { BorrowedFd::borrow_raw(RawFd::MAX) };
        let judged = Judged::new(LentFile::new(reading.as_fd(), 3..7), 4).unwrap();
        // SAFETY: `reading` is open.
        let lent = unsafe { judged.lent() };
        let mut bytes = [0; 9];
        assert_eq!(lent.read_at(&mut bytes, 0).unwrap(), 4);
        assert_eq!(&bytes[..4], b"3456");
        for (fd, range, length, expected) in [
            (closed, 0..4, 4, "not open"),
            (folder.as_fd(), 0..4, 4, "Directory"),
            (null.as_fd(), 0..4, 4, "CharacterDevice"),
            (writing.as_fd(), 0..4, 4, "for reading"),
            (reading.as_fd(), 0..4, 5, "FfiFile.length"),
            (reading.as_fd(), 7..11, 4, "FfiFile.offset"),
        ] {
            let refused = Judged::new(LentFile::new(fd, range), length).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::PluginFault);
            assert!(refused.message().contains(expected), "{refused}");
        }
    }
}
