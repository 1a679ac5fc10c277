//! Facts of a file that change when its content does.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::time::Duration;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_BASIC_INFO, FILE_TYPE_CHAR, FILE_TYPE_PIPE, FileBasicInfo,
    GetFileInformationByHandle, GetFileInformationByHandleEx, GetFileType,
};

/// Facts of a file that change when its content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    volume: u32,
    /// Number of the file on its volume.
    index: u64,
    size: u64,
    /// In steps of 100 ns since 1601.
    modified: i64,
    /// As `modified`; renames and attributes count.
    changed: i64,
}

/// From 1601 to 1970, in steps of 100 ns.
const EPOCH: i64 = 116_444_736_000_000_000;

impl Stamp {
    /// The facts of now.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let handle = file.as_raw_handle();
        let mut about = MaybeUninit::<BY_HANDLE_FILE_INFORMATION>::zeroed();
        // SAFETY: the handle of an open file, and room for the answer.
        if unsafe { GetFileInformationByHandle(handle, about.as_mut_ptr()) } == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: zeroes are a valid answer, and the call filled it.
        let about = unsafe { about.assume_init() };
        let mut times = MaybeUninit::<FILE_BASIC_INFO>::zeroed();
        let size = size_of::<FILE_BASIC_INFO>() as u32;
        // SAFETY: the handle of an open file, and room of this size for the answer.
        let asked = unsafe {
            GetFileInformationByHandleEx(handle, FileBasicInfo, times.as_mut_ptr().cast(), size)
        };
        if asked == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above.
        let times = unsafe { times.assume_init() };
        let wide = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        Ok(Self {
            volume: about.dwVolumeSerialNumber,
            index: wide(about.nFileIndexHigh, about.nFileIndexLow),
            size: wide(about.nFileSizeHigh, about.nFileSizeLow),
            modified: times.LastWriteTime,
            changed: times.ChangeTime,
        })
    }

    /// The facts of what lies at a path now.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Self::of(&File::open(path)?)
    }

    /// Time of the last change, since 1970.
    pub(crate) fn changed(&self) -> Duration {
        let steps = u64::try_from(self.changed.saturating_sub(EPOCH)).unwrap_or(0);
        Duration::from_nanos(steps.saturating_mul(100))
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
    // A directory does not open as a file does.
    if std::fs::metadata(path)?.is_dir() {
        return Ok(Opened::Other("a folder"));
    }
    let file = File::open(path)?;
    // SAFETY: the handle of an open file.
    match unsafe { GetFileType(file.as_raw_handle()) } {
        FILE_TYPE_CHAR => return Ok(Opened::Other("a device")),
        FILE_TYPE_PIPE => return Ok(Opened::Other("a pipe")),
        _ => {}
    }
    let about = file.metadata()?;
    Ok(match about.is_file() {
        true => Opened::Regular(file, about.len()),
        false => Opened::Other("something else"),
    })
}
