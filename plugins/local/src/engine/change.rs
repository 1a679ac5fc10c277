//! Delete, copy and rename.

use super::fault::{Fault, FaultKind, Outcome};
use super::metadata_record::MetadataRecord;
use super::platform::{
    Errno, FileType, OwnedFd, Stat, clone_file, copy_range, remove_file_at, rename_at, retry,
    sync_dir,
};
use super::read::ObjectFacts;
use super::store::{LocalStore, Sync};
use super::tree::{check, split};
use super::write::{Publish, RefusedName, Writer, changed_at, sync_names};
use std::sync::Arc;

/// Bytes that one call copies at most: a cancelled copy stops after it.
const STRETCH: usize = 64 << 20;
/// Bytes of a copy through memory.
const BUFFER: usize = 1 << 20;
const ATTEMPTS: usize = 1000;

/// A copy that is not yet visible.
#[derive(Debug)]
pub(crate) struct StagedCopy {
    /// The bytes; `None` where source and target are one key.
    writer: Option<Writer>,
    source: ObjectFacts,
}

impl StagedCopy {
    /// Gives the copy its name.
    pub(crate) fn publish(&self, to: &str, how: Publish<'_>) -> Outcome<ObjectFacts> {
        let source = &self.source;
        match &self.writer {
            None => Ok(source.clone()),
            Some(writer) => {
                let metadata = source.metadata.clone();
                writer.publish_as(to, source.size, source.crc32c, metadata, how)
            }
        }
    }
}

impl LocalStore {
    /// Removes an object and the directories that it leaves empty. Returns whether it was there.
    pub(crate) fn delete(&self, key: &str, if_match: Option<&str>, sync: Sync) -> Outcome<bool> {
        const STEP: &str = "delete";
        self.usable()?;
        check(key)?;
        let how = Publish {
            if_match,
            ..Publish::default()
        };
        let (parent, name) = split(key);
        let absent = || {
            self.present()?;
            self.conditions(None, how).map(|()| false)
        };
        let dir = match self.tree.dir(parent) {
            Err(Errno::NOENT | Errno::NOTDIR) => return absent(),
            other => other.map_err(Fault::name(STEP))?,
        };
        let lock = self.lock_for(key, if_match.is_some())?;
        let found = match self.tree.look(&dir, name) {
            Err(Errno::NOTUNIQ) => None,
            found => found.map_err(Fault::name(STEP))?,
        };
        let old: Stat = match found {
            None => return absent(),
            Some(old) => match old.kind {
                FileType::RegularFile => old,
                // Neither followed nor removed: it is not ours.
                FileType::Symlink => return Err(Fault::os(STEP, Errno::LOOP)),
                _ => return absent(),
            },
        };
        self.conditions(Some(&old), how)?;
        self.present()?;
        match remove_file_at(&dir, name) {
            Ok(()) => {}
            Err(Errno::NOENT) => return absent(),
            Err(errno) => return Err(Fault::os(STEP, errno)),
        }
        if let Some(sidecars) = &self.sidecars {
            sidecars.remove(key, old.modified, old.size);
        }
        drop(lock);
        if sync == Sync::Full {
            retry(|| sync_dir(&dir)).map_err(Fault::at("sync directory"))?;
        }
        drop(dir);
        self.tree.prune(parent);
        Ok(true)
    }

    /// Copies bytes to staging; [`StagedCopy::publish`] then gives them their name. The two never share
    /// an inode, so writing to one leaves the other.
    pub(crate) fn stage_copy(
        self: &Arc<Self>,
        from: &str,
        to: &str,
        how: Publish<'_>,
    ) -> Outcome<StagedCopy> {
        check(to)?;
        let source = self.object(from)?;
        if from == to {
            if how.create_only {
                return Err(Fault::new(
                    FaultKind::Precondition,
                    "copy",
                    "the key exists",
                ));
            }
            return Ok(StagedCopy {
                writer: None,
                source: source.facts,
            });
        }
        self.precheck(to, how)?;
        let mut writer = Writer::begin(self, how.sync)?;
        let size = source.facts.size;
        // Shared blocks, each side's own from its first write on.
        let cloned = size > 0 && clone_file(&source.fd, writer.file()).is_ok();
        let mut copied = if cloned { size } else { 0 };
        while copied < size {
            self.usable()?;
            let want = usize::try_from(size - copied).map_or(STRETCH, |left| left.min(STRETCH));
            match copy_range(&source.fd, copied, writer.file(), want) {
                Ok(0) => break,
                Ok(count) => copied += count as u64,
                Err(Errno::INTR) => {}
                // Old kernels, and file systems that cannot: through memory.
                Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                    break;
                }
                Err(errno) => return Err(Fault::os("copy", errno)),
            }
        }
        let mut buffer = Vec::with_capacity(if copied < size { BUFFER } else { 0 });
        while copied < size {
            self.usable()?;
            buffer.clear();
            let count = source.read_at(&mut buffer, copied)?;
            if count == 0 {
                break;
            }
            writer.write(&buffer)?;
            copied += count as u64;
        }
        if copied != size || !source.unchanged() {
            return Err(Fault::new(
                FaultKind::Conflict,
                "copy",
                "another program writes into the source",
            ));
        }
        Ok(StagedCopy {
            writer: Some(writer),
            source: source.facts,
        })
    }

    /// Copies in one call.
    #[cfg(test)]
    pub(crate) fn copy(
        self: &Arc<Self>,
        from: &str,
        to: &str,
        how: Publish<'_>,
    ) -> Outcome<ObjectFacts> {
        let staged = self.stage_copy(from, to, how)?;
        super::write::while_locked(|| staged.publish(to, how))
    }

    /// Gives an object another name in one step; what had that name before is replaced.
    pub(crate) fn rename(&self, from: &str, to: &str, sync: Sync) -> Outcome<ObjectFacts> {
        self.usable()?;
        check(from)?;
        check(to)?;
        if from == to {
            return self.object(from).map(|object| object.facts);
        }
        let mut made = Vec::new();
        let renamed = self.rename_making(from, to, sync, &mut made);
        if renamed.is_err() && !made.is_empty() {
            self.tree.prune(split(to).0);
        }
        renamed
    }

    fn rename_making(
        &self,
        from: &str,
        to: &str,
        sync: Sync,
        made: &mut Vec<OwnedFd>,
    ) -> Outcome<ObjectFacts> {
        const STEP: &str = "rename";
        let ((from_parent, from_name), (to_parent, to_name)) = (split(from), split(to));
        let mut cleared = false;
        let mut refused = RefusedName::default();
        for _ in 0..ATTEMPTS {
            // First, so that a missing source creates no directory.
            let mut source = self.object(from)?;
            let source_dir = self
                .tree
                .dir(from_parent)
                .map_err(|errno| self.os(STEP, errno))?;
            let target_dir = match self.tree.make_dir(to_parent, made) {
                Err(Errno::NOENT) => {
                    self.present()?;
                    continue;
                }
                other => other.map_err(Fault::name(STEP))?,
            };
            self.staging()?;
            let alone = self.writes_sidecars() || self.tree.doubts_absence();
            let locks = self.locks()?.pair(from, to, alone)?;
            let Some(found) = self
                .tree
                .look_any(&source_dir, from_name)
                .map_err(Fault::at(STEP))?
            else {
                continue;
            };
            let facts = &source.facts;
            if (found.modified, found.size) != (facts.stamp, facts.size) {
                continue;
            }
            let target = self
                .tree
                .look(&target_dir, to_name)
                .map_err(Fault::name(STEP))?;
            match target.as_ref().map(|stat| stat.kind) {
                Some(FileType::Symlink) => return Err(Fault::os(STEP, Errno::LOOP)),
                Some(FileType::Directory) if !cleared && self.tree.clear_empty(to) => {
                    cleared = true;
                    continue;
                }
                None | Some(FileType::RegularFile) => {}
                Some(_) => return Err(Fault::os(STEP, Errno::ISDIR)),
            }
            let sidecars = self.sidecars.as_ref().filter(|_| self.writes_sidecars());
            if let Some(sidecars) = sidecars {
                let ObjectFacts {
                    stamp,
                    size,
                    crc32c,
                    metadata,
                    ..
                } = facts.clone();
                let record = MetadataRecord {
                    stamp,
                    size,
                    crc32c,
                    metadata,
                };
                sidecars.write(self.staging()?, to, &record, sync > Sync::None)?;
            }
            self.present()?;
            match rename_at(&source_dir, from_name, &target_dir, to_name) {
                Ok(()) => {}
                Err(Errno::NOENT) if refused.name_of(&target_dir) => {
                    return Err(Fault::name(STEP)(Errno::INVAL));
                }
                Err(Errno::NOENT | Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) => continue,
                Err(errno) => return Err(Fault::name(STEP)(errno)),
            }
            // Two names of one inode, made by another program: rename does nothing then.
            let one_inode = |target: &Stat| target.identity == found.identity;
            if target.as_ref().is_some_and(one_inode) {
                let _ = remove_file_at(&source_dir, from_name);
            }
            if let Some(sidecars) = sidecars {
                sidecars.remove(from, facts.stamp, facts.size);
                if let Some(target) =
                    target.filter(|t| (t.modified, t.size) != (facts.stamp, facts.size))
                {
                    sidecars.remove(to, target.modified, target.size);
                }
            }
            drop(locks);
            if sync == Sync::Full {
                sync_names(&target_dir, made)?;
                retry(|| sync_dir(&source_dir)).map_err(Fault::at("sync directory"))?;
            }
            drop(source_dir);
            self.tree.prune(from_parent);
            // The rename has set the change time.
            source.facts.changed = changed_at(&self.tree, &source.fd)?;
            return Ok(source.facts);
        }
        Err(Fault::new(
            FaultKind::Conflict,
            STEP,
            "other writers changed these keys on each attempt",
        ))
    }
}
