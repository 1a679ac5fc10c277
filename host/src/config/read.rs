//! Files that an operator names: configuration and secrets.

use super::owner::{FileRules, of_file};
use crate::platform::files;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// Time that a file system has to answer. A dead network mount never does.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a file is not read.
#[derive(Debug)]
pub(super) enum Refused {
    /// A rule for owners and modes, and what was found.
    Rule(&'static str, String),
    Unreadable(String),
}

impl From<io::Error> for Refused {
    fn from(cause: io::Error) -> Self {
        Self::Unreadable(cause.to_string())
    }
}

/// The whole content of a regular file of at most `most` bytes.
pub(crate) fn read_whole(file: &Path, most: u64) -> Result<Vec<u8>, String> {
    match regular_file(file, most + 1, None) {
        Ok(bytes) if bytes.len() as u64 > most => Err(format!("more than {most} bytes")),
        Ok(bytes) => Ok(bytes),
        Err(Refused::Unreadable(why) | Refused::Rule(_, why)) => Err(why),
    }
}

/// Reads up to `most` bytes of a regular file whose owner and mode keep these rules. A FIFO or a device
/// is refused and not waited for; a file system that does not answer within ten seconds is an error.
pub(super) fn regular_file(
    file: &Path,
    most: u64,
    rules: Option<FileRules>,
) -> Result<Vec<u8>, Refused> {
    let (send, receive) = mpsc::sync_channel(1);
    let path = file.to_owned();
    // A thread that hangs in the kernel cannot be ended; it is left behind.
    std::thread::Builder::new()
        .name("read-config".to_owned())
        .spawn(move || send.send(read(&path, most, rules)))?;
    match receive.recv_timeout(LIMIT) {
        Ok(read) => read,
        Err(_) => Err(Refused::Unreadable(format!(
            "no answer of the file system within {LIMIT:?}"
        ))),
    }
}

fn read(path: &Path, most: u64, rules: Option<FileRules>) -> Result<Vec<u8>, Refused> {
    let file = files::open_without_waiting(path)?;
    if let Some(rules) = rules {
        let judged = of_file(&file, path, &rules)?;
        judged.map_err(|(code, found)| Refused::Rule(code, found))?;
    }
    Ok(take(file, most)?)
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
            let Err(Refused::Unreadable(error)) = regular_file(path, 10, None) else {
                panic!("{} was read", path.display());
            };
            assert!(error.contains("not a regular file"), "{error}");
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "0123456789abc").unwrap();
        assert_eq!(regular_file(&file, 10, None).unwrap(), b"0123456789");
    }
}
