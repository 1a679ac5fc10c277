//! Uploads in parts.

use super::Bug;
use super::model::{Grown, Object, Store, check_put, pause};
use holdall_plugin_api::{
    AbortUpload, Bytes, CompleteUpload, CreateUpload, Error, ErrorKind, Key, ListParts,
    ListUploads, ObjectInfo, Part, PartPage, PendingUpload, ProviderFacts, PutPart, Result,
    UploadPage, Uploaded,
};
use std::collections::BTreeMap;

#[derive(Clone)]
pub(crate) struct Pending {
    info: ObjectInfo,
    parts: BTreeMap<u32, StoredPart>,
    instance: u64,
    /// Some call completes it.
    is_taken: bool,
}

#[derive(Clone)]
struct StoredPart {
    part: Part,
    bytes: Bytes,
    arrival: u64,
}

/// Stores what has arrived of a part, when it is dropped half-way: a mistake.
struct Partial<'m> {
    model: &'m Grown,
    name: (String, String),
    number: u32,
    bytes: Vec<u8>,
    is_whole: bool,
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if !self.is_whole && self.model.has(Bug::PartKeptOnDrop) {
            let bytes = std::mem::take(&mut self.bytes).into();
            let mut store = self.model.lock();
            let _ = self.model.keep(&mut store, &self.name, self.number, bytes);
        }
    }
}

impl Grown {
    /// The name of an upload that this instance knows.
    fn named(&self, store: &mut Store, key: &Key, id: &str) -> Result<(String, String)> {
        let name = (key.text().to_owned(), id.to_owned());
        if self.has(Bug::UploadOfAnyKey)
            && let Some(found) = store.uploads.keys().find(|(_, other)| other == id)
        {
            return Ok(found.clone());
        }
        if self.has(Bug::UnknownIdIsBegun) {
            let begun = || self.pending(ObjectInfo::new(0));
            store.uploads.entry(name.clone()).or_insert_with(begun);
        }
        let of_another =
            |pending: &Pending| self.has(Bug::UploadsOfInstance) && pending.instance != self.number;
        match store.uploads.get(&name) {
            Some(pending) if !of_another(pending) => Ok(name),
            _ => Err(Error::upload_not_found()),
        }
    }

    fn pending(&self, info: ObjectInfo) -> Pending {
        Pending {
            info,
            parts: BTreeMap::new(),
            instance: self.number,
            is_taken: false,
        }
    }

    pub(crate) fn begun(&self, create: &CreateUpload<'_>) -> Result<String> {
        let mut info = self.described(create.options())?;
        if self.has(Bug::DescriptionLost) {
            info = ObjectInfo::new(0);
        }
        if self.has(Bug::PartsLoseTags) {
            info = info.provider(ProviderFacts::new().tags(Vec::new()));
        }
        let mut store = self.lock();
        let key = create.key.text().to_owned();
        if self.has(Bug::OneUploadPerKey)
            && let Some((_, id)) = store.uploads.keys().find(|(other, _)| *other == key)
        {
            return Ok(id.clone());
        }
        store.changes += 1;
        let id = format!("upload-{}", store.changes);
        store.uploads.insert((key, id.clone()), self.pending(info));
        Ok(id)
    }

    fn keep(
        &self,
        store: &mut Store,
        name: &(String, String),
        number: u32,
        bytes: Bytes,
    ) -> Result<Part> {
        store.changes += 1;
        let arrival = store.changes;
        let part = Part::new(number, format!("\"part-{arrival}\""), bytes.len() as u64);
        let stored = StoredPart {
            part: part.clone(),
            bytes,
            arrival,
        };
        let pending = store.uploads.get_mut(name);
        let parts = &mut pending.ok_or_else(Error::upload_not_found)?.parts;
        if !(self.has(Bug::FirstPartStays) && parts.contains_key(&number)) {
            parts.insert(number, stored);
        }
        Ok(part)
    }

    pub(crate) async fn stored_part(&self, put: PutPart<'_>) -> Result<Part> {
        let (key, number, length, mut body) = (put.key, put.number, put.length, put.body);
        let name = self.named(&mut self.lock(), key, put.upload_id)?;
        let mut partial = Partial {
            model: self,
            name: name.clone(),
            number,
            bytes: Vec::new(),
            is_whole: false,
        };
        while let Some(chunk) = body.chunk().await {
            match chunk {
                Ok(chunk) => partial.bytes.extend_from_slice(&chunk),
                Err(error) => {
                    if self.has(Bug::HalfPartKept) {
                        let bytes = partial.bytes.clone().into();
                        self.keep(&mut self.lock(), &name, number, bytes)?;
                    }
                    return Err(error);
                }
            }
        }
        partial.is_whole = true;
        let mut bytes: Bytes = std::mem::take(&mut partial.bytes).into();
        if length.is_none() && self.has(Bug::UnknownLengthIsNothing) {
            bytes = Bytes::new();
        }
        if bytes.is_empty() && self.has(Bug::EmptyPartRefused) {
            return Err(Error::invalid("an empty part"));
        }
        if self.has(Bug::PartsVisible) {
            let object = Object {
                bytes: bytes.clone(),
                info: ObjectInfo::new(0),
            };
            self.lock().publish(key, object, &self.host);
        }
        if self.has(Bug::PartsLostAtOnce) {
            // Read, changed and written back, with others in between.
            let before = self.lock().uploads.get(&name).cloned();
            pause().await;
            if let Some(before) = before {
                self.lock().uploads.insert(name.clone(), before);
            }
        }
        self.keep(&mut self.lock(), &name, number, bytes)
    }

    pub(crate) fn parts(&self, list: &ListParts<'_>) -> Result<PartPage> {
        let mut store = self.lock();
        let name = self.named(&mut store, list.key, list.upload_id)?;
        let after: u32 = match list.page_token {
            None => 0,
            Some(token) => token.parse().map_err(|_| Error::invalid("token"))?,
        };
        let mut rest = store.uploads[&name].parts.range(after + 1..);
        let limit = list.limit.min(self.page) as usize;
        let page = rest.by_ref().take(limit).map(|(_, kept)| kept.part.clone());
        let page: Vec<Part> = page.collect();
        let mut last = page.last().map(|part| part.number);
        let next = rest.next().map(|(number, _)| *number);
        if self.has(Bug::PartPageLosesOne) {
            last = next;
        }
        let token = last.map(|number| number.to_string());
        Ok(PartPage::new(page).next(token.filter(|_| next.is_some())))
    }

    pub(crate) fn uploads(&self, list: &ListUploads<'_>) -> Result<UploadPage> {
        let store = self.lock();
        let after = match list.page_token {
            None => None,
            Some(token) => Some(
                token
                    .split_once(' ')
                    .ok_or_else(|| Error::invalid("token"))?,
            ),
        };
        let any = self.has(Bug::UploadPrefixIgnored);
        let mut rest = store
            .uploads
            .keys()
            .filter(|(key, _)| any || key.starts_with(list.prefix))
            .filter(|(key, id)| after.is_none_or(|(past, of)| (&key[..], &id[..]) > (of, past)));
        let limit = list.limit.min(self.page) as usize;
        let page = rest.by_ref().take(limit);
        let page: Vec<_> = page.map(|(key, id)| PendingUpload::new(key, id)).collect();
        let last = page
            .last()
            .map(|one| format!("{} {}", one.upload_id, one.key));
        Ok(UploadPage::new(page).next(last.filter(|_| rest.next().is_some())))
    }

    pub(crate) async fn completed(&self, complete: &CompleteUpload<'_>) -> Result<Uploaded> {
        let name = {
            let mut store = self.lock();
            let name = self.named(&mut store, complete.key, complete.upload_id)?;
            if let Some(pending) = store.uploads.get_mut(&name)
                && self.has(Bug::RaceIsOther)
                && std::mem::replace(&mut pending.is_taken, true)
            {
                return Err(Error::new(ErrorKind::Other).with_message("busy"));
            }
            name
        };
        if self.has(Bug::RaceIsOther) {
            pause().await;
        }
        let mut store = self.lock();
        let pending = store
            .uploads
            .get(&name)
            .ok_or_else(Error::upload_not_found)?;
        let mut taken = Vec::new();
        for (number, etag) in &complete.parts {
            let found = pending.parts.get(number);
            let right =
                |kept: &&StoredPart| kept.part.etag == *etag || self.has(Bug::EtagsUnchecked);
            taken.push(
                found
                    .filter(right)
                    .ok_or_else(|| Error::invalid_part(*number))?,
            );
        }
        if self.has(Bug::EveryPartTaken) {
            taken = pending.parts.values().collect();
        }
        if self.has(Bug::PartsInOrderOfArrival) {
            taken.sort_by_key(|kept| kept.arrival);
        }
        let bytes: Vec<&[u8]> = taken.iter().map(|kept| &kept.bytes[..]).collect();
        let mut object = Object {
            bytes: bytes.concat().into(),
            info: pending.info.clone(),
        };
        let there = store.current(complete.key);
        let create_only = complete.create_only && !self.has(Bug::CompleteIgnoresCreateOnly);
        let if_match = complete
            .if_match
            .filter(|_| !self.has(Bug::CompleteIgnoresIfMatch));
        check_put(there, create_only, if_match)?;
        if let Some(old) = there
            && self.has(Bug::CompletionInheritsMetadata)
        {
            object.info.metadata.clone_from(&old.info.metadata);
        }
        if !self.has(Bug::CompletedStays) {
            store.uploads.remove(&name);
        }
        let info = store.publish(complete.key, object, &self.host);
        Ok(Uploaded::new(info.size)
            .etag(info.etag)
            .version(info.version))
    }

    pub(crate) fn aborted(&self, abort: &AbortUpload<'_>) -> Result<()> {
        let mut store = self.lock();
        let name = self.named(&mut store, abort.key, abort.upload_id)?;
        if !self.has(Bug::AbortKeepsUpload) {
            store.uploads.remove(&name);
        }
        Ok(())
    }
}
