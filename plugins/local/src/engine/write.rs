//! Writing: stage, describe, publish.
//!
//! An object is written in full where nobody looks, gets its time stamp and its metadata, is brought
//! to the medium as far as asked, and then takes its name in one step. Whatever ends the work before
//! that step, the object that was there stays, and nothing else remains.

use super::fault::{Fault, FaultKind, Outcome, retry};
use super::lock::KeyLock;
use super::probe::CreateOnly;
use super::read::Facts;
use super::record::{ATTRIBUTE, Metadata, Record};
use super::staging::FILE_MODE;
use super::stamp::Stamp;
use super::store::{Store, Sync};
use super::tree::{Dir, check, file_type, look, size, split};
use crc_fast::{CrcAlgorithm, Digest};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    Advice, AtFlags, FileType, OFlags, RenameFlags, Stat, XattrFlags, fadvise, fsetxattr, fsync,
    futimens, linkat, openat, renameat, renameat_with, unlinkat,
};
use rustix::io::{Errno, write};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Under which conditions, and how surely, something is published.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Publish<'a> {
    pub(crate) sync: Sync,
    pub(crate) create_only: bool,
    /// Only in place of this version; `*` is any.
    pub(crate) if_match: Option<&'a str>,
}

/// A name in staging, removed at the latest when it is dropped.
#[derive(Debug)]
pub(crate) struct Staged {
    store: Arc<Store>,
    name: String,
    gone: AtomicBool,
}

impl Staged {
    /// Removes the name; the file lives on while it is open.
    pub(crate) fn discard(&self) {
        if !self.gone.swap(true, Ordering::AcqRel)
            && let Ok(staging) = self.store.staging()
        {
            let _ = unlinkat(staging.dir(), self.name.as_str(), AtFlags::empty());
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.discard();
    }
}

/// An object in the making.
#[derive(Debug)]
pub(crate) struct Writer {
    staged: Arc<Staged>,
    file: OwnedFd,
    size: u64,
    digest: Digest,
    sync: Sync,
    /// Bytes that are on their way to the medium.
    flushed: u64,
}

/// How much of a durable object is sent off at a time, so that the last `fsync` finds little to do.
const FLUSH: u64 = 8 << 20;
/// Times that a put makes its directories again after a delete took them away.
const PATIENCE: usize = 1000;

impl Writer {
    /// Opens a file in staging.
    pub(crate) fn begin(store: &Arc<Store>, sync: Sync) -> Outcome<Self> {
        store.usable()?;
        let staging = store.staging()?;
        let name = staging.name();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(staging.dir(), name.as_str(), flags, FILE_MODE)
            .map_err(|errno| store.os("stage", errno))?;
        let staged = Arc::new(Staged {
            store: Arc::clone(store),
            name,
            gone: AtomicBool::new(false),
        });
        let digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        Ok(Self {
            staged,
            file,
            size: 0,
            digest,
            sync,
            flushed: 0,
        })
    }

    /// The name in staging, so that somebody else can take it away at once.
    pub(crate) fn staged(&self) -> &Arc<Staged> {
        &self.staged
    }

    /// Appends.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = retry(|| write(&self.file, rest)).map_err(Fault::at("write"))?;
            if count == 0 {
                return Err(Fault::new(FaultKind::Io, "write", "nothing was written"));
            }
            rest = &rest[count..];
        }
        if self.sync > Sync::None && self.size - self.flushed >= FLUSH {
            // "Not needed soon" starts the write-back of dirty pages and waits for nothing: what
            // sync_file_range would do, without needing a binding of our own.
            let _ = fadvise(
                &self.file,
                self.flushed,
                NonZeroU64::new(self.size - self.flushed),
                Advice::DontNeed,
            );
            self.flushed = self.size;
        }
        Ok(())
    }

    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// CRC-32C of the bytes so far.
    pub(crate) fn crc32c(&self) -> u32 {
        self.digest.finalize() as u32
    }

    /// The file in staging, for whoever fills it by other means than [`Writer::write`].
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Publishes what was written.
    pub(crate) fn publish(self, key: &str, metadata: Metadata, how: Publish<'_>) -> Outcome<Facts> {
        let (size, crc32c) = (self.size, Some(self.crc32c()));
        self.publish_as(key, size, crc32c, metadata, how)
    }

    /// Publishes the staged file, whose size and checksum the caller knows.
    pub(crate) fn publish_as(
        self,
        key: &str,
        size: u64,
        crc32c: Option<u32>,
        metadata: Metadata,
        how: Publish<'_>,
    ) -> Outcome<Facts> {
        let store = &self.staged.store;
        store.usable()?;
        check(key)?;
        let (parent, _) = split(key);
        let mut made = Vec::new();
        let mut record = Record {
            stamp: Stamp::default(),
            size,
            crc32c,
            metadata,
        };
        let published = self.name_it(key, &mut record, how, &mut made);
        if published.is_err() && !made.is_empty() {
            store.tree.prune(parent);
        }
        published?;
        let Record {
            stamp, metadata, ..
        } = record;
        Ok(Facts {
            stamp,
            size,
            crc32c: crc32c.filter(|_| store.keeps_metadata()),
            metadata,
            changed_outside: false,
        })
    }

    fn name_it(
        &self,
        key: &str,
        record: &mut Record,
        how: Publish<'_>,
        made: &mut Vec<OwnedFd>,
    ) -> Outcome<()> {
        let store = &*self.staged.store;
        let (parent, name) = split(key);
        self.describe(record, how.sync)?;
        let mut cleared = false;
        for _ in 0..PATIENCE {
            let dir = match store.tree.make_dir(parent, made) {
                // A delete took the directory away again.
                Err(Errno::NOENT) => {
                    store.present()?;
                    continue;
                }
                other => other.map_err(Fault::at("open parent"))?,
            };
            let lock = store.lock_for(key, how.if_match.is_some())?;
            let old = look(&dir, name).map_err(Fault::at("look for object"))?;
            match old.as_ref().map(file_type) {
                Some(FileType::Symlink) => return Err(Fault::os("publish", Errno::LOOP)),
                Some(FileType::Directory) if !cleared && store.tree.clear_empty(key) => {
                    cleared = true;
                    continue;
                }
                None | Some(FileType::RegularFile) => {}
                Some(_) => return Err(Fault::os("publish", Errno::ISDIR)),
            }
            store.conditions(old.as_ref(), how)?;
            if old
                .as_ref()
                .is_some_and(|old| (Stamp::of(old), size(old)) == (record.stamp, record.size))
            {
                // Another process drew the same stamp for the same size; one etag, two contents.
                drop(lock);
                self.describe(record, how.sync)?;
                continue;
            }
            match self.rename(key, &dir, name, record, old.as_ref(), how) {
                Ok(()) => {}
                Err(Errno::NOENT) => {
                    store.present()?;
                    if look(store.staging()?.dir(), &self.staged.name)
                        .is_ok_and(|staged| staged.is_none())
                    {
                        return Err(Fault::new(
                            FaultKind::Conflict,
                            "publish",
                            "the staged file was taken away",
                        ));
                    }
                    continue;
                }
                // Somebody was quicker; the next look says what it is.
                Err(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) => continue,
                Err(errno) => return Err(Fault::os("publish", errno)),
            }
            drop(lock);
            self.staged.gone.store(true, Ordering::Release);
            if how.sync == Sync::Full {
                sync_names(&dir, made)?;
            }
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Conflict,
            "publish",
            "others change this key again and again",
        ))
    }

    /// Gives the staged file its stamp and its metadata, and brings it to the medium as asked.
    fn describe(&self, record: &mut Record, sync: Sync) -> Outcome<()> {
        let store = &self.staged.store;
        record.stamp = store.clock.next();
        futimens(&self.file, &record.stamp.times()).map_err(Fault::at("set time"))?;
        if let Some(most) = store.probe.attribute_bytes {
            let value = record.encode();
            if value.len() > most as usize {
                let why = "metadata and headers are more than this file system keeps with a file";
                return Err(Fault::new(FaultKind::BadArgument, "write metadata", why));
            }
            // Leaves the time alone.
            fsetxattr(&self.file, ATTRIBUTE, &value, XattrFlags::empty())
                .map_err(Fault::at("write metadata"))?;
        }
        if sync > Sync::None {
            retry(|| fsync(&self.file)).map_err(Fault::at("sync file"))?;
        }
        Ok(())
    }

    /// The step in which the object appears, with its sidecar where there is one.
    fn rename(
        &self,
        key: &str,
        dir: &Dir<'_>,
        name: &str,
        record: &Record,
        old: Option<&Stat>,
        how: Publish<'_>,
    ) -> Result<(), Errno> {
        let store = &*self.staged.store;
        let Ok(staging) = store.staging() else {
            return Err(Errno::ROFS);
        };
        let sidecars = store.sidecars.as_ref().filter(|_| store.writes_sidecars());
        if let Some(sidecars) = sidecars {
            sidecars
                .write(staging, key, record, how.sync > Sync::None)
                .map_err(|fault| {
                    fault
                        .source
                        .and_then(|source| Errno::from_io_error(&source))
                        .unwrap_or(Errno::IO)
                })?;
        }
        let from = self.staged.name.as_str();
        let renamed = match (how.create_only, store.probe.create_only) {
            (false, _) => renameat(staging.dir(), from, dir, name),
            (true, CreateOnly::Rename) => {
                renameat_with(staging.dir(), from, dir, name, RenameFlags::NOREPLACE)
            }
            (true, CreateOnly::Link) => linkat(staging.dir(), from, dir, name, AtFlags::empty())
                .inspect(|()| self.staged.discard()),
            (true, CreateOnly::No) => Err(Errno::OPNOTSUPP),
        };
        if let Some(sidecars) = sidecars {
            match (&renamed, old) {
                (Ok(()), Some(old)) => sidecars.remove(key, Stamp::of(old), size(old)),
                (Err(_), _) => sidecars.remove(key, record.stamp, record.size),
                _ => {}
            }
        }
        renamed
    }
}

impl Store {
    /// Stores `parts`, one after the other, as one object.
    #[cfg(test)]
    pub(crate) fn put(
        self: &Arc<Self>,
        key: &str,
        parts: &[&[u8]],
        metadata: Metadata,
        how: Publish<'_>,
    ) -> Outcome<Facts> {
        let mut writer = Writer::begin(self, how.sync)?;
        for part in parts {
            writer.write(part)?;
        }
        writer.publish(key, metadata, how)
    }

    /// Fails early what can only fail: spares the transfer of a large body.
    pub(crate) fn precheck(&self, key: &str, how: Publish<'_>) -> Outcome<()> {
        self.usable()?;
        self.staging()?;
        check(key)?;
        let old = self.tree.stat(key).map_err(Fault::at("look for object"))?;
        match old.as_ref().map(file_type) {
            Some(FileType::Symlink) => Err(Fault::os("look for object", Errno::LOOP)),
            Some(FileType::RegularFile) | None => {
                if old.is_none() {
                    self.present()?;
                }
                self.conditions(old.as_ref(), how)
            }
            Some(_) => Ok(()),
        }
    }

    /// The lock that a change of this key needs.
    pub(crate) fn lock_for(&self, key: &str, conditional: bool) -> Outcome<Option<KeyLock>> {
        if conditional || self.writes_sidecars() {
            self.locks()?.exclusive(key).map(Some)
        } else {
            self.locks()?.shared_if_used(key)
        }
    }

    /// Holds the conditions against what is there.
    pub(crate) fn conditions(&self, old: Option<&Stat>, how: Publish<'_>) -> Outcome<()> {
        let lost = |why| Err(Fault::new(FaultKind::Precondition, "check conditions", why));
        if how.create_only && old.is_some() {
            return lost("the key exists");
        }
        match (how.if_match, old) {
            (None, _) | (Some("*"), Some(_)) => Ok(()),
            (Some(_), None) => lost("no object has this key"),
            (Some(wanted), Some(old))
                if self.etag(Stamp::of(old), size(old)).as_deref() == Some(wanted) =>
            {
                Ok(())
            }
            (Some(_), Some(_)) => lost("the object has another etag"),
        }
    }
}

/// Brings a new name to the medium, and the names of directories that were made for it.
pub(crate) fn sync_names(dir: &impl AsFd, made: &[OwnedFd]) -> Outcome<()> {
    retry(|| fsync(dir)).map_err(Fault::at("sync directory"))?;
    // Innermost first: a name is of use once what it leads to is there.
    made.iter()
        .rev()
        .try_for_each(|parent| retry(|| fsync(parent)).map_err(Fault::at("sync directory")))
}
