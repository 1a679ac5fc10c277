//! Files that an operator names: configuration and secrets.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// Time that a file system has to answer. A dead network mount never does.
const LIMIT: Duration = Duration::from_secs(10);

/// Reads up to `most` bytes of a regular file. A FIFO or a device is refused and not waited for; a
/// file system that does not answer within ten seconds is an error.
pub(super) fn regular_file(file: &Path, most: u64) -> Result<Vec<u8>, String> {
    let (send, receive) = mpsc::sync_channel(1);
    let path = file.to_owned();
    // A thread that hangs in the kernel cannot be ended; it is left behind.
    std::thread::Builder::new()
        .name("read-config".to_owned())
        .spawn(move || send.send(read(&path, most)))
        .map_err(|error| error.to_string())?;
    match receive.recv_timeout(LIMIT) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer of the file system within {LIMIT:?}")),
    }
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // Without the flag the open of a FIFO waits for its writer.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    take(file, most)
}

fn take(file: File, most: u64) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_and_a_device_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for path in [fifo.as_path(), Path::new("/dev/zero"), folder.path()] {
            let error = regular_file(path, 10).unwrap_err();
            assert!(error.contains("not a regular file"), "{error}");
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "0123456789abc").unwrap();
        assert_eq!(regular_file(&file, 10).unwrap(), b"0123456789");
    }
}
