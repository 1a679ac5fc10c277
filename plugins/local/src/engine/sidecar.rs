//! Metadata on file systems without extended attributes.
//!
//! One file for each object, `ROOT/sidecars/<hash of the key>-<mtime>-<size>`, written *before* the
//! data is renamed into place. A reader takes time and size from the data that it has open and reads
//! exactly that sidecar, so the rename of the data stays the only step of the change and new data is
//! never read with old metadata. A put takes twice as long.
//!
//! Writers hold the key's lock, so a sidecar without its object is garbage once the lock is free. The
//! sweep in the background removes those.

use super::fault::{Fault, FaultKind, Outcome};
use super::lock::{KeyLocks, key_hash};
use super::metadata_record::MetadataRecord;
use super::platform::{
    Errno, Open, OwnedFd, Stat, create_at, entries, open_at, remove_file_at, rename_at, retry,
    stat, sync, sync_dir,
};
use super::staging::{Staging, random};
use super::stamp::Stamp;
use super::tree::Tree;
use std::fs::File;
use std::io::{Read, Write};

/// `ROOT/sidecars`.
#[derive(Debug)]
pub(crate) struct Sidecars(OwnedFd);

/// Limit of a sidecar's size in bytes, far above the largest record.
const LARGEST: u64 = 1 << 20;

fn file_name(key: &str, stamp: Stamp, size: u64) -> String {
    format!("{:016x}-{:x}-{size:x}", key_hash(key), stamp.0)
}

impl Sidecars {
    pub(crate) fn new(dir: OwnedFd) -> Self {
        Self(dir)
    }

    /// Writes a sidecar, synced if `durable`.
    pub(crate) fn write(
        &self,
        staging: &Staging,
        key: &str,
        record: &MetadataRecord,
        durable: bool,
    ) -> Outcome<()> {
        let step = "write a sidecar";
        let staged = staging.name();
        let written = create_at(staging.dir(), &staged).and_then(|fd| {
            let mut file = File::from(fd);
            // Keys may share a hash, so the file contains its key.
            let mut content = u32::try_from(key.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes()
                .to_vec();
            content.extend(key.as_bytes());
            content.extend(record.encode());
            file.write_all(&content)
                .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            if durable {
                sync(&file)?;
            }
            let target = file_name(key, record.stamp, record.size);
            rename_at(staging.dir(), &staged, &self.0, &target)?;
            if durable { sync_dir(&self.0) } else { Ok(()) }
        });
        written.map_err(|errno| {
            let _ = remove_file_at(staging.dir(), &staged);
            match errno {
                Errno::NOENT => Fault::new(
                    FaultKind::PartMissing,
                    step,
                    "the directory `staging` or `sidecars` of the root was removed",
                ),
                other => Fault::own(step)(other),
            }
        })
    }

    /// Whether the directory was removed.
    pub(crate) fn removed(&self) -> bool {
        stat(&self.0).is_ok_and(|stat| stat.links == 0)
    }

    /// The record of exactly this version, if there is one.
    pub(crate) fn read(
        &self,
        key: &str,
        stamp: Stamp,
        size: u64,
    ) -> Outcome<Option<MetadataRecord>> {
        let name = file_name(key, stamp, size);
        Ok(self
            .load(&name)?
            .filter(|(stored, _)| stored == key)
            .map(|(_, record)| record))
    }

    /// Removes the sidecar of this version.
    pub(crate) fn remove(&self, key: &str, stamp: Stamp, size: u64) {
        let _ = remove_file_at(&self.0, &file_name(key, stamp, size));
    }

    /// Removes sidecars whose object is gone or has changed, out of at most `most` that are looked
    /// at, from a random one on. Returns how many. Ends early once `stop` says so.
    pub(crate) fn sweep(
        &self,
        tree: &Tree,
        locks: &KeyLocks,
        most: usize,
        stop: impl Fn() -> bool,
    ) -> u64 {
        let Ok(entries) = entries(&self.0) else {
            return 0;
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| String::from_utf8(entry.ok()?.name).ok())
            .collect();
        if !names.is_empty() {
            let first = random() as usize % names.len();
            names.rotate_left(first);
        }
        names.truncate(most);
        let orphaned = |key: &str, record: &MetadataRecord| {
            let current = tree.stat(key).ok();
            let version = |stat: Option<Stat>| stat.map(|stat| (stat.modified, stat.size));
            current.is_some_and(|stat| version(stat) != Some((record.stamp, record.size)))
        };
        let mut removed = 0;
        for name in names {
            if stop() {
                break;
            }
            let Ok(Some((key, record))) = self.load(&name) else {
                continue;
            };
            // Again under the lock: a writer may have written the sidecar and not yet the data.
            if orphaned(&key, &record)
                && let Ok(_lock) = locks.try_exclusive(&key)
                && orphaned(&key, &record)
                && remove_file_at(&self.0, &name).is_ok()
            {
                removed += 1;
            }
        }
        removed
    }

    fn load(&self, name: &str) -> Outcome<Option<(String, MetadataRecord)>> {
        let fd = match retry(|| open_at(&self.0, name, Open::Object)) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(Fault::own("open a sidecar"))?,
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
                MetadataRecord::decode(record).ok()?,
            ))
        });
        parsed.map(Some).ok_or_else(damaged)
    }
}
