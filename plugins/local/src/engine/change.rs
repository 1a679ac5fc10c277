//! Delete, copy and rename.

use super::fault::{Fault, FaultKind, Outcome};
use super::metadata_record::{Metadata, MetadataRecord};
use super::platform::{
    Errno, FileType, OwnedFd, Stat, clone_file, copy_range, read_at, remove_file_at, rename_at,
    retry, sync_dir,
};
use super::read::ObjectFacts;
use super::store::{LocalStore, Sync};
use super::tree::{check, split};
use super::write::{Publish, RefusedName, Writer, changed_at, sync_names};
use std::ops::Range;
use std::sync::Arc;

/// Bytes that one call copies at most: a cancelled copy stops after it.
const STRETCH: usize = 64 << 20;
/// Bytes of a copy through memory.
const BUFFER: usize = 1 << 20;
const ATTEMPTS: usize = 1000;

/// Conditions on the source of a copy, and the change of its metadata.
#[derive(Default)]
pub(crate) struct CopyTerms {
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    /// Makes the metadata of the copy from that of the source; `None`: they are equal.
    pub(crate) describe: Option<Describe>,
}

/// A change of metadata.
pub(crate) type Describe = Box<dyn Fn(&mut Metadata) + Send + std::marker::Sync>;

/// A copy that is not yet visible.
#[derive(Debug)]
pub(crate) struct StagedCopy {
    /// The bytes; `None` where nothing changes.
    writer: Option<Writer>,
    /// Facts of the source, with the metadata of the copy.
    facts: ObjectFacts,
    /// Etag of the source where it is the target too: only that version is replaced.
    replaces: Option<String>,
}

impl StagedCopy {
    /// Gives the copy its name.
    ///
    /// # Errors
    ///
    /// `Conflict`: source and target are one key, which another writer has changed since.
    pub(crate) fn publish(&self, to: &str, how: Publish<'_>) -> Outcome<ObjectFacts> {
        let facts = &self.facts;
        let Some(writer) = &self.writer else {
            return Ok(facts.clone());
        };
        let in_place = Publish {
            if_match: how.if_match.or(self.replaces.as_deref()),
            ..how
        };
        let metadata = facts.metadata.clone();
        let published = writer.publish_as(to, facts.size, facts.crc32c, metadata, in_place);
        published.map_err(|fault| match (fault.kind, how.if_match, &self.replaces) {
            (FaultKind::Precondition, None, Some(_)) => Fault::new(
                FaultKind::Conflict,
                "publish",
                "another writer changed the object on each attempt",
            ),
            _ => fault,
        })
    }
}

fn changed_while_copied() -> Fault {
    Fault::new(
        FaultKind::Conflict,
        "copy",
        "another program writes into the source",
    )
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
        terms: &CopyTerms,
    ) -> Outcome<StagedCopy> {
        check(to)?;
        let source = self.object(from)?;
        let etag = self.etag(source.facts.stamp, source.facts.changed, source.facts.size);
        let names = |wanted: &str| wanted == "*" || etag.as_deref() == Some(wanted);
        let lost = |why| Err(Fault::new(FaultKind::Precondition, "copy", why));
        match (terms.if_match.as_deref(), terms.if_none_match.as_deref()) {
            (Some(wanted), _) if !names(wanted) => return lost("the source has another etag"),
            (_, Some(known)) if names(known) => return lost("the source has this etag"),
            _ => {}
        }
        let mut facts = source.facts.clone();
        if let Some(describe) = &terms.describe {
            describe(&mut facts.metadata);
        }
        let in_place = from == to;
        if in_place {
            match how.if_match {
                _ if how.create_only => return lost("the key exists"),
                Some(wanted) if !names(wanted) => return lost("the object has another etag"),
                _ => {}
            }
        }
        let writer = match in_place && terms.describe.is_none() {
            true => None,
            false => {
                self.precheck(to, how)?;
                let mut writer = Writer::begin(self, how.sync)?;
                let size = facts.size;
                // Shared blocks, each side's own from its first write on.
                let cloned = size > 0 && clone_file(&source.fd, writer.file()).is_ok();
                if !cloned {
                    self.pour(&source.fd, 0..size, &mut writer)?;
                }
                if !source.unchanged() {
                    return Err(changed_while_copied());
                }
                Some(writer)
            }
        };
        Ok(StagedCopy {
            writer,
            facts,
            replaces: etag.filter(|_| in_place),
        })
    }

    /// Appends a range of a file to what is written, by the kernel where that can, else through memory. The
    /// writer's size and checksum are not those of the bytes afterwards.
    pub(super) fn pour(
        &self,
        from: &OwnedFd,
        range: Range<u64>,
        writer: &mut Writer,
    ) -> Outcome<()> {
        let Range { mut start, end } = range;
        while start < end {
            self.usable()?;
            let want = usize::try_from(end - start).map_or(STRETCH, |left| left.min(STRETCH));
            match copy_range(from, start, writer.file(), want) {
                Ok(0) => break,
                Ok(count) => start += count as u64,
                Err(Errno::INTR) => {}
                // Old kernels, and file systems that cannot: through memory.
                Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                    break;
                }
                Err(errno) => return Err(Fault::os("copy", errno)),
            }
        }
        let left = usize::try_from(end - start).map_or(BUFFER, |left| left.min(BUFFER));
        let mut buffer = vec![0; left];
        while start < end {
            self.usable()?;
            let most = usize::try_from(end - start).map_or(left, |rest| rest.min(left));
            let read = retry(|| read_at(from, &mut buffer[..most], start));
            let count = read.map_err(Fault::at("read object"))?;
            if count == 0 {
                return Err(changed_while_copied());
            }
            writer.write(&buffer[..count])?;
            start += count as u64;
        }
        Ok(())
    }

    /// Copies in one call.
    #[cfg(test)]
    pub(crate) fn copy(
        self: &Arc<Self>,
        from: &str,
        to: &str,
        how: Publish<'_>,
    ) -> Outcome<ObjectFacts> {
        let staged = self.stage_copy(from, to, how, &CopyTerms::default())?;
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
