//! Where the bytes of an image are kept: a sealed memory file, or a private copy where memory files may not be
//! executed.

use crate::platform::private_directory::PrivateDirectory;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Name of a private copy in its directory.
const COPY: &str = "plugin.so";

/// What failed, and why.
type Failed = (&'static str, io::Error);

/// A copy that is being written.
pub(super) struct Copy {
    file: File,
    directory: Option<PrivateDirectory>,
}

impl Copy {
    /// `label` is how maps and debuggers show it.
    pub(super) fn begin(label: &str) -> Result<Self, Failed> {
        match memory_file(label) {
            Ok(file) => Ok(Self {
                file,
                directory: None,
            }),
            Err(Errno::ACCESS | Errno::PERM | Errno::NOSYS) => {
                let (directory, file) =
                    private_file().map_err(|cause| ("a private copy", cause))?;
                Ok(Self {
                    file,
                    directory: Some(directory),
                })
            }
            Err(cause) => Err(("a memory file", cause.into())),
        }
    }

    /// Where it is written to.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self.directory {
            None => "a memory file",
            Some(_) => "a private copy",
        }
    }

    /// From now on nothing changes it.
    pub(super) fn keep(self, _sha256: [u8; 32]) -> Result<Kept, Failed> {
        let Some(directory) = self.directory else {
            let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
            fcntl_add_seals(&self.file, seals).map_err(|cause| ("a seal", cause.into()))?;
            return Ok(Kept {
                file: self.file,
                directory: None,
            });
        };
        // Closed first, and for reading only: a file that is open for writing cannot be executed.
        drop(self.file);
        let file = File::open(directory.path().join(COPY));
        Ok(Kept {
            file: file.map_err(|cause| ("a private copy", cause))?,
            directory: Some(directory),
        })
    }
}

/// A copy that nothing changes.
#[derive(Debug)]
pub(super) struct Kept {
    file: File,
    directory: Option<PrivateDirectory>,
}

impl Kept {
    /// The sealed file of another process.
    pub(super) fn of_file(file: File) -> io::Result<Self> {
        Ok(Self {
            file,
            directory: None,
        })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The path that the system's loader opens. By process id, so that debuggers and profilers find
    /// the same file.
    pub(super) fn path(&self) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.path().join(COPY),
            None => {
                let (process, number) = (std::process::id(), self.file.as_raw_fd());
                PathBuf::from(format!("/proc/{process}/fd/{number}"))
            }
        }
    }

    /// Removes the private copy, if that is what it is: what is mapped stays.
    pub(super) fn remove_copy(&mut self) {
        self.directory = None;
    }
}

fn memory_file(label: &str) -> Result<File, Errno> {
    // The kernel takes at most 249 bytes.
    let label: String = label.chars().filter(|c| !c.is_control()).take(60).collect();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // `EXEC` says what it is for where memory files are not executable by default; kernels before
    // 6.3 do not know it.
    let file = match memfd_create(&label, flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create(&label, flags)?,
        other => other?,
    };
    Ok(File::from(file))
}

/// A file in a directory that only this user can enter.
fn private_file() -> io::Result<(PrivateDirectory, File)> {
    use std::os::unix::fs::OpenOptionsExt;
    let directory = PrivateDirectory::create()?;
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o500);
    let file = options.open(directory.path().join(COPY))?;
    Ok((directory, file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    #[test]
    fn a_private_copy_is_private() {
        let (directory, _file) = private_file().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(directory.path()), 0o700);
        assert_eq!(mode(&directory.path().join(COPY)), 0o500);
    }
}
