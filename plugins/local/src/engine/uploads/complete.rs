//! Completion: the joint file becomes the object.

use super::part::{StoredPart, file_name};
use super::{DATA, PendingUpload, is_alive, not_found};
use crate::engine::fault::{Fault, FaultKind, Outcome};
use crate::engine::platform::{AsFd, Errno, Lock, Open, duplicate, open_at, seek, set_size, stat};
use crate::engine::read::ObjectFacts;
use crate::engine::store::LocalStore;
use crate::engine::write::{Publish, Writer};
use crc_fast::{CrcAlgorithm, checksum_combine};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A joint file that is the object, but for its name. While it is there, nothing else writes to it.
#[derive(Debug)]
pub(crate) struct Completion {
    id: String,
    upload: PendingUpload,
    size: u64,
    crc32c: u32,
    writer: Writer,
}

impl Completion {
    /// CRC-32C of the object.
    pub(crate) fn crc32c(&self) -> u32 {
        self.crc32c
    }

    /// Publishes the object and ends the upload. After a fault the upload is as it was.
    pub(crate) fn publish(
        &self,
        create_only: bool,
        if_match: Option<&str>,
    ) -> Outcome<ObjectFacts> {
        let how = Publish {
            sync: self.upload.sync,
            create_only,
            if_match,
        };
        let (key, metadata) = (&self.upload.key, self.upload.metadata.clone());
        let crc32c = Some(self.crc32c);
        let facts = self
            .writer
            .publish_as(key, self.size, crc32c, metadata, how)?;
        self.writer.store().forget(&self.id, &self.upload);
        Ok(facts)
    }
}

/// The place of a part in the object.
type Placed = (StoredPart, u64);

impl LocalStore {
    /// Brings the named parts together in the joint file.
    ///
    /// # Errors
    ///
    /// `UploadMissing`, `Part`; `Locked` while parts are written into the joint file: try again after a pause.
    pub(crate) fn prepare_completion(
        self: &Arc<Self>,
        key: &str,
        id: &str,
        named: &[(u32, String)],
        how: Publish<'_>,
    ) -> Outcome<Completion> {
        const STEP: &str = "complete upload";
        let upload = self.pending_upload(key, id)?;
        self.present()?;
        let lock = upload.lock(Lock::Exclusive)?;
        // Another process may have completed it since it was opened.
        if !is_alive(&upload.dir)? {
            return Err(not_found());
        }
        let stored = upload.stored()?;
        let (placed, size, crc32c) = place(&stored, named)?;
        self.precheck(key, how)?;
        let data = match open_at(&upload.dir, DATA, Open::Writable) {
            Err(Errno::NOENT) => return Err(not_found()),
            opened => opened.map_err(Fault::own(STEP))?,
        };
        let dir = duplicate(upload.dir.as_fd()).map_err(Fault::own(STEP))?;
        let mut writer = Writer::into_upload(self, dir, data, 0, upload.sync, lock)?;
        for part in stored.values().filter(|part| part.offset.is_some()) {
            let place = placed.get(&part.number).map(|(_, place)| *place);
            if place != part.offset {
                self.move_out(&upload, part, &writer)?;
            }
        }
        for (part, place) in placed.values() {
            if part.offset != Some(*place) && part.size > 0 {
                self.move_in(&upload, part, *place, &mut writer)?;
            }
        }
        let file = writer.file();
        if stat(file).map_err(Fault::own(STEP))?.size != size {
            set_size(file, size).map_err(Fault::at(STEP))?;
        }
        Ok(Completion {
            id: id.to_owned(),
            upload,
            size,
            crc32c,
            writer,
        })
    }

    /// Gives a part of the joint file a file of its own, under the same etag: another part is going to its place, or
    /// it is not named, and stays a part if the object is not published.
    fn move_out(
        self: &Arc<Self>,
        upload: &PendingUpload,
        part: &StoredPart,
        joint: &Writer,
    ) -> Outcome<()> {
        let (Some(start), mut own) = (part.offset, Writer::begin(self, upload.sync)?) else {
            return Ok(());
        };
        self.pour(joint.file(), start..start + part.size, &mut own)?;
        let moved = StoredPart {
            offset: None,
            ..*part
        };
        own.append(&moved.trailer())?;
        own.settle()?;
        let now = upload.part(part.number)?;
        if now.is_none_or(|(now, _)| now != *part) {
            // Replaced meanwhile.
            return Ok(());
        }
        let stored = own.staged().move_to(&upload.dir, &file_name(part.number))?;
        stored.map_err(Fault::own("move a part"))
    }

    /// Copies a part from its file to its place in the joint file.
    fn move_in(
        &self,
        upload: &PendingUpload,
        part: &StoredPart,
        place: u64,
        joint: &mut Writer,
    ) -> Outcome<()> {
        let found = upload.part(part.number)?;
        // Replaced meanwhile? Whatever was moved out has its etag still.
        let found = found.filter(|(found, _)| found.etag() == part.etag());
        let (_, file) = found.ok_or_else(|| invalid(part.number))?;
        seek(joint.file(), place).map_err(Fault::at("write"))?;
        self.pour(&file, 0..part.size, joint)
    }
}

impl PendingUpload {
    fn stored(&self) -> Outcome<BTreeMap<u32, StoredPart>> {
        let mut stored = BTreeMap::new();
        for number in self.numbers()? {
            stored.extend(self.part(number)?.map(|(part, _)| (number, part)));
        }
        Ok(stored)
    }
}

fn invalid(number: u32) -> Fault {
    Fault::new(FaultKind::Part(number), "complete upload", "")
}

/// The named parts with their places, by number; size and checksum of the whole.
fn place(
    stored: &BTreeMap<u32, StoredPart>,
    named: &[(u32, String)],
) -> Outcome<(BTreeMap<u32, Placed>, u64, u32)> {
    let mut placed = BTreeMap::new();
    let (mut end, mut whole) = (0_u64, 0);
    for (number, etag) in named {
        let part = stored.get(number).filter(|part| part.etag() == *etag);
        let part = part.ok_or_else(|| invalid(*number))?;
        placed.insert(*number, (*part, end));
        let crc32c = u64::from(part.crc32c);
        whole = checksum_combine(CrcAlgorithm::Crc32Iscsi, whole, crc32c, part.size);
        end = end.checked_add(part.size).ok_or_else(|| {
            let why = "the parts are more than an object can hold";
            Fault::new(FaultKind::TooLarge, "complete upload", why)
        })?;
    }
    Ok((placed, end, whole as u32))
}
