//! Parts of an upload: where they are written, how they are stored, listed and read.

use super::{DATA, PendingUpload, gone, is_alive, not_found};
use crate::engine::fault::{Fault, FaultKind, Outcome};
use crate::engine::platform::{
    AsFd, Errno, Lock, Open, OwnedFd, create_at, duplicate, entries, open_at, read_at,
    remove_file_at, retry, stat, sync_dir,
};
use crate::engine::small_file;
use crate::engine::stamp::Stamp;
use crate::engine::store::{LocalStore, Sync};
use crate::engine::write::Writer;
use crc_fast::{CrcAlgorithm, checksum};
use std::sync::Arc;

const UNIT: &str = "unit";
/// How far beyond its present end the joint file grows, in slots: file systems without holes write zeros there.
const SLOTS_AHEAD: u64 = 32;

/// A stored part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredPart {
    pub(crate) number: u32,
    pub(crate) size: u64,
    pub(crate) crc32c: u32,
    /// When it was stored; unique, so that it names the bytes.
    pub(crate) stamp: Stamp,
    /// Where its bytes are in the joint file; `None`: in a file of its own.
    pub(super) offset: Option<u64>,
}

const MAGIC: &[u8; 4] = b"hpt1";
/// Magic, offset or `u64::MAX`, size, CRC-32C, stamp, and the CRC-32C of all of these; little endian.
const TRAILER: usize = 36;

impl StoredPart {
    /// Names the bytes when the upload is completed.
    pub(crate) fn etag(&self) -> String {
        let Stamp(stamp) = self.stamp;
        format!("\"{stamp:x}-{:08x}-{:x}\"", self.crc32c, self.size)
    }

    pub(super) fn trailer(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.offset.unwrap_or(u64::MAX).to_le_bytes());
        out.extend(self.size.to_le_bytes());
        out.extend(self.crc32c.to_le_bytes());
        out.extend(self.stamp.0.to_le_bytes());
        let check = checksum(CrcAlgorithm::Crc32Iscsi, &out) as u32;
        out.extend(check.to_le_bytes());
        out
    }

    /// `None`: not written whole, as after a power cut.
    fn parse(number: u32, trailer: &[u8; TRAILER], before: u64) -> Option<Self> {
        let (content, check) = trailer.split_last_chunk::<4>()?;
        let is_whole =
            checksum(CrcAlgorithm::Crc32Iscsi, content) as u32 == u32::from_le_bytes(*check);
        let (offset, rest) = content.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let (size, rest) = rest.split_first_chunk::<8>()?;
        let (crc32c, stamp) = rest.split_first_chunk::<4>()?;
        let part = Self {
            number,
            size: u64::from_le_bytes(*size),
            crc32c: u32::from_le_bytes(*crc32c),
            stamp: Stamp(i64::from_le_bytes(stamp.try_into().ok()?)),
            offset: Some(u64::from_le_bytes(*offset)).filter(|offset| *offset != u64::MAX),
        };
        let expected = part.offset.map_or(part.size, |_| 0);
        (is_whole && expected == before).then_some(part)
    }
}

pub(super) fn file_name(number: u32) -> String {
    format!("p{number:05}")
}

impl PendingUpload {
    /// Opens where a part is written: its slot of the joint file, or a file in staging. `size` if it is known.
    pub(crate) fn begin_part(
        &self,
        store: &Arc<LocalStore>,
        number: u32,
        size: Option<u64>,
    ) -> Outcome<Writer> {
        let sized = size.filter(|size| *size > 0);
        let slot = sized.map_or(Ok(None), |size| self.slot(store, number, size))?;
        slot.map_or_else(|| Writer::begin(store, self.sync), Ok)
    }

    /// `None`: the part does not fit, its slot was given away before, or the upload is being completed.
    fn slot(&self, store: &Arc<LocalStore>, number: u32, size: u64) -> Outcome<Option<Writer>> {
        store.usable()?;
        let Some(unit) = self.unit(store, size)?.filter(|unit| size <= *unit) else {
            return Ok(None);
        };
        let lock = match self.lock(Lock::Shared) {
            Err(fault) if fault.kind == FaultKind::Locked => return Ok(None),
            lock => lock?,
        };
        let data = match open_at(&self.dir, DATA, Open::Writable) {
            Ok(data) => data,
            Err(Errno::NOENT) => return Err(not_found()),
            // Begun by another user, for instance.
            Err(_) => return Ok(None),
        };
        let end = stat(&data).map_err(Fault::own("stat upload"))?.size;
        let furthest = end.saturating_add(unit.saturating_mul(SLOTS_AHEAD));
        let place = u64::from(number).checked_sub(1);
        let start = place.and_then(|place| place.checked_mul(unit));
        let Some(start) = start.filter(|start| *start <= furthest) else {
            return Ok(None);
        };
        match create_at(&self.dir, &format!("s{number:05}")) {
            Ok(_) => {}
            Err(Errno::EXIST) => return Ok(None),
            Err(Errno::NOENT) => return Err(not_found()),
            Err(errno) => return Err(Fault::own("claim a slot")(errno)),
        }
        let dir = duplicate(self.dir.as_fd()).map_err(Fault::own("open upload"))?;
        Writer::into_upload(store, dir, data, start, self.sync, lock).map(Some)
    }

    /// Size of a slot: that of the first part that comes with its size. `None`: not decided, and others decide now.
    fn unit(&self, store: &LocalStore, first: u64) -> Outcome<Option<u64>> {
        const STEP: &str = "read unit";
        let decided = || -> Outcome<Option<u64>> {
            let content = small_file::load(&self.dir, UNIT).map_err(Fault::own(STEP))?;
            let bytes = content.and_then(|content| content.try_into().ok());
            Ok(bytes.map(u64::from_le_bytes))
        };
        if let Some(unit) = decided()? {
            return Ok(Some(unit));
        }
        let _alone = match self.lock(Lock::Exclusive) {
            Err(fault) if fault.kind == FaultKind::Locked => return decided(),
            lock => lock?,
        };
        if let Some(unit) = decided()? {
            return Ok(Some(unit));
        }
        let durable = self.sync > Sync::None;
        match small_file::store(
            store.staging()?,
            &self.dir,
            UNIT,
            &first.to_le_bytes(),
            durable,
        ) {
            Ok(()) => Ok(Some(first)),
            Err(Errno::NOENT) => Err(gone(&self.dir)),
            Err(errno) => Err(Fault::own("store unit")(errno)),
        }
    }

    /// Stores a part that was written, in place of one of its number.
    pub(crate) fn store_part(&self, number: u32, writer: &Writer) -> Outcome<StoredPart> {
        const STEP: &str = "store part";
        let store = writer.store();
        store.usable()?;
        let part = StoredPart {
            number,
            size: writer.size(),
            crc32c: writer.crc32c(),
            stamp: store.clock.next(),
            offset: writer.joint_offset(),
        };
        let (name, trailer) = (file_name(number), part.trailer());
        if part.offset.is_none() {
            writer.append(&trailer)?;
        }
        writer.settle()?;
        store.present()?;
        let stored = match part.offset {
            None => writer.staged().move_to(&self.dir, &name)?,
            Some(_) => {
                let durable = self.sync > Sync::None;
                small_file::store(store.staging()?, &self.dir, &name, &trailer, durable)
            }
        };
        match stored {
            Err(Errno::NOENT) => return Err(gone(&self.dir)),
            stored => stored.map_err(Fault::own(STEP))?,
        }
        if !is_alive(&self.dir)? {
            // Else nothing removes the directory until it is swept.
            let _ = remove_file_at(&self.dir, &name);
            return Err(not_found());
        }
        if self.sync == Sync::Full {
            retry(|| sync_dir(&self.dir)).map_err(Fault::own(STEP))?;
        }
        Ok(part)
    }

    /// Parts after a number, and whether there are more.
    pub(crate) fn parts(&self, after: u32, limit: usize) -> Outcome<(Vec<StoredPart>, bool)> {
        let mut parts = Vec::new();
        for number in self.numbers()? {
            if number <= after {
                continue;
            }
            if parts.len() == limit {
                return Ok((parts, true));
            }
            parts.extend(self.part(number)?.map(|(part, _)| part));
        }
        Ok((parts, false))
    }

    /// Numbers of the stored parts, in order.
    pub(super) fn numbers(&self) -> Outcome<Vec<u32>> {
        let entries = entries(&self.dir).map_err(Fault::own("list parts"))?;
        let number = |name: Vec<u8>| {
            std::str::from_utf8(&name)
                .ok()?
                .strip_prefix('p')?
                .parse()
                .ok()
        };
        let numbers = entries.filter_map(|entry| number(entry.ok()?.name));
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// A part and its file.
    pub(super) fn part(&self, number: u32) -> Outcome<Option<(StoredPart, OwnedFd)>> {
        const STEP: &str = "read part";
        let file = match retry(|| open_at(&self.dir, &file_name(number), Open::Object)) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.map_err(Fault::own(STEP))?,
        };
        let size = stat(&file).map_err(Fault::own(STEP))?.size;
        let Some(before) = size.checked_sub(TRAILER as u64) else {
            return Ok(None);
        };
        let mut trailer = [0; TRAILER];
        let mut filled = 0;
        while filled < TRAILER {
            let rest = &mut trailer[filled..];
            let count = retry(|| read_at(&file, rest, before + filled as u64));
            match count.map_err(Fault::own(STEP))? {
                0 => return Ok(None),
                count => filled += count,
            }
        }
        Ok(StoredPart::parse(number, &trailer, before).map(|part| (part, file)))
    }
}
