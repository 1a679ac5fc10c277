//! The bytes of a plugin's file, read once: what is hashed, judged and mapped.
//!
//! They are streamed into a sealed memory file, on Windows into a private file that no one else can write, so
//! that no reading can differ from another, and no write to the file on disk reaches the running code.

#[cfg_attr(unix, path = "image/unix.rs")]
#[cfg_attr(windows, path = "image/windows.rs")]
mod system;

use super::load_fault;
use crate::platform::file_facts::Stamp;
use crate::platform::files;
use crate::plugin::fault::{Code, Fault};
use crate::plugin::inspect::{self, Sink};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A copy of a plugin's file that cannot change.
#[derive(Debug)]
pub(crate) struct Image {
    kept: system::Kept,
    sha256: [u8; 32],
    /// The facts of the file that was read.
    stamp: Stamp,
    /// Where it was read, when parts of it were left out.
    partial: Option<PathBuf>,
}

impl Image {
    /// Reads a regular file as it is at one moment. Blocks for milliseconds. `name` is how maps and
    /// debuggers show it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, changes meanwhile, or cannot be kept in memory.
    pub(crate) fn read(path: &Path, name: &str) -> Result<Self, Vec<Fault>> {
        let refused = |(what, cause): (&str, io::Error)| {
            let expected = "a copy of the file in memory";
            vec![load_fault(
                Code::MapFailed,
                expected,
                format!("{what}: {cause}"),
            )]
        };
        let copy = system::Copy::begin(&format!("holdall:{name}:")).map_err(refused)?;
        let mut to = Hashing::new(copy.file());
        let stamp = inspect::copy_whole(path, &mut to).map_err(|fault| vec![*fault])?;
        let partial = to.left_out.then(|| path.to_owned());
        let sha256 = to.finish().map_err(|cause| refused((copy.kind(), cause)))?;
        let kept = copy.keep(sha256).map_err(refused)?;
        Ok(Self {
            kept,
            sha256,
            stamp,
            partial,
        })
    }

    /// The bytes of an open file that nothing changes, such as the sealed file of another process.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(crate) fn of_file(file: File) -> io::Result<Self> {
        let sha256 = digest(&file)?;
        let stamp = Stamp::of(&file).map_err(inspect::unreadable);
        let stamp = stamp.map_err(|fault| io::Error::other(fault.to_string()))?;
        Ok(Self {
            kept: system::Kept::of_file(file)?,
            sha256,
            stamp,
            partial: None,
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
            Some(_) => digest(self.kept.file()),
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
            None => self.kept.file().try_clone()?,
            Some(path) => {
                let opened = inspect::open_regular(path);
                opened.map_err(|fault| io::Error::other(fault.to_string()))?
            }
        };
        let (mut buffer, mut at, mut sha256) = (vec![0; 1 << 16], 0, Sha256::new());
        loop {
            // By position: readers of an image share theirs.
            match files::read_at(&file, &mut buffer, at) {
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
        self.kept.file().try_clone()
    }

    /// The path that the system's loader opens.
    pub(super) fn path(&self) -> PathBuf {
        self.kept.path()
    }

    /// Removes a private copy as far as the system can do without what is mapped.
    pub(super) fn remove_copy(&mut self) {
        self.kept.remove_copy();
    }
}

/// SHA-256 of an open file.
fn digest(mut file: &File) -> io::Result<[u8; 32]> {
    let mut sha256 = Sha256::new();
    io::Seek::rewind(&mut file)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(sha256.finalize().into()),
            count => sha256.update(&buffer[..count]),
        }
    }
}

/// Hashes everything, and writes what is not left out: the hash is that of the file.
struct Hashing<'a> {
    file: &'a File,
    sha256: Sha256,
    at: u64,
    left_out: bool,
}

impl<'a> Hashing<'a> {
    fn new(file: &'a File) -> Self {
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

    fn finish(self) -> io::Result<[u8; 32]> {
        // As long as the file, also when its end was left out.
        self.file.set_len(self.at)?;
        Ok(self.sha256.finalize().into())
    }
}

impl Sink for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        files::write_all_at(self.file, bytes, self.at)?;
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
