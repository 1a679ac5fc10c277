//! A file that a stream lends, both ways. Rule R21.

use super::grow;
use super::tables::FfiFile;
use super::text::breach;
use crate::Result;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::os::unix::fs::FileExt;

/// A range of an open file that holds the bytes of a [`Body`](crate::Body), for as long as the body is not dropped.
/// Unix only.
///
/// The descriptor belongs to the plugin: read it at positions ([`read_at`](Self::read_at), `pread`, `sendfile` with an
/// offset), and neither close it nor move its position. The host has compared the bytes with no checksum, and does not
/// count them.
///
/// ```
/// use holdall_plugin_api::LentFile;
/// use std::os::fd::AsFd;
///
/// # let folder = std::env::temp_dir().join(format!("holdall-lent-{}", std::process::id()));
/// # std::fs::write(&folder, "0123456789")?;
/// # let file = std::fs::File::open(&folder)?;
/// let lent = LentFile::new(file.as_fd(), 2..5);
/// assert_eq!((lent.offset(), lent.length()), (2, 3));
/// let mut bytes = [0; 8];
/// assert_eq!(lent.read_at(&mut bytes, 1)?, 2); // counted from the start of the range, cut at its end
/// assert_eq!(&bytes[..2], b"34");
/// assert_eq!(lent.read_at(&mut bytes, 3)?, 0);
/// # std::fs::remove_file(folder)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LentFile<'a> {
    file: BorrowedFd<'a>,
    offset: u64,
    length: u64,
}

impl<'a> LentFile<'a> {
    /// The bytes `range` of an open regular file.
    pub fn new(file: BorrowedFd<'a>, range: Range<u64>) -> Self {
        Self {
            file,
            offset: range.start,
            length: range.end.saturating_sub(range.start),
        }
    }

    /// Where the range begins in the file, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Length of the range, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads at `at`, counted from the start of the range; bytes read, fewer than asked at the end of the range, 0
    /// past it. May wait for the medium.
    ///
    /// # Errors
    ///
    /// Those of `pread`.
    pub fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let left = self.length.saturating_sub(at);
        let wanted = usize::try_from(left).map_or(into.len(), |left| left.min(into.len()));
        if wanted == 0 {
            return Ok(0);
        }
        // SAFETY: the descriptor is open while it is borrowed; it is not closed here.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(self.file.as_raw_fd()) });
        file.read_at(&mut into[..wanted], self.offset + at)
    }

    /// For the other side.
    pub(crate) fn into_ffi(self) -> FfiFile {
        FfiFile {
            descriptor: self.file.as_raw_fd().into(),
            offset: self.offset,
            length: self.length,
            ..grow::empty()
        }
    }

    /// Of the other side.
    ///
    /// # Errors
    ///
    /// Numbers that no descriptor and no range has. Whether the file is there is not looked at.
    ///
    /// # Safety
    ///
    /// R21: the descriptor, if it is one, is open for `'a`.
    pub(crate) unsafe fn from_ffi(lent: &FfiFile) -> Result<Self> {
        let descriptor = RawFd::try_from(lent.descriptor).ok();
        let Some(descriptor) = descriptor.filter(|descriptor| *descriptor >= 0) else {
            return Err(breach(format_args!(
                "a lent file has the descriptor {}, 0 to {} expected (`FfiFile.descriptor`)",
                lent.descriptor,
                RawFd::MAX
            )));
        };
        let end = lent.offset.checked_add(lent.length);
        if end.is_none_or(|end| end > i64::MAX as u64) {
            return Err(breach(format_args!(
                "a lent file of {} bytes at {}, at most {} expected (`FfiFile.offset`, `length`)",
                lent.length,
                lent.offset,
                i64::MAX
            )));
        }
        Ok(Self {
            // SAFETY: by the contract.
            file: unsafe { BorrowedFd::borrow_raw(descriptor) },
            offset: lent.offset,
            length: lent.length,
        })
    }
}

impl AsFd for LentFile<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file
    }
}

impl AsRawFd for LentFile<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
