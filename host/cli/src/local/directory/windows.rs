//! An opened directory, and files in it by name.
//!
//! Files are named by paths. Every directory on the way below the first is held open without sharing for deleting:
//! none of them can be renamed, removed or replaced by a link meanwhile.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;
const FILE_SHARE_DELETE: u32 = 4;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x400;
const ERROR_SHARING_VIOLATION: i32 = 32;

/// An opened directory.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _held: Vec<Arc<File>>,
}

/// What a name leads to.
pub(super) enum Existing {
    File(File),
    /// Nothing, by now.
    Gone,
    /// What is no regular file.
    Foreign,
    /// A file that another command has opened.
    Busy,
}

impl Directory {
    /// Opens a directory. Links in the path are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let held = hold(path, FILE_FLAG_BACKUP_SEMANTICS)?;
        if !held.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self {
            // Absolute: the working directory may change.
            path: std::path::absolute(path)?,
            _held: vec![Arc::new(held)],
        })
    }

    /// Opens a directory below, made if it is missing. A link is not followed: `None` for a link or a file.
    pub(super) fn enter(&self, name: &str) -> io::Result<Option<Self>> {
        let path = self.path.join(name);
        let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
        let opened = match hold(&path, flags) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => match fs::create_dir(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(cause),
                _ => hold(&path, flags),
            },
            opened => opened,
        }?;
        let about = opened.metadata()?;
        if !about.is_dir() || about.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT != 0 {
            return Ok(None);
        }
        let mut held = self._held.clone();
        held.push(Arc::new(opened));
        Ok(Some(Self { path, _held: held }))
    }

    /// Whether something has the name, be it a link that leads nowhere.
    pub(super) fn is_taken(&self, name: &OsStr) -> bool {
        fs::symlink_metadata(self.path.join(name)).is_ok()
    }

    /// Creates a file; `None` when the name is taken.
    pub(super) fn create(&self, name: &OsStr) -> io::Result<Option<File>> {
        match options().create_new(true).open(self.path.join(name)) {
            Ok(file) => Ok(Some(file)),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// Opens what has the name.
    pub(super) fn existing(&self, name: &OsStr) -> io::Result<Existing> {
        let path = self.path.join(name);
        match fs::symlink_metadata(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Existing::Gone),
            Err(cause) => return Err(cause),
            Ok(about) if !about.is_file() => return Ok(Existing::Foreign),
            Ok(_) => {}
        }
        // A link that has come meanwhile is opened as what it is, and refused as no regular file.
        let mut options = options();
        match options
            .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
            .open(path)
        {
            Ok(file) => Ok(Existing::File(file)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Existing::Gone),
            Err(cause) if cause.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => {
                Ok(Existing::Busy)
            }
            Err(cause) => Err(cause),
        }
    }

    /// Whether this name leads to this file.
    pub(super) fn is_at(&self, name: &OsStr, file: &File) -> bool {
        let there = same_file::Handle::from_path(self.path.join(name));
        let ours = file.try_clone().and_then(same_file::Handle::from_file);
        matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
    }

    /// Gives this file another name, in one step. What has that name is replaced; the access control list is that
    /// of the new file.
    pub(super) fn replace(&self, _file: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    /// Gives a file another name, in one step. `AlreadyExists` when something has that name.
    pub(super) fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        let (from, to) = (self.path.join(from), self.path.join(to));
        match fs::hard_link(&from, &to) {
            Ok(()) => fs::remove_file(&from),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => Err(cause),
            // Not every file system can: an empty file takes the name first.
            Err(_) => {
                drop(File::create_new(&to)?);
                fs::rename(&from, &to)
            }
        }
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }
}

/// Others may read, rename and delete the file, and no one else writes it.
fn options() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true);
    options.share_mode(FILE_SHARE_READ | FILE_SHARE_DELETE);
    options
}

/// Opens a directory that cannot be renamed or removed meanwhile.
fn hold(path: &Path, flags: u32) -> io::Result<File> {
    let mut options = File::options();
    let options = options.read(true).custom_flags(flags);
    options
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
        .open(path)
}

/// Always true: an open file is locked against other commands, which do not share it for writing.
pub(super) fn lock(_file: &File, _waited: bool) -> io::Result<bool> {
    Ok(true)
}

/// Always false: a file cannot be marked, so that a download is not resumed.
pub(super) fn set_mark(_file: &File, _mark: &[u8]) -> bool {
    false
}

/// Always none.
pub(super) fn mark(_file: &File, _most: usize) -> Option<Vec<u8>> {
    None
}

pub(super) fn remove_mark(_file: &File) {}

/// Why no file can have this name; `None` for one that can. Source:
/// <https://learn.microsoft.com/windows/win32/fileio/naming-a-file>.
pub(super) fn unusable(name: &str) -> Option<&'static str> {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    if name.contains(|c: char| c.is_control() || "<>:\"|?*\\".contains(c)) {
        return Some("Windows has no file names with one of <>:\"|?*\\ or a control character");
    }
    if name.ends_with(['.', ' ']) {
        return Some("Windows has no file names that end in a dot or a blank");
    }
    // `nul.txt` is the device, too.
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end().to_lowercase();
    let is_port = |prefix: &str| {
        let number = stem.strip_prefix(prefix);
        number.is_some_and(|number| {
            let mut digits = number.chars();
            let digit = digits.next().is_some_and(|c| "0123456789¹²³".contains(c));
            digit && digits.next().is_none()
        })
    };
    let is_device = DEVICES.contains(&stem.as_str()) || is_port("com") || is_port("lpt");
    is_device.then_some("on Windows it is the name of a device")
}

/// Cuts a name to this many bytes of UTF-8, which are at least as many as its UTF-16 units.
pub(super) fn cut(name: &OsStr, most: usize) -> OsString {
    let name = name.to_string_lossy();
    let end = (0..=most.min(name.len())).rev();
    let end = end.into_iter().find(|at| name.is_char_boundary(*at));
    OsString::from(&name[..end.unwrap_or(0)])
}
