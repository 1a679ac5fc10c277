//! The bytes of a plugin's file, read once: what is hashed, judged and mapped.
//!
//! They are streamed into a sealed memory file, so that no reading can differ from another, and no
//! write to the file on disk reaches the running code.

use super::load_fault;
use crate::plugin::fault::{Code, Fault};
use crate::plugin::inspect::{self, Sink, Stamp};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A copy of a plugin's file that cannot change.
#[derive(Debug)]
pub(crate) struct Image {
    file: File,
    sha256: [u8; 32],
    /// The facts of the file that was read.
    stamp: Stamp,
    /// Where it was read, when parts of it were left out.
    partial: Option<PathBuf>,
    /// The folder of a private copy, where memory files may not be executed.
    folder: Option<tempfile::TempDir>,
}

/// Name of a private copy in its folder.
const COPY: &str = "plugin.so";

impl Image {
    /// Reads a regular file as it is at one moment. Blocks for milliseconds. `name` is how maps and
    /// debuggers show it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, changes meanwhile, or cannot be kept in memory.
    pub(crate) fn read(path: &Path, name: &str) -> Result<Self, Vec<Fault>> {
        let refused = |what: &str, cause: &dyn std::fmt::Display| {
            let expected = "a copy of the file in memory";
            vec![load_fault(
                Code::MapFailed,
                expected,
                format!("{what}: {cause}"),
            )]
        };
        match memory_file(&format!("holdall:{name}:")) {
            Ok(file) => {
                let mut to = Hashing::new(file);
                let stamp = inspect::copy_whole(path, &mut to).map_err(|fault| vec![*fault])?;
                let partial = to.left_out.then(|| path.to_owned());
                let (file, sha256) = to
                    .finish()
                    .map_err(|cause| refused("a memory file", &cause))?;
                let seals =
                    SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
                fcntl_add_seals(&file, seals).map_err(|cause| refused("a seal", &cause))?;
                Ok(Self {
                    file,
                    sha256,
                    stamp,
                    partial,
                    folder: None,
                })
            }
            Err(Errno::ACCESS | Errno::PERM | Errno::NOSYS) => {
                let (folder, file) =
                    private_file().map_err(|cause| refused("a private copy", &cause))?;
                let mut to = Hashing::new(file);
                let stamp = inspect::copy_whole(path, &mut to).map_err(|fault| vec![*fault])?;
                let partial = to.left_out.then(|| path.to_owned());
                let (_, sha256) = to
                    .finish()
                    .map_err(|cause| refused("a private copy", &cause))?;
                // For reading only: a file that is open for writing cannot be executed.
                let file = File::open(folder.path().join(COPY));
                let file = file.map_err(|cause| refused("a private copy", &cause))?;
                Ok(Self {
                    file,
                    sha256,
                    stamp,
                    partial,
                    folder: Some(folder),
                })
            }
            Err(cause) => Err(refused("a memory file", &cause)),
        }
    }

    /// The bytes of an open file that nothing changes, such as the sealed file of another process.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(crate) fn of_file(mut file: File) -> io::Result<Self> {
        let mut sha256 = Sha256::new();
        io::Seek::rewind(&mut file)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match io::Read::read(&mut file, &mut buffer)? {
                0 => break,
                count => sha256.update(&buffer[..count]),
            }
        }
        let stamp = inspect::stamp(&file);
        let stamp = stamp.map_err(|fault| io::Error::other(fault.to_string()))?;
        Ok(Self {
            file,
            sha256: sha256.finalize().into(),
            stamp,
            partial: None,
            folder: None,
        })
    }

    /// SHA-256 of the bytes.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// SHA-256 of what is kept: that of the bytes, unless parts were left out.
    pub(crate) fn kept_sha256(&self) -> io::Result<[u8; 32]> {
        match &self.partial {
            None => Ok(self.sha256),
            Some(_) => Self::of_file(self.file.try_clone()?).map(|kept| kept.sha256),
        }
    }

    /// The facts of the file that was read.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Shows the bytes of the file that was read, all of them: what was left out is read again where it
    /// was, and the digest says that it is the same.
    pub(crate) fn read_whole(&self, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let file = match &self.partial {
            None => self.file.try_clone()?,
            Some(path) => {
                let opened = inspect::open_regular(path);
                opened.map_err(|fault| io::Error::other(fault.to_string()))?
            }
        };
        let (mut buffer, mut at, mut sha256) = (vec![0; 1 << 16], 0, Sha256::new());
        loop {
            // By position: readers of an image share theirs.
            match file.read_at(&mut buffer, at) {
                Ok(0) => break,
                Ok(count) => {
                    take(&buffer[..count]);
                    sha256.update(&buffer[..count]);
                    at += count as u64;
                }
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        match <[u8; 32]>::from(sha256.finalize()) == self.sha256 {
            true => Ok(()),
            false => Err(io::Error::other("the file has changed since it was read")),
        }
    }

    /// The file, for reading.
    pub(crate) fn reader(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The path that the system's loader opens. By process id, so that debuggers and profilers find
    /// the same file.
    pub(super) fn path(&self) -> PathBuf {
        match &self.folder {
            Some(folder) => folder.path().join(COPY),
            None => {
                let (process, number) = (std::process::id(), self.file.as_raw_fd());
                PathBuf::from(format!("/proc/{process}/fd/{number}"))
            }
        }
    }

    /// Removes the private copy, if that is what it is: what is mapped stays.
    pub(super) fn remove_copy(&mut self) {
        self.folder = None;
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

/// A file in a folder that only this user can enter.
fn private_file() -> io::Result<(tempfile::TempDir, File)> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let folder = tempfile::Builder::new()
        .prefix("holdall-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()?;
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o500);
    let file = options.open(folder.path().join(COPY))?;
    Ok((folder, file))
}

/// Hashes everything, and writes what is not left out: the hash is that of the file.
struct Hashing {
    file: File,
    sha256: Sha256,
    at: u64,
    left_out: bool,
}

impl Hashing {
    fn new(file: File) -> Self {
        Self {
            file,
            sha256: Sha256::new(),
            at: 0,
            left_out: false,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.at += bytes.len() as u64;
    }

    fn finish(self) -> io::Result<(File, [u8; 32])> {
        // As long as the file, also when its end was left out.
        self.file.set_len(self.at)?;
        Ok((self.file, self.sha256.finalize().into()))
    }
}

impl Sink for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.at)?;
        self.take(bytes);
        Ok(())
    }

    /// A hole, which takes no memory.
    fn leave_out(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left_out = true;
        self.take(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;

    fn image(bytes: &[u8]) -> Image {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.so");
        std::fs::write(&path, bytes).unwrap();
        Image::read(&path, "x").unwrap()
    }

    #[test]
    fn a_sealed_copy_cannot_be_changed() {
        let image = image(b"bytes");
        assert_eq!(image.sha256(), <[u8; 32]>::from(Sha256::digest(b"bytes")));
        assert!(image.reader().unwrap().write_all(b"more").is_err());
        let again = File::options().write(true).open(image.path());
        assert!(again.and_then(|mut file| file.write_all(b"x")).is_err());
        assert_eq!(std::fs::read(image.path()).unwrap(), b"bytes");
    }

    #[test]
    fn a_private_copy_is_private() {
        let (folder, _file) = private_file().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(mode(&folder.path().join(COPY)), 0o500);
    }

    /// Overwritten in place all the time, a file is read as one content or the other, or refused.
    #[test]
    fn a_file_that_is_overwritten_is_never_read_as_a_mixture() {
        const SIZE: usize = 4 << 20;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.so");
        std::fs::write(&path, vec![b'a'; SIZE]).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let (mut whole, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                use std::os::unix::fs::FileExt;
                let file = File::options().write(true).open(&path).unwrap();
                let contents = [vec![b'b'; SIZE], vec![b'a'; SIZE]];
                for content in contents.iter().cycle() {
                    if stop.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    file.write_all_at(content, 0).unwrap();
                    // Long enough for some readings to fall between two changes.
                    std::thread::sleep(std::time::Duration::from_millis(30));
                }
            });
            for _ in 0..30 {
                match Image::read(&path, "x") {
                    Ok(image) => {
                        let mut bytes = Vec::new();
                        File::open(image.path())
                            .unwrap()
                            .read_to_end(&mut bytes)
                            .unwrap();
                        assert_eq!(bytes.len(), SIZE);
                        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a mixture");
                        whole += 1;
                    }
                    Err(faults) => {
                        assert_eq!(faults[0].code, Code::Changing);
                        refused += 1;
                    }
                }
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(whole + refused, 30);
    }
}
