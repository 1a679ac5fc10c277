//! Reading: facts and bytes of one version.
//!
//! Everything comes from one descriptor, so an upload that replaces the object meanwhile changes
//! nothing for a reader that has begun. Other programs may write *into* a file; that changes its time
//! or size, and a reader compares both at the end.

use super::fault::{Fault, FaultKind, Outcome};
use super::metadata_record::{Metadata, MetadataRecord, Unreadable};
use super::platform::{
    self, Errno, FileType, OwnedFd, Stat, attribute_size, read_at, read_cached_at, read_onto,
    retry, stat,
};
use super::stamp::Stamp;
use super::store::LocalStore;
use super::tree::check;

/// Facts about a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ObjectFacts {
    pub(crate) stamp: Stamp,
    /// The change time. No program can set it.
    pub(crate) changed: Stamp,
    pub(crate) size: u64,
    /// Of the bytes as they were uploaded.
    pub(crate) crc32c: Option<u32>,
    pub(crate) metadata: Metadata,
    /// Another program wrote in place after the upload: the content type is kept, checksum and user
    /// metadata are dropped.
    pub(crate) changed_by_others: bool,
}

/// An object, opened.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) fd: OwnedFd,
    pub(crate) facts: ObjectFacts,
}

/// Result of [`LocalStore::object_if_cached`].
#[derive(Debug)]
pub(crate) enum Cached {
    /// Facts and bytes.
    Read(Object, Vec<u8>),
    /// The bytes were not asked for, or are not in the cache.
    Opened(Object),
    /// Something is not in the caches, or failed: use [`LocalStore::object`].
    No,
}

/// Versions that may be replaced while one reader looks for a sidecar.
const ATTEMPTS: usize = 64;

impl LocalStore {
    /// Opens an object.
    pub(crate) fn object(&self, key: &str) -> Outcome<Object> {
        self.usable()?;
        self.present_to_readers()?;
        check(key)?;
        let mut attempts = 0;
        loop {
            match self.object_at_present(key) {
                // Replaced between two steps, on a file system whose server forgets it at once (NFS, FUSE).
                Err(fault) if fault.is_stale() && attempts < ATTEMPTS => attempts += 1,
                found => return found,
            }
        }
    }

    fn object_at_present(&self, key: &str) -> Outcome<Object> {
        const STEP: &str = "open object";
        for _ in 0..ATTEMPTS {
            let fd = match self.tree.open(key) {
                Ok(fd) => fd,
                Err(Errno::NOENT) if self.settled(key)?.is_some() => continue,
                // Below an object there is nothing; a socket is no object.
                Err(Errno::NOTDIR | Errno::NXIO | Errno::NOENT) => return Err(self.missing(STEP)),
                Err(errno) => return Err(Fault::name(STEP)(errno)),
            };
            let stat = match self.tree.facts(&fd) {
                // The server has no such file any more.
                Err(Errno::NOENT) if self.tree.doubts_absence() => continue,
                stat => stat.map_err(Fault::at("stat object"))?,
            };
            if stat.kind != FileType::RegularFile {
                return Err(self.missing(STEP));
            }
            // Replaced since it was opened: its change time is that of the removal, and no etag of it.
            if stat.links == 0 {
                continue;
            }
            // There a replaced file keeps a link, and its change time is that of the removal.
            if self.tree.doubts_absence() && self.moved(key, &stat)? {
                continue;
            }
            let facts = self.facts_of(key, &fd, &stat)?;
            // Stored by another program, or replaced while its sidecar was looked for.
            if self.writes_sidecars() && facts.crc32c.is_none() && self.moved(key, &stat)? {
                continue;
            }
            return Ok(Object { fd, facts });
        }
        Err(Fault::new(
            FaultKind::Conflict,
            STEP,
            "the object is being replaced again and again",
        ))
    }

    /// Opens an object, and reads `pick(facts)` of it, as far as nothing of that waits for a medium.
    pub(crate) fn object_if_cached(
        &self,
        key: &str,
        pick: impl FnOnce(&ObjectFacts) -> Option<std::ops::Range<u64>>,
    ) -> Outcome<Cached> {
        self.usable()?;
        check(key)?;
        if self.sidecars.is_some() || !self.lately_present() {
            return Ok(Cached::No);
        }
        // Every error takes the long way too, which knows what each one means.
        let Ok(fd) = self.tree.open_cached(key) else {
            return Ok(Cached::No);
        };
        let Ok(stat) = stat(&fd) else {
            return Ok(Cached::No);
        };
        if stat.kind != FileType::RegularFile || stat.links == 0 {
            return Ok(Cached::No);
        }
        let facts = self.facts_of(key, &fd, &stat)?;
        let picked = pick(&facts);
        let object = Object { fd, facts };
        let Some(range) = picked else {
            return Ok(Cached::Opened(object));
        };
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap_or(0)];
        let read = if bytes.is_empty() {
            Ok(0)
        } else if self.probe.in_memory {
            // Memory needs no wait, and tmpfs does not support RWF_NOWAIT.
            read_at(&object.fd, &mut bytes, range.start)
        } else {
            read_cached_at(&object.fd, &mut bytes, range.start)
        };
        if read == Ok(bytes.len()) && object.unchanged() {
            Ok(Cached::Read(object, bytes))
        } else {
            Ok(Cached::Opened(object))
        }
    }

    /// Whether an object is there, as far as the kernel's caches tell.
    pub(crate) fn exists_in_cache(&self, key: &str) -> Outcome<bool> {
        self.usable()?;
        check(key)?;
        if !self.lately_present() {
            return Ok(false);
        }
        let found = self.tree.open_cached(key).and_then(|fd| stat(&fd));
        Ok(found.is_ok_and(|stat| stat.kind == FileType::RegularFile))
    }

    /// Whether an object has exactly this key.
    pub(crate) fn exists(&self, key: &str) -> Outcome<bool> {
        const STEP: &str = "look for object";
        self.usable()?;
        self.present_to_readers()?;
        check(key)?;
        let found = self.tree.stat(key).map_err(Fault::name(STEP))?;
        let found = found.map_or_else(|| self.settled(key), |stat| Ok(Some(stat)))?;
        match found.map(|stat| stat.kind) {
            Some(FileType::RegularFile) => Ok(true),
            Some(FileType::Symlink) => Err(Fault::os(STEP, Errno::LOOP)),
            Some(_) => Ok(false),
            // "No" must be proven: not so when the whole root is gone.
            None => self.present().map(|()| false),
        }
    }

    fn facts_of(&self, key: &str, fd: &OwnedFd, stat: &Stat) -> Outcome<ObjectFacts> {
        let (stamp, size) = (stat.modified, stat.size);
        let bare = ObjectFacts {
            stamp,
            size,
            changed: stat.changed,
            ..ObjectFacts::default()
        };
        let record = match attribute(fd)? {
            Some(record) => Some(record),
            None => match &self.sidecars {
                Some(sidecars) => sidecars.read(key, stamp, size)?,
                None => None,
            },
        };
        let Some(record) = record else {
            return Ok(bare);
        };
        let same_time = self.probe.time_step.is_none() || record.stamp == stamp;
        if same_time && record.size == size {
            return Ok(ObjectFacts {
                crc32c: record.crc32c,
                metadata: record.metadata,
                ..bare
            });
        }
        let metadata = Metadata {
            content_type: record.metadata.content_type,
            ..Metadata::default()
        };
        Ok(ObjectFacts {
            metadata,
            changed_by_others: true,
            ..bare
        })
    }

    /// Looks once more for a name that was not found, where its absence may be a moment of a rename
    /// (see [`Tree::doubts_absence`](super::tree::Tree::doubts_absence)): while no writer has it.
    pub(crate) fn settled(&self, key: &str) -> Outcome<Option<Stat>> {
        let Some(locks) = self.locks().ok().filter(|_| self.tree.doubts_absence()) else {
            return Ok(None);
        };
        let mut attempts = 0;
        let lock = loop {
            match locks.shared_if_used(key) {
                Err(fault) if fault.kind == FaultKind::Locked && attempts < ATTEMPTS => {
                    attempts += 1;
                }
                lock => break lock?,
            }
        };
        let found = self.tree.stat(key).map_err(Fault::name("look for object"));
        drop(lock);
        found
    }

    /// Whether the file has lost this name since `before`, even for a moment. A rename away and back
    /// shows only in the change time.
    fn moved(&self, key: &str, before: &Stat) -> Outcome<bool> {
        let now = self.tree.stat(key).map_err(Fault::at("look for object"))?;
        let identity = |stat: &Stat| (stat.identity, stat.changed, stat.modified, stat.size);
        Ok(now.as_ref().map(identity) != Some(identity(before)))
    }
}

impl Object {
    /// Reads on at `offset`: appends to `buffer`, up to its capacity, fewer bytes only at the end of
    /// the object.
    pub(crate) fn read_at(&self, buffer: &mut Vec<u8>, mut offset: u64) -> Outcome<usize> {
        let before = buffer.len();
        while buffer.len() < buffer.capacity() {
            let count =
                retry(|| read_onto(&self.fd, buffer, offset)).map_err(Fault::at("read object"))?;
            if count == 0 {
                break;
            }
            offset += count as u64;
        }
        Ok(buffer.len() - before)
    }

    /// Fills the buffer from `offset` on; `false`: the object ends before.
    pub(crate) fn fill_at(&self, buffer: &mut [u8], offset: u64) -> Outcome<bool> {
        let mut filled = 0;
        while filled < buffer.len() {
            let rest = &mut buffer[filled..];
            let count = retry(|| read_at(&self.fd, rest, offset + filled as u64))
                .map_err(Fault::at("read object"))?;
            if count == 0 {
                return Ok(false);
            }
            filled += count;
        }
        Ok(true)
    }

    /// Fills the buffer from `offset` on, when nothing of that waits for a medium. `false`: something
    /// would, or failed; what is in the buffer then means nothing.
    pub(crate) fn read_cached_at(&self, buffer: &mut [u8], offset: u64) -> bool {
        let wanted = buffer.len();
        read_cached_at(&self.fd, buffer, offset) == Ok(wanted)
    }

    /// Whether no program has written in place since the object was opened.
    pub(crate) fn unchanged(&self) -> bool {
        stat(&self.fd)
            .is_ok_and(|stat| (stat.modified, stat.size) == (self.facts.stamp, self.facts.size))
    }
}

/// Reads our attribute. `None`: there is none.
fn attribute(fd: &OwnedFd) -> Outcome<Option<MetadataRecord>> {
    const STEP: &str = "read metadata";
    let mut short = [0; 256];
    let mut long = Vec::new();
    let bytes = match platform::attribute(fd, &mut short) {
        Ok(count) => &short[..count],
        Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
        Err(Errno::RANGE) => {
            let count = attribute_size(fd).map_err(Fault::at(STEP))?;
            long.resize(count, 0);
            let count = platform::attribute(fd, &mut long).map_err(Fault::at(STEP))?;
            &long[..count]
        }
        Err(errno) => return Err(Fault::os(STEP, errno)),
    };
    let corrupt = |why| Fault::new(FaultKind::Corrupt, STEP, why);
    match MetadataRecord::decode(bytes) {
        Ok(record) => Ok(Some(record)),
        Err(Unreadable::Newer) => Err(corrupt(
            "the object's metadata was written by a later version of this plugin",
        )),
        Err(Unreadable::Damaged) => Err(corrupt("the object's metadata is damaged")),
    }
}
