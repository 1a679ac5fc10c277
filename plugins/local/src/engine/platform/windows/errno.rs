//! Errors of the system, by the meaning that the engine gives them.

use std::fmt;
use std::io;
use windows_sys::Win32::Foundation as win;

/// A Win32 error code; of several that mean one thing, one.
// The names are those of POSIX, by which the engine knows them on each system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(u32);

impl Errno {
    pub(crate) const NOENT: Self = Self(win::ERROR_FILE_NOT_FOUND);
    pub(crate) const NOTDIR: Self = Self(win::ERROR_DIRECTORY);
    pub(crate) const ISDIR: Self = Self(win::ERROR_DIRECTORY_NOT_SUPPORTED);
    pub(crate) const EXIST: Self = Self(win::ERROR_FILE_EXISTS);
    pub(crate) const NOTEMPTY: Self = Self(win::ERROR_DIR_NOT_EMPTY);
    pub(crate) const LOOP: Self = Self(win::ERROR_REPARSE_POINT_ENCOUNTERED);
    pub(crate) const XDEV: Self = Self(win::ERROR_NOT_SAME_DEVICE);
    pub(crate) const NXIO: Self = Self(win::ERROR_NOT_READY);
    pub(crate) const ACCESS: Self = Self(win::ERROR_ACCESS_DENIED);
    pub(crate) const PERM: Self = Self(win::ERROR_PRIVILEGE_NOT_HELD);
    pub(crate) const ROFS: Self = Self(win::ERROR_WRITE_PROTECT);
    pub(crate) const NOSPC: Self = Self(win::ERROR_DISK_FULL);
    pub(crate) const DQUOT: Self = Self(win::ERROR_DISK_QUOTA_EXCEEDED);
    pub(crate) const INVAL: Self = Self(win::ERROR_INVALID_PARAMETER);
    pub(crate) const ILSEQ: Self = Self(win::ERROR_INVALID_NAME);
    pub(crate) const NAMETOOLONG: Self = Self(win::ERROR_FILENAME_EXCED_RANGE);
    pub(crate) const NOTUNIQ: Self = Self(win::ERROR_DUP_NAME);
    pub(crate) const FBIG: Self = Self(win::ERROR_FILE_TOO_LARGE);
    pub(crate) const OVERFLOW: Self = Self(win::ERROR_ARITHMETIC_OVERFLOW);
    pub(crate) const RANGE: Self = Self(win::ERROR_MORE_DATA);
    pub(crate) const NODATA: Self = Self(win::ERROR_NO_DATA);
    pub(crate) const MFILE: Self = Self(win::ERROR_TOO_MANY_OPEN_FILES);
    pub(crate) const NFILE: Self = Self(win::ERROR_NO_SYSTEM_RESOURCES);
    pub(crate) const NOMEM: Self = Self(win::ERROR_NOT_ENOUGH_MEMORY);
    pub(crate) const INTR: Self = Self(win::ERROR_OPERATION_ABORTED);
    pub(crate) const BUSY: Self = Self(win::ERROR_SHARING_VIOLATION);
    pub(crate) const STALE: Self = Self(win::ERROR_FILE_INVALID);
    pub(crate) const AGAIN: Self = Self(win::ERROR_RETRY);
    pub(crate) const WOULDBLOCK: Self = Self::AGAIN;
    pub(crate) const OPNOTSUPP: Self = Self(win::ERROR_NOT_SUPPORTED);
    pub(crate) const NOSYS: Self = Self(win::ERROR_CALL_NOT_IMPLEMENTED);
    pub(crate) const IO: Self = Self(win::ERROR_IO_DEVICE);

    /// The error of a native call.
    // Before the system's own translation, which says "access denied" of a directory in the way and of a file
    // that is being removed.
    pub(super) fn from_status(status: win::NTSTATUS, dos: impl Fn(win::NTSTATUS) -> u32) -> Self {
        match status {
            win::STATUS_OBJECT_NAME_NOT_FOUND
            | win::STATUS_OBJECT_PATH_NOT_FOUND
            | win::STATUS_NO_SUCH_FILE
            | win::STATUS_DELETE_PENDING
            | win::STATUS_FILE_DELETED => Self::NOENT,
            win::STATUS_NOT_A_DIRECTORY => Self::NOTDIR,
            win::STATUS_FILE_IS_A_DIRECTORY => Self::ISDIR,
            win::STATUS_OBJECT_NAME_COLLISION => Self::EXIST,
            win::STATUS_OBJECT_NAME_INVALID | win::STATUS_OBJECT_PATH_SYNTAX_BAD => Self::ILSEQ,
            win::STATUS_REPARSE_POINT_ENCOUNTERED | win::STATUS_STOPPED_ON_SYMLINK => Self::LOOP,
            _ => Self::from_code(dos(status)),
        }
    }

    /// A Win32 error code.
    fn from_code(code: u32) -> Self {
        match code {
            win::ERROR_PATH_NOT_FOUND | win::ERROR_DELETE_PENDING => Self::NOENT,
            win::ERROR_ALREADY_EXISTS => Self::EXIST,
            win::ERROR_BAD_PATHNAME => Self::ILSEQ,
            win::ERROR_HANDLE_DISK_FULL => Self::NOSPC,
            win::ERROR_LOCK_VIOLATION | win::ERROR_USER_MAPPED_FILE => Self::BUSY,
            win::ERROR_INVALID_FUNCTION => Self::OPNOTSUPP,
            win::ERROR_OUTOFMEMORY => Self::NOMEM,
            win::ERROR_STOPPED_ON_SYMLINK | win::ERROR_CANT_RESOLVE_FILENAME => Self::LOOP,
            code => Self(code),
        }
    }

    /// The error of a call of the standard library.
    pub(crate) fn from_io_error(error: &io::Error) -> Option<Self> {
        let code = u32::try_from(error.raw_os_error()?).ok()?;
        Some(Self::from_code(code))
    }

    #[cfg(test)]
    pub(crate) fn from_raw_os_error(code: i32) -> Self {
        Self::from_code(code.cast_unsigned())
    }

    /// The code.
    pub(crate) fn raw_os_error(self) -> i32 {
        self.0.cast_signed()
    }

    /// Whether the file system, or this version of Windows, does not know the call.
    pub(super) fn is_unsupported(self) -> bool {
        matches!(self, Self::OPNOTSUPP | Self::NOSYS | Self::INVAL)
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.raw_os_error())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Win32 error {}", self.0)
    }
}
