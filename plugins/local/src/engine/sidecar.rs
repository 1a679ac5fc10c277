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
use super::platform::{Errno, OwnedFd, Stat, entries, remove_file_at, stat, sync_dir};
use super::small_file;
use super::staging::{Staging, random};
use super::stamp::Stamp;
use super::tree::Tree;

/// `ROOT/sidecars`.
#[derive(Debug)]
pub(crate) struct Sidecars(OwnedFd);

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
        // Keys may share a hash, so the file contains its key.
        let content = record.encode_with_key(key);
        let target = file_name(key, record.stamp, record.size);
        let mut written = small_file::store(staging, &self.0, &target, &content, durable);
        if durable {
            written = written.and_then(|()| sync_dir(&self.0));
        }
        written.map_err(|errno| match errno {
            Errno::NOENT => Fault::new(
                FaultKind::PartMissing,
                step,
                "the directory `staging` or `sidecars` of the root was removed",
            ),
            other => Fault::own(step)(other),
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
        const STEP: &str = "read a sidecar";
        let Some(content) = small_file::load(&self.0, name).map_err(Fault::own(STEP))? else {
            return Ok(None);
        };
        let damaged = || Fault::new(FaultKind::Corrupt, STEP, "the object's metadata is damaged");
        MetadataRecord::decode_with_key(&content)
            .map(Some)
            .ok_or_else(damaged)
    }
}
