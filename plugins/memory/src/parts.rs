//! Uploads in parts: what is kept of one until it is completed or aborted.

use crate::store::Object;
use holdall_plugin_api::{
    Bytes, Checksums, Error, ListParts, ListUploads, ObjectInfo, Part, PartPage, PendingUpload,
    Result, UploadPage,
};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::SystemTime;

/// An upload that is neither completed nor aborted.
#[derive(Debug)]
pub(crate) struct Pending {
    /// What the object will be, but for its bytes.
    info: ObjectInfo,
    begun: SystemTime,
    parts: BTreeMap<u32, (Part, Bytes)>,
}

impl Pending {
    pub(crate) fn new(info: ObjectInfo, begun: SystemTime) -> Self {
        Self {
            info,
            begun,
            parts: BTreeMap::new(),
        }
    }

    /// Bytes of a part; 0 when it is not there.
    pub(crate) fn size_of(&self, number: u32) -> u64 {
        self.parts.get(&number).map_or(0, |(part, _)| part.size)
    }

    pub(crate) fn size(&self) -> u64 {
        self.parts.values().map(|(part, _)| part.size).sum()
    }

    pub(crate) fn put(
        &mut self,
        number: u32,
        bytes: Bytes,
        crc32c: Option<u32>,
        change: u64,
        now: SystemTime,
    ) -> Part {
        let mut checksums = Checksums::NONE;
        checksums.crc32c = crc32c;
        let part = Part::new(number, format!("\"part-{change}\""), bytes.len() as u64)
            .last_modified(now)
            .checksums(checksums);
        self.parts.insert(number, (part.clone(), bytes));
        part
    }

    /// The object of these parts.
    pub(crate) fn assembled(&self, parts: &[(u32, &str)]) -> Result<Object> {
        let mut bytes = Vec::new();
        for (number, etag) in parts {
            match self.parts.get(number) {
                Some((part, piece)) if part.etag == *etag => bytes.extend_from_slice(piece),
                _ => return Err(Error::invalid_part(*number)),
            }
        }
        let mut info = self.info.clone();
        info.size = bytes.len() as u64;
        Ok(Object {
            bytes: bytes.into(),
            info,
        })
    }
}

/// Returns the requested page of parts.
pub(crate) fn page(pending: &Pending, list: &ListParts<'_>) -> Result<PartPage> {
    let after = match list.page_token {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| Error::invalid("not a page token of this backend"))?,
    };
    let rest = (Bound::Excluded(after), Bound::Unbounded);
    let mut rest = pending.parts.range(rest).map(|(_, (part, _))| part.clone());
    let parts: Vec<Part> = rest.by_ref().take(list.limit as usize).collect();
    let last = parts.last().map(|part| part.number.to_string());
    let more = rest.next().is_some();
    Ok(PartPage::new(parts).next(last.filter(|_| more)))
}

/// Returns the requested page of uploads.
pub(crate) fn uploads(
    all: &BTreeMap<(String, String), Pending>,
    list: &ListUploads<'_>,
) -> Result<UploadPage> {
    let first = match list.page_token {
        None => Bound::Included((list.prefix.to_owned(), String::new())),
        // A key has no control characters in it, a length does not lie.
        Some(token) => {
            let (length, rest) = token.split_once(':').unwrap_or_default();
            let split = length.parse().ok().and_then(|at| rest.split_at_checked(at));
            let (id, key) =
                split.ok_or_else(|| Error::invalid("not a page token of this backend"))?;
            Bound::Excluded((key.to_owned(), id.to_owned()))
        }
    };
    let mut rest = all
        .range((first, Bound::Unbounded))
        .take_while(|((key, _), _)| key.starts_with(list.prefix));
    let uploads: Vec<PendingUpload> = rest
        .by_ref()
        .take(list.limit as usize)
        .map(|((key, id), pending)| PendingUpload::new(key, id).created(pending.begun))
        .collect();
    let last = uploads.last();
    let last = last.map(|one| format!("{}:{}{}", one.upload_id.len(), one.upload_id, one.key));
    let more = rest.next().is_some();
    Ok(UploadPage::new(uploads).next(last.filter(|_| more)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_parts_and_of_uploads() {
        let now = SystemTime::UNIX_EPOCH;
        let mut pending = Pending::new(ObjectInfo::new(0), now);
        for number in [3, 1, 7] {
            pending.put(
                number,
                Bytes::from_static(b"x"),
                None,
                u64::from(number),
                now,
            );
        }
        let list = ListParts::new("k", "id").limit(2);
        let first = page(&pending, &list).unwrap();
        assert_eq!(
            first
                .parts
                .iter()
                .map(|part| part.number)
                .collect::<Vec<_>>(),
            [1, 3]
        );
        let second = page(&pending, &list.page_token(first.next.as_deref())).unwrap();
        assert_eq!((second.parts[0].number, second.next), (7, None));
        assert!(page(&pending, &list.page_token(Some("x"))).is_err());

        let empty = || Pending::new(ObjectInfo::new(0), now);
        let names = [("a", "2"), ("a", "1"), ("b", "3"), ("c", "4")];
        let all = names.map(|(key, id)| ((key.to_owned(), id.to_owned()), empty()));
        let all = BTreeMap::from(all);
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let list = ListUploads::new("").limit(1).page_token(token.as_deref());
            let page = uploads(&all, &list).unwrap();
            found.extend(page.uploads.into_iter().map(|one| one.upload_id));
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(found, ["1", "2", "3", "4"]);
        assert_eq!(
            uploads(&all, &ListUploads::new("b")).unwrap().uploads.len(),
            1
        );
        assert!(uploads(&all, &ListUploads::new("").page_token(Some("9:a"))).is_err());
    }
}
