//! Where the bytes of an image are kept: a private copy that is open without sharing for writing and deleting.

use crate::platform::private_directory::PrivateDirectory;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::PathBuf;
use windows_sys::Win32::Storage::FileSystem::{
    FILE_NAME_NORMALIZED, FILE_SHARE_READ, GetFinalPathNameByHandleW,
};

/// Name of the copy in its directory.
const COPY: &str = "plugin.dll";

/// What failed, and why.
type Failed = (&'static str, io::Error);

/// A copy that is being written.
pub(super) struct Copy {
    file: File,
    directory: PrivateDirectory,
}

impl Copy {
    /// Windows has no place for the label.
    pub(super) fn begin(_label: &str) -> Result<Self, Failed> {
        let begun = || -> io::Result<Self> {
            let directory = PrivateDirectory::create()?;
            let mut options = File::options();
            // Shared with no one.
            options.write(true).create_new(true).share_mode(0);
            let file = options.open(directory.path().join(COPY))?;
            Ok(Self { file, directory })
        };
        begun().map_err(|cause| ("a private copy", cause))
    }

    /// Where it is written to.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        "a private copy"
    }

    /// From now on nothing changes it. `sha256`: of what was written.
    pub(super) fn keep(self, sha256: [u8; 32]) -> Result<Kept, Failed> {
        let kept = || -> io::Result<Kept> {
            self.file.sync_data()?;
            // The loader opens a file only that no one may write. Between the two handles another process of
            // this user could change it, so that what is open now is hashed again.
            drop(self.file);
            let path = self.directory.path().join(COPY);
            let mut options = File::options();
            let file = options.read(true).share_mode(FILE_SHARE_READ).open(&path)?;
            match super::digest(&file)? == sha256 {
                true => Ok(Kept {
                    file,
                    path,
                    _directory: Some(self.directory),
                }),
                false => Err(io::Error::other("it was changed while it was written")),
            }
        };
        kept().map_err(|cause| ("a private copy", cause))
    }
}

/// A copy that nothing changes.
#[derive(Debug)]
pub(super) struct Kept {
    // Closed before the directory is removed.
    file: File,
    path: PathBuf,
    _directory: Option<PrivateDirectory>,
}

impl Kept {
    /// The copy of another process.
    pub(super) fn of_file(file: File) -> io::Result<Self> {
        let path = path_of(&file)?;
        Ok(Self {
            file,
            path,
            _directory: None,
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The path that the system's loader opens.
    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Removes nothing: a file that is mapped cannot be removed. A later process removes the directory.
    pub(super) fn remove_copy(&mut self) {}
}

/// The path of an open file.
fn path_of(file: &File) -> io::Result<PathBuf> {
    let mut units = [0_u16; 1024];
    // SAFETY: the handle of an open file, and room for this many units.
    let length = unsafe {
        GetFinalPathNameByHandleW(
            file.as_raw_handle(),
            units.as_mut_ptr(),
            units.len() as u32,
            FILE_NAME_NORMALIZED,
        )
    };
    let text = match units.get(..length as usize) {
        Some([]) => return Err(io::Error::last_os_error()),
        Some(units) => OsString::from_wide(units),
        None => return Err(io::ErrorKind::InvalidFilename.into()),
    };
    // `\\?\C:\x` is `C:\x`, which the loader takes in every mode.
    let plain = text.to_str().and_then(|text| text.strip_prefix(r"\\?\"));
    let plain = plain.filter(|text| text.as_bytes().get(1) == Some(&b':'));
    Ok(plain.map_or_else(|| PathBuf::from(&text), PathBuf::from))
}
