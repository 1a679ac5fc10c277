//! Uploads in parts.

use super::answers::{checksums, metadata, uploaded};
use super::receive::receive;
use super::{Local, while_locked};
use crate::config::sync;
use crate::engine::store::LocalStore;
use crate::engine::uploads::{ListedUpload, StoredPart};
use crate::engine::write::Publish;
use crate::error::{from_fault, from_join};
use holdall_plugin_api::{
    AbortUpload, CompleteUpload, CreateUpload, Error, ErrorKind, ListParts, ListUploads, Part,
    PartPage, PendingUpload, PutPart, Result, UploadPage, Uploaded,
};
use std::sync::Arc;
use tokio::task::spawn_blocking;

pub(super) async fn create_upload(local: &Local, create: CreateUpload<'_>) -> Result<String> {
    let options = create.options();
    let (key, metadata) = (create.key.text().to_owned(), metadata(options));
    let sync = sync(options.durability, local.durability);
    let mut random = [0; 16];
    local.host.random(&mut random);
    let id = format!("{:032x}", u128::from_be_bytes(random));
    let name = id.clone();
    local
        .change(move |store| store.begin_upload(&name, &key, &metadata, sync))
        .await?;
    Ok(id)
}

pub(super) async fn put_part(local: &Local, put: PutPart<'_>) -> Result<Part> {
    let (key, id) = (put.key.text().to_owned(), put.upload_id.to_owned());
    let number = put.number;
    // Before any byte is taken.
    let pending = local.change(move |store| store.pending_upload(&key, &id));
    let pending = Arc::new(pending.await?);
    let vouched = put.checksums.crc32c;
    let begin = async {
        let (pending, size) = (Arc::clone(&pending), put.length);
        local
            .change(move |store| pending.begin_part(store, number, size))
            .await
    };
    let received = receive(put.body, put.length, vouched, begin).await?;
    let current = Arc::clone(&local.current);
    let store = move || -> Result<StoredPart> {
        let begin = |size| current.change(|store| pending.begin_part(store, number, Some(size)));
        let writer = received.written(begin)?;
        pending.store_part(number, &writer).map_err(from_fault)
    };
    Ok(part(spawn_blocking(store).await.map_err(from_join)??))
}

pub(super) async fn list_parts(local: &Local, list: ListParts<'_>) -> Result<PartPage> {
    let after = list
        .page_token
        .map_or(Ok(0), |token| token.parse().map_err(|_| foreign_token()))?;
    let (key, id) = (list.key.text().to_owned(), list.upload_id.to_owned());
    let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
    let page = local.change(move |store| store.pending_upload(&key, &id)?.parts(after, limit));
    let (parts, more) = page.await?;
    let last = parts.last().map(|part| part.number.to_string());
    Ok(PartPage::new(parts.into_iter().map(part)).next(last.filter(|_| more)))
}

pub(super) async fn list_uploads(local: &Local, list: ListUploads<'_>) -> Result<UploadPage> {
    const ID: usize = 32;
    let after = match list.page_token {
        None => None,
        Some(token) => {
            let (id, key) = token.split_at_checked(ID).ok_or_else(foreign_token)?;
            Some((key.to_owned(), id.to_owned()))
        }
    };
    let prefix = list.prefix.to_owned();
    let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
    let page = local.change(move |store| {
        let after = after.as_ref().map(|(key, id)| (key.as_str(), id.as_str()));
        store.list_uploads(&prefix, after, limit)
    });
    let (uploads, more) = page.await?;
    let last = uploads
        .last()
        .map(|last| format!("{}{}", last.id, last.key));
    let upload =
        |ListedUpload { key, id, begun }| PendingUpload::new(key, id).created(begun.time());
    Ok(UploadPage::new(uploads.into_iter().map(upload)).next(last.filter(|_| more)))
}

pub(super) async fn complete_upload(
    local: &Local,
    complete: CompleteUpload<'_>,
) -> Result<Uploaded> {
    let (key, id) = (
        complete.key.text().to_owned(),
        complete.upload_id.to_owned(),
    );
    let parts = complete.parts.iter();
    let parts: Vec<_> = parts
        .map(|(number, etag)| (*number, (*etag).to_owned()))
        .collect();
    let (create_only, if_match) = (complete.create_only, complete.if_match.map(str::to_owned));
    let condition = if_match.clone();
    let prepared = local.change(move |store: &Arc<LocalStore>| {
        let how = Publish {
            create_only,
            if_match: condition.as_deref(),
            ..Publish::default()
        };
        store.prepare_completion(&key, &id, &parts, how)
    });
    let prepared = prepared.await?;
    let found = prepared.crc32c();
    if let Some(expected) = complete.checksums.crc32c.filter(|stated| *stated != found) {
        return Err(Error::new(ErrorKind::ChecksumMismatch)
            .with_message("the parts together have another checksum than stated")
            .with_fact("expected_crc32c", format_args!("{expected:08x}"))
            .with_fact("found_crc32c", format_args!("{found:08x}")));
    }
    let publish = move || prepared.publish(create_only, if_match.as_deref());
    let facts = while_locked(Arc::new(publish)).await?;
    Ok(uploaded(local, &facts))
}

pub(super) async fn abort_upload(local: &Local, abort: AbortUpload<'_>) -> Result<()> {
    let (key, id) = (abort.key.text().to_owned(), abort.upload_id.to_owned());
    local
        .change(move |store| store.abort_upload(&key, &id))
        .await
}

fn part(stored: StoredPart) -> Part {
    Part::new(stored.number, stored.etag(), stored.size)
        .last_modified(stored.stamp.time())
        .checksums(checksums(Some(stored.crc32c)))
}

fn foreign_token() -> Error {
    Error::invalid("not a page token of this backend")
}
