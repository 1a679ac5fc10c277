//! Small files of the store's own: written under their name in one step, read as a whole.

use super::platform::{
    Errno, Open, OwnedFd, create_at, open_at, remove_file_at, rename_at, retry, sync,
};
use super::staging::Staging;
use std::fs::File;
use std::io::{Read, Write};

/// Limit of the size in bytes, far above the largest record.
const LARGEST: u64 = 1 << 20;

/// Stores a file, in place of one of that name; synced before if `durable`, its directory not.
pub(crate) fn store(
    staging: &Staging,
    dir: &OwnedFd,
    name: &str,
    content: &[u8],
    durable: bool,
) -> Result<(), Errno> {
    let staged = staging.name();
    let stored = create_at(staging.dir(), &staged).and_then(|fd| {
        let mut file = File::from(fd);
        file.write_all(content).map_err(errno)?;
        if durable {
            sync(&file)?;
        }
        rename_at(staging.dir(), &staged, dir, name)
    });
    stored.inspect_err(|_| {
        let _ = remove_file_at(staging.dir(), &staged);
    })
}

/// Reads a file, up to the limit; `None`: nothing has this name.
pub(crate) fn load(dir: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>, Errno> {
    let fd = match retry(|| open_at(dir, name, Open::Object)) {
        Err(Errno::NOENT) => return Ok(None),
        opened => opened?,
    };
    let mut content = Vec::new();
    let read = File::from(fd).take(LARGEST).read_to_end(&mut content);
    read.map_err(errno)?;
    Ok(Some(content))
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
