//! Writing: stage, describe, publish.
//!
//! An object is written to a staging file, gets its time stamp and its metadata, is synced as far as
//! asked, and is published by one rename. Work that ends before the rename leaves the previous object
//! in place and no residue.

use super::fault::{Fault, FaultKind, Outcome};
use super::lock::KeyLock;
use super::metadata_record::{Metadata, MetadataRecord};
use super::platform::{
    AsFd, Errno, FileType, OwnedFd, REFUSES_AS_ABSENT, Stat, begin_write_back, create_at, link_at,
    rename_at, rename_new_at, retry, seek, set_attribute, set_modified, stat, sync, sync_dir,
    write,
};
use super::probe::CreateOnly;
use super::read::ObjectFacts;
use super::staged::{Place, Staged};
use super::stamp::Stamp;
use super::store::{LocalStore, Sync};
use super::tree::{Dir, Tree, check, look, split};
use super::uploads;
use crc_fast::{CrcAlgorithm, Digest};
use std::sync::{Arc, Mutex, PoisonError};

/// Conditions and durability of a publication.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Publish<'a> {
    pub(crate) sync: Sync,
    pub(crate) create_only: bool,
    /// Only in place of this version; `*` is any.
    pub(crate) if_match: Option<&'a str>,
}

/// An object, or a part of one, that is being written.
#[derive(Debug)]
pub(crate) struct Writer {
    staged: Arc<Staged>,
    file: OwnedFd,
    /// Offset in the file of the first byte that is written.
    start: u64,
    size: u64,
    digest: Digest,
    sync: Sync,
    /// Bytes whose write-back has begun.
    flushed: u64,
    /// Its stamp, once it has its metadata: a publication that is repeated syncs nothing again.
    described: Mutex<Option<Stamp>>,
    /// Held for its lock, until the file is closed.
    _lock: Option<OwnedFd>,
}

/// Bytes of a durable object whose write-back is begun at a time, so that the last `fsync` is short.
const FLUSH: u64 = 8 << 20;
/// Times that a put creates its directories again after a delete has removed them.
const ATTEMPTS: usize = 1000;

impl Writer {
    /// Opens a file in staging.
    pub(crate) fn begin(store: &Arc<LocalStore>, sync: Sync) -> Outcome<Self> {
        store.usable()?;
        let staging = store.staging()?;
        store
            .parts_present()
            .map_err(|fault| store.part_or_root(fault))?;
        let name = staging.name();
        let file = match create_at(staging.dir(), &name) {
            Err(Errno::NOENT) => {
                store.present()?;
                let why = "the directory `staging` of the root, or part of it, was removed";
                return Err(Fault::new(FaultKind::PartMissing, "stage", why));
            }
            opened => opened.map_err(Fault::own("stage"))?,
        };
        Ok(Self::over(store, Place::Own(name), file, sync))
    }

    /// Writes into the joint file of an upload in parts, from `start` on, and holds a lock of the upload until that
    /// file is closed.
    pub(super) fn into_upload(
        store: &Arc<LocalStore>,
        dir: OwnedFd,
        file: OwnedFd,
        start: u64,
        sync: Sync,
        lock: OwnedFd,
    ) -> Outcome<Self> {
        seek(&file, start).map_err(Fault::at("write"))?;
        Ok(Self {
            start,
            _lock: Some(lock),
            ..Self::over(store, Place::Upload(dir), file, sync)
        })
    }

    fn over(store: &Arc<LocalStore>, place: Place, file: OwnedFd, sync: Sync) -> Self {
        Self {
            staged: Arc::new(Staged::new(store, place)),
            file,
            start: 0,
            size: 0,
            digest: Digest::new(CrcAlgorithm::Crc32Iscsi),
            sync,
            flushed: 0,
            described: Mutex::new(None),
            _lock: None,
        }
    }

    /// The store that it is written to.
    pub(super) fn store(&self) -> &Arc<LocalStore> {
        &self.staged.store
    }

    /// The name in staging, which can be removed without the writer.
    pub(crate) fn staged(&self) -> &Arc<Staged> {
        &self.staged
    }

    /// Appends.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
        self.append(bytes)?;
        if self.sync > Sync::None && self.size - self.flushed >= FLUSH {
            let from = self.start + self.flushed;
            begin_write_back(&self.file, from, self.size - self.flushed);
            self.flushed = self.size;
        }
        Ok(())
    }

    /// Appends what is no part of the content.
    pub(super) fn append(&self, bytes: &[u8]) -> Outcome<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = retry(|| write(&self.file, rest)).map_err(Fault::at("write"))?;
            if count == 0 {
                return Err(Fault::new(FaultKind::Io, "write", "nothing was written"));
            }
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Waits until the file is on the medium, if that was asked for.
    pub(super) fn settle(&self) -> Outcome<()> {
        match self.sync {
            Sync::None => Ok(()),
            Sync::Data | Sync::Full => retry(|| sync(&self.file)).map_err(Fault::at("sync file")),
        }
    }

    /// Offset in the joint file of an upload, if it is written there.
    pub(super) fn joint_offset(&self) -> Option<u64> {
        self.staged.is_of_upload().then_some(self.start)
    }

    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// CRC-32C of the bytes so far.
    pub(crate) fn crc32c(&self) -> u32 {
        self.digest.finalize() as u32
    }

    /// The file in staging, to fill it by other means than [`Writer::write`].
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Publishes what was written. After a fault [`FaultKind::Locked`] it may be called again.
    pub(crate) fn publish(
        &self,
        key: &str,
        metadata: Metadata,
        how: Publish<'_>,
    ) -> Outcome<ObjectFacts> {
        let (size, crc32c) = (self.size, Some(self.crc32c()));
        self.publish_as(key, size, crc32c, metadata, how)
    }

    /// Publishes the staged file, whose size and checksum the caller knows.
    pub(crate) fn publish_as(
        &self,
        key: &str,
        size: u64,
        crc32c: Option<u32>,
        metadata: Metadata,
        how: Publish<'_>,
    ) -> Outcome<ObjectFacts> {
        let store = &self.staged.store;
        store.usable()?;
        check(key)?;
        let (parent, _) = split(key);
        let mut made = Vec::new();
        let mut record = MetadataRecord {
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
        let MetadataRecord {
            stamp, metadata, ..
        } = record;
        Ok(ObjectFacts {
            stamp,
            // The rename has set it.
            changed: changed_at(&store.tree, &self.file)?,
            size,
            crc32c: crc32c.filter(|_| store.keeps_metadata()),
            metadata,
            changed_by_others: false,
        })
    }

    fn name_it(
        &self,
        key: &str,
        record: &mut MetadataRecord,
        how: Publish<'_>,
        made: &mut Vec<OwnedFd>,
    ) -> Outcome<()> {
        let store = &*self.staged.store;
        let (parent, name) = split(key);
        match self.described() {
            Some(stamp) => record.stamp = stamp,
            None => self.describe(record, how.sync)?,
        }
        let mut cleared = false;
        let mut refused = RefusedName::default();
        for _ in 0..ATTEMPTS {
            let dir = match store.tree.make_dir(parent, made) {
                // A delete has removed the directory again.
                Err(Errno::NOENT) => {
                    store.present()?;
                    continue;
                }
                other => other.map_err(Fault::name("open parent"))?,
            };
            let lock = store.lock_for(key, how.if_match.is_some())?;
            let old = store.tree.look(&dir, name);
            let old = old.map_err(Fault::name("look for object"))?;
            match old.as_ref().map(|stat| stat.kind) {
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
                .is_some_and(|old| (old.modified, old.size) == (record.stamp, record.size))
            {
                // Another process drew the same stamp for the same size; one etag, two contents.
                drop(lock);
                self.describe(record, how.sync)?;
                continue;
            }
            store.present()?;
            match self.rename(key, &dir, name, record, old.as_ref(), how)? {
                Ok(()) => {}
                Err(Errno::NOENT) => {
                    let staged = look(self.staged.dir()?, self.staged.name());
                    if staged.is_ok_and(|staged| staged.is_none()) {
                        if self.joint_offset().is_some() {
                            return Err(uploads::not_found());
                        }
                        let why = "the staged file was removed by another program";
                        return Err(Fault::new(FaultKind::Busy, "publish", why));
                    }
                    if refused.name_of(&dir) {
                        return Err(Fault::name("publish")(Errno::INVAL));
                    }
                    continue;
                }
                // Another writer was first; the next look says what it stored.
                Err(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) => continue,
                Err(errno) => return Err(Fault::name("publish")(errno)),
            }
            drop(lock);
            self.staged.published();
            if how.sync == Sync::Full {
                sync_names(&dir, made)?;
            }
            return Ok(());
        }
        Err(Fault::new(
            FaultKind::Conflict,
            "publish",
            "other writers changed this key on each attempt",
        ))
    }

    /// Gives the staged file its stamp and its metadata, and syncs it as asked.
    fn describe(&self, record: &mut MetadataRecord, how: Sync) -> Outcome<()> {
        let store = &self.staged.store;
        record.stamp = store.clock.next();
        set_modified(&self.file, record.stamp).map_err(Fault::own("set time"))?;
        if store.probe.attribute_bytes.is_some() {
            let value = record.encode();
            store.fits(&value)?;
            set_attribute(&self.file, &value).map_err(Fault::at("write metadata"))?;
        }
        if how > Sync::None {
            retry(|| sync(&self.file)).map_err(Fault::at("sync file"))?;
        }
        *self
            .described
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(record.stamp);
        Ok(())
    }

    fn described(&self) -> Option<Stamp> {
        *self
            .described
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The step in which the object appears, with its sidecar where there is one.
    fn rename(
        &self,
        key: &str,
        dir: &Dir<'_>,
        name: &str,
        record: &MetadataRecord,
        old: Option<&Stat>,
        how: Publish<'_>,
    ) -> Outcome<Result<(), Errno>> {
        let store = &*self.staged.store;
        let sidecars = store.sidecars.as_ref().filter(|_| store.writes_sidecars());
        if let Some(sidecars) = sidecars {
            sidecars.write(store.staging()?, key, record, how.sync > Sync::None)?;
        }
        let (from_dir, from) = (self.staged.dir()?, self.staged.name());
        let link = || link_at(from_dir, from, dir, name).inspect(|()| self.staged.remove());
        let renamed = match (how.create_only, store.probe.create_only) {
            (false, _) => rename_at(from_dir, from, dir, name),
            (true, CreateOnly::Rename) => {
                match rename_new_at(from_dir, from, dir, name) {
                    // Not here, though it was tried: a file system that changes its mind.
                    Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link(),
                    renamed => renamed,
                }
            }
            (true, CreateOnly::Link) => link(),
            (true, CreateOnly::No) => Err(Errno::OPNOTSUPP),
        };
        if let Some(sidecars) = sidecars {
            match (&renamed, old) {
                (Ok(()), Some(old)) => sidecars.remove(key, old.modified, old.size),
                (Err(_), _) => sidecars.remove(key, record.stamp, record.size),
                _ => {}
            }
        }
        Ok(renamed)
    }
}

/// Tells a name that the file system refuses with "no such file" from a directory that another
/// writer has removed.
#[derive(Debug, Default)]
pub(crate) struct RefusedName {
    directory: Option<(u64, u64)>,
}

impl RefusedName {
    /// After "no such file": whether the directory has still been there each of two times.
    pub(crate) fn name_of(&mut self, dir: &impl AsFd) -> bool {
        let linked = stat(dir)
            .ok()
            .filter(|stat| REFUSES_AS_ABSENT && stat.links > 0);
        let found = linked.map(|stat| stat.identity);
        let again = found.is_some() && self.directory == found;
        self.directory = found;
        again
    }
}

/// The change time of an open file, after a rename.
pub(crate) fn changed_at(tree: &Tree, file: &OwnedFd) -> Outcome<Stamp> {
    // Where a server has replaced it since, what the kernel remembers is all there is.
    let found = tree.facts(file).or_else(|_| stat(file));
    found
        .map(|stat| stat.changed)
        .map_err(Fault::own("stat object"))
}

/// Repeats a change while another writer holds the lock.
#[cfg(test)]
pub(crate) fn while_locked<T>(change: impl Fn() -> Outcome<T>) -> Outcome<T> {
    loop {
        match change() {
            Err(fault) if fault.kind == FaultKind::Locked => {}
            outcome => return outcome,
        }
    }
}

impl LocalStore {
    /// Stores `parts`, one after the other, as one object.
    #[cfg(test)]
    pub(crate) fn put(
        self: &Arc<Self>,
        key: &str,
        parts: &[&[u8]],
        metadata: Metadata,
        how: Publish<'_>,
    ) -> Outcome<ObjectFacts> {
        let mut writer = Writer::begin(self, how.sync)?;
        for part in parts {
            writer.write(part)?;
        }
        while_locked(|| writer.publish(key, metadata.clone(), how))
    }

    /// Fails early where the upload can only fail, before a large body is transferred.
    pub(crate) fn precheck(&self, key: &str, how: Publish<'_>) -> Outcome<()> {
        self.usable()?;
        self.staging()?;
        check(key)?;
        let old = self
            .tree
            .stat(key)
            .map_err(Fault::name("look for object"))?;
        let old = old.map_or_else(|| self.settled(key), |stat| Ok(Some(stat)))?;
        match old.as_ref().map(|stat| stat.kind) {
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

    /// Whether the file system keeps an encoded record with a file.
    pub(super) fn fits(&self, record: &[u8]) -> Outcome<()> {
        let most = self.probe.attribute_bytes;
        if most.is_none_or(|most| record.len() <= most as usize) {
            return Ok(());
        }
        let why = "metadata and headers are more than this file system keeps with a file";
        Err(Fault::new(FaultKind::BadArgument, "write metadata", why))
    }

    /// The lock that a change of this key needs.
    pub(crate) fn lock_for(&self, key: &str, conditional: bool) -> Outcome<Option<KeyLock>> {
        let locks = self.locks()?;
        let alone = conditional || self.writes_sidecars() || self.tree.doubts_absence();
        let lock = if alone {
            locks.exclusive(key).map(Some)
        } else {
            locks.shared_if_used(key)
        };
        lock.map_err(|fault| self.part_or_root(fault))
    }

    /// Checks the conditions against the current object.
    pub(crate) fn conditions(&self, old: Option<&Stat>, how: Publish<'_>) -> Outcome<()> {
        let lost = |why| Err(Fault::new(FaultKind::Precondition, "check conditions", why));
        if how.create_only && old.is_some() {
            return lost("the key exists");
        }
        match (how.if_match, old) {
            (None, _) | (Some("*"), Some(_)) => Ok(()),
            (Some(_), None) => lost("no object has this key"),
            (Some(wanted), Some(old)) if self.etag_of(old).as_deref() == Some(wanted) => Ok(()),
            (Some(_), Some(_)) => lost("the object has another etag"),
        }
    }
}

/// Syncs a new name, and the names of directories that were created for it.
pub(crate) fn sync_names(dir: &impl AsFd, made: &[OwnedFd]) -> Outcome<()> {
    retry(|| sync_dir(dir)).map_err(Fault::at("sync directory"))?;
    // Innermost first, so that no durable name leads to a missing directory.
    made.iter()
        .rev()
        .try_for_each(|parent| retry(|| sync_dir(parent)).map_err(Fault::at("sync directory")))
}
