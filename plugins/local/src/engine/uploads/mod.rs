//! Uploads in parts: `ROOT/staging/uploads/<id>/`, which every process that shares the root goes on with.
//!
//! | file | |
//! | --- | --- |
//! | `upload` | key, durability, content type, headers and metadata: written once |
//! | `data` | the joint file, which becomes the object. The upload exists as long as this name does |
//! | `unit` | bytes of a slot of the joint file: part `n` has the slot at `(n - 1) * unit` |
//! | `s<n>` | the slot of part `n` was given to a writer; never again to another |
//! | `p<n>` | part `n`: its bytes, unless they are in its slot, and a trailer |
//! | `lock` | shared by who writes into the joint file, exclusive to who completes or sweeps the upload |
//!
//! A part that fits its slot is written there once, so that most objects are complete without a copy. What does not
//! fit, comes without a length or comes again has a file of its own, and is copied in at the end. One rename
//! stores a part, one rename of `data` publishes the object and ends the upload: a process that is killed at any moment
//! leaves the upload as it was before or after, and no byte of a stored part is ever written again.

mod complete;
mod list;
mod part;
mod sweep;

pub(crate) use list::ListedUpload;
pub(crate) use part::StoredPart;

use super::fault::{Fault, FaultKind, Outcome};
use super::metadata_record::{Metadata, MetadataRecord};
use super::platform::{
    AsFd, Errno, FileType, Lock, LockFile, OwnedFd, create_at, entries, make_dir_at, open_lock,
    remove_dir_at, remove_file_at, retry, stat, sync_dir, try_lock,
};
use super::small_file;
use super::staging::remove_files;
use super::stamp::Stamp;
use super::store::{LocalStore, Sync};
use super::tree::{look, open_child_dir};
use super::write::Publish;

/// The joint file of an upload.
pub(super) const DATA: &str = "data";
const RECORD: &str = "upload";
const LOCK: &str = "lock";
/// The directory in staging.
const ALL: &str = "uploads";

/// Most uploads of a root at once: a page of a listing looks at each of them.
pub(crate) const MOST_UPLOADS: usize = 10_000;
/// Characters of an id: 16 random bytes.
const ID_LENGTH: usize = 32;
/// Times that the directory of an upload is emptied while parts arrive.
const ATTEMPTS: usize = 16;

/// An upload that is neither completed nor aborted.
#[derive(Debug)]
pub(crate) struct PendingUpload {
    dir: OwnedFd,
    key: String,
    begun: Stamp,
    sync: Sync,
    metadata: Metadata,
}

/// No upload has the id.
pub(super) fn not_found() -> Fault {
    Fault::new(FaultKind::UploadMissing, "open upload", "")
}

/// Whether a text is an id; anything else never reaches the file system.
fn is_id(text: &str) -> bool {
    let hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == ID_LENGTH && text.bytes().all(hex)
}

impl LocalStore {
    /// Begins an upload, under an id of 32 hexadecimal digits that was never used.
    pub(crate) fn begin_upload(
        &self,
        id: &str,
        key: &str,
        metadata: &Metadata,
        sync: Sync,
    ) -> Outcome<()> {
        const STEP: &str = "begin upload";
        self.precheck(key, Publish::default())?;
        self.present()?;
        let record = MetadataRecord {
            stamp: Stamp::now(),
            // The most that the object's record can take, so that no upload fails for it at its end.
            size: u64::MAX,
            crc32c: Some(0),
            metadata: metadata.clone(),
        };
        self.fits(&record.encode())?;
        let all = self.make_uploads()?;
        if ids(&all)?.count() >= MOST_UPLOADS {
            let why = format!(
                "the root has {MOST_UPLOADS} uploads in parts, which is the most: complete or abort some"
            );
            return Err(Fault::new(FaultKind::Full, STEP, why));
        }
        make_dir_at(&all, id).map_err(Fault::own(STEP))?;
        let mut content = vec![sync as u8];
        content.extend(record.encode_with_key(key));
        let staging = self.staging()?;
        let made = open_child_dir(all.as_fd(), id).and_then(|dir| {
            create_at(&dir, DATA)?;
            open_lock(&dir, LOCK, LockFile::New)?;
            small_file::store(staging, &dir, RECORD, &content, sync > Sync::None)?;
            match sync {
                Sync::Full => sync_dir(&dir).and_then(|()| sync_dir(&all)),
                Sync::None | Sync::Data => Ok(()),
            }
        });
        made.map_err(|errno| {
            if let Ok(dir) = open_child_dir(all.as_fd(), id) {
                remove(&all, id, &dir);
            }
            Fault::own(STEP)(errno)
        })
    }

    /// The upload of this id, if it is one of this key.
    pub(crate) fn pending_upload(&self, key: &str, id: &str) -> Outcome<PendingUpload> {
        self.usable()?;
        self.present_to_readers()?;
        let found = match self.uploads()? {
            Some(all) if is_id(id) => PendingUpload::open(&all, id)?,
            _ => None,
        };
        match found {
            Some(upload) if upload.key == key => Ok(upload),
            // Not so when the whole root is gone.
            _ => self.present().and(Err(not_found())),
        }
    }

    /// Ends an upload without an object.
    pub(crate) fn abort_upload(&self, key: &str, id: &str) -> Outcome<()> {
        let upload = self.pending_upload(key, id)?;
        self.present()?;
        match remove_file_at(&upload.dir, DATA) {
            Err(Errno::NOENT) => return Err(not_found()),
            removed => removed.map_err(Fault::own("abort upload"))?,
        }
        self.forget(id, &upload);
        Ok(())
    }

    /// Removes what an upload that is completed or aborted has left.
    fn forget(&self, id: &str, upload: &PendingUpload) {
        if let Ok(Some(all)) = self.uploads() {
            remove(&all, id, &upload.dir);
        }
    }

    /// The directory of all uploads; `None`: there was none yet.
    fn uploads(&self) -> Outcome<Option<OwnedFd>> {
        let shared = self.staging()?.shared();
        match open_child_dir(shared.as_fd(), ALL) {
            Ok(all) => Ok(Some(all)),
            Err(Errno::NOENT) if stat(shared).is_ok_and(|stat| stat.links > 0) => Ok(None),
            Err(Errno::NOENT) => Err(staging_removed()),
            Err(errno) => Err(Fault::own("open uploads")(errno)),
        }
    }

    fn make_uploads(&self) -> Outcome<OwnedFd> {
        const STEP: &str = "create uploads";
        if let Some(all) = self.uploads()? {
            return Ok(all);
        }
        let shared = self.staging()?.shared();
        match make_dir_at(shared, ALL) {
            Ok(()) => sync_dir(shared).map_err(Fault::own(STEP))?,
            Err(Errno::EXIST) => {}
            Err(Errno::NOENT) => return Err(staging_removed()),
            Err(errno) => return Err(Fault::own(STEP)(errno)),
        }
        self.uploads()?.ok_or_else(staging_removed)
    }
}

fn staging_removed() -> Fault {
    let why = "the directory `staging` of the root was removed";
    Fault::new(FaultKind::PartMissing, "open uploads", why)
}

/// The ids in the directory of all uploads.
fn ids(all: &OwnedFd) -> Outcome<impl Iterator<Item = String>> {
    let entries = entries(all).map_err(Fault::own("list uploads"))?;
    let names = entries.filter_map(|entry| String::from_utf8(entry.ok()?.name).ok());
    Ok(names.filter(|name| is_id(name)))
}

/// Removes an upload, its joint file first.
fn remove(all: &OwnedFd, id: &str, dir: &OwnedFd) {
    let _ = remove_file_at(dir, DATA);
    for _ in 0..ATTEMPTS {
        remove_files(dir, usize::MAX);
        match remove_dir_at(all, id) {
            // A part has arrived meanwhile.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            _ => return,
        }
    }
}

impl PendingUpload {
    fn open(all: &OwnedFd, id: &str) -> Outcome<Option<Self>> {
        const STEP: &str = "open upload";
        let dir = match open_child_dir(all.as_fd(), id) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            opened => opened.map_err(Fault::own(STEP))?,
        };
        if !is_alive(&dir)? {
            return Ok(None);
        }
        let Some(content) = small_file::load(&dir, RECORD).map_err(Fault::own(STEP))? else {
            // It is just being begun.
            return Ok(None);
        };
        let damaged = || {
            let why = "the record of the upload is damaged: begin another; this one is removed once it is abandoned";
            Fault::new(FaultKind::Corrupt, STEP, why)
        };
        let (sync, record) = content.split_first().ok_or_else(damaged)?;
        let (key, record) = MetadataRecord::decode_with_key(record).ok_or_else(damaged)?;
        let sync = match sync {
            0 => Sync::None,
            1 => Sync::Data,
            _ => Sync::Full,
        };
        Ok(Some(Self {
            dir,
            key,
            begun: record.stamp,
            sync,
            metadata: record.metadata,
        }))
    }

    /// Takes the lock of the joint file, or is [`FaultKind::Locked`].
    fn lock(&self, lock: Lock) -> Outcome<OwnedFd> {
        const STEP: &str = "lock upload";
        let file = match open_lock(&self.dir, LOCK, LockFile::Existing) {
            Err(Errno::NOENT) => return Err(not_found()),
            opened => opened.map_err(Fault::own(STEP))?,
        };
        match retry(|| try_lock(&file, lock)) {
            Ok(()) => Ok(file),
            Err(Errno::WOULDBLOCK) => {
                let why = "parts of the upload are being stored, or it is being completed";
                Err(Fault::new(FaultKind::Locked, STEP, why))
            }
            Err(errno) => Err(Fault::own(STEP)(errno)),
        }
    }
}

/// What "no such file" means when something is moved to the directory of an upload.
fn gone(dir: &OwnedFd) -> Fault {
    match is_alive(dir) {
        Ok(true) => staging_removed(),
        _ => not_found(),
    }
}

/// Whether an upload is neither completed nor aborted.
fn is_alive(dir: &OwnedFd) -> Outcome<bool> {
    let data = look(dir, DATA).map_err(Fault::own("open upload"))?;
    let Some(data) = data.filter(|data| data.kind == FileType::RegularFile) else {
        return Ok(false);
    };
    // Published by a link, by a process that was killed before it removed this name.
    if data.links > 1 {
        let _ = remove_file_at(dir, DATA);
    }
    Ok(data.links == 1)
}
