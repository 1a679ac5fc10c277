//! Metadata where the file system has no extended attributes.
//!
//! A file of its own for each object, `ROOT/sidecars/<hash of the key>-<mtime>-<size>`, written
//! *before* the data is renamed into place. A reader takes time and size from the data that it has
//! open and asks for exactly that sidecar, so the rename of the data stays the only moment of
//! change and new data never meets old metadata. Price: twice the time of a put.
//!
//! Writers hold the key's lock, so a sidecar without its object is garbage as soon as the lock is
//! free; the sweep at start removes those.

use super::fault::{Fault, FaultKind, Outcome, retry};
use super::lock::{KeyLocks, key_hash};
use super::record::Record;
use super::staging::{FILE_MODE, Staging};
use super::stamp::Stamp;
use super::tree::{Tree, size};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};

/// `ROOT/sidecars`.
#[derive(Debug)]
pub(crate) struct Sidecars(OwnedFd);

/// Far more than the largest record.
const LARGEST: u64 = 1 << 20;

fn file_name(key: &str, stamp: Stamp, size: u64) -> String {
    format!("{:016x}-{:x}-{size:x}", key_hash(key), stamp.0)
}

impl Sidecars {
    pub(crate) fn new(dir: OwnedFd) -> Self {
        Self(dir)
    }

    /// Puts a sidecar in place, on the medium first if `durable`.
    pub(crate) fn write(
        &self,
        staging: &Staging,
        key: &str,
        record: &Record,
        durable: bool,
    ) -> Outcome<()> {
        let step = "write a sidecar";
        let staged = staging.name();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let written = openat(staging.dir(), staged.as_str(), flags, FILE_MODE).and_then(|fd| {
            let mut file = File::from(fd);
            // Keys may share a hash, so the file says whose it is.
            let mut content = u32::try_from(key.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes()
                .to_vec();
            content.extend(key.as_bytes());
            content.extend(record.encode());
            file.write_all(&content)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            if durable {
                fsync(&file)?;
            }
            let target = file_name(key, record.stamp, record.size);
            renameat(staging.dir(), staged.as_str(), &self.0, target.as_str())?;
            if durable { fsync(&self.0) } else { Ok(()) }
        });
        written.map_err(|errno| {
            let _ = unlinkat(staging.dir(), staged.as_str(), AtFlags::empty());
            Fault::os(step, errno)
        })
    }

    /// The record of this very version, if there is one.
    pub(crate) fn read(&self, key: &str, stamp: Stamp, size: u64) -> Outcome<Option<Record>> {
        let name = file_name(key, stamp, size);
        Ok(self
            .load(&name)?
            .filter(|(whose, _)| whose == key)
            .map(|(_, record)| record))
    }

    /// Removes the sidecar of this version.
    pub(crate) fn remove(&self, key: &str, stamp: Stamp, size: u64) {
        let _ = unlinkat(
            &self.0,
            file_name(key, stamp, size).as_str(),
            AtFlags::empty(),
        );
    }

    /// Removes sidecars whose object is gone or has changed. Answers how many.
    pub(crate) fn sweep(&self, tree: &Tree, locks: &KeyLocks) -> u64 {
        let Ok(entries) = Dir::read_from(&self.0) else {
            return 0;
        };
        let names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter_map(|e| e.file_name().to_str().ok().map(str::to_owned))
            .collect();
        let mut removed = 0;
        for name in names {
            let Ok(Some((key, record))) = self.load(&name) else {
                continue;
            };
            // A writer has written the sidecar and not yet the data.
            let Ok(_lock) = locks.try_exclusive(&key) else {
                continue;
            };
            let Ok(current) = tree.stat(&key) else {
                continue;
            };
            let current = current.map(|stat| (Stamp::of(&stat), size(&stat)));
            if current != Some((record.stamp, record.size))
                && unlinkat(&self.0, name.as_str(), AtFlags::empty()).is_ok()
            {
                removed += 1;
            }
        }
        removed
    }

    fn load(&self, name: &str) -> Outcome<Option<(String, Record)>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = match retry(|| openat(&self.0, name, flags, Mode::empty())) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(Fault::at("open a sidecar"))?,
        };
        let mut content = Vec::new();
        let damaged = || {
            Fault::new(
                FaultKind::Corrupt,
                "read a sidecar",
                "the object's metadata is damaged",
            )
        };
        File::from(fd)
            .take(LARGEST)
            .read_to_end(&mut content)
            .map_err(|_| damaged())?;
        let parsed = content.split_first_chunk::<4>().and_then(|(length, rest)| {
            let (key, record) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Some((
                std::str::from_utf8(key).ok()?.to_owned(),
                Record::decode(record).ok()?,
            ))
        });
        parsed.map(Some).ok_or_else(damaged)
    }
}
