//! The operations of the contract.
//!
//! All state is one map behind one lock, held for a lookup and never while bytes are transferred. An
//! upload gathers its bytes first and then publishes data and metadata in one step. A reader has its own
//! handle of an object, so later changes of the key do not affect it.

use crate::store::{MemoryStore, Object, names, precondition_failed, quota};
use crate::{CLAIMS, MemoryConfig, OF_VERSIONS, lister, parts, ranges, versions};
use futures_util::stream;
use holdall_plugin_api::{
    AbortUpload, Body, Bytes, CompleteUpload, Copied, CopyObject, CreateUpload, Delete, Deleted,
    Download, DownloadRanges, Downloaded, DownloadedRanges, Error, ErrorKind, Head, Health, Host,
    Instance, Key, List, ListParts, ListUploads, ListVersions, ObjectInfo, Operations, Page, Part,
    PartPage, ProviderFacts, PutPart, ReadOptions, Rename, Renamed, Result, SignUrl, Signing,
    StorageBackend, Update, Upload, UploadOptions, UploadPage, Uploaded, Usage, VersionPage,
};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// A store in memory.
#[derive(Debug)]
pub struct Memory {
    max_bytes: Option<u64>,
    keeps_versions: bool,
    host: Host,
    store: RwLock<MemoryStore>,
}

impl Memory {
    fn reading(&self) -> Result<RwLockReadGuard<'_, MemoryStore>> {
        // Nothing can panic between two changes of the map, so a poisoned lock is still sound.
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        check_open(&store)?;
        Ok(store)
    }

    fn writing(&self) -> Result<RwLockWriteGuard<'_, MemoryStore>> {
        let store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        check_open(&store)?;
        Ok(store)
    }

    /// Reads a body to its end, or up to the quota.
    pub(crate) async fn gather(&self, body: &mut Body) -> Result<Bytes> {
        // Copied: a chunk may be a small view of a large buffer that would stay alive with it.
        let mut bytes = Vec::new();
        while let Some(chunk) = body.chunk().await {
            bytes.extend_from_slice(&chunk?);
            let size = bytes.len() as u64;
            if let Some(max) = self.max_bytes.filter(|max| size > *max) {
                return Err(quota(max, size));
            }
        }
        Ok(bytes.into())
    }
}

fn check_open(store: &MemoryStore) -> Result<()> {
    if store.is_shut_down() {
        return Err(
            Error::new(ErrorKind::Unavailable).with_message("the backend has been shut down")
        );
    }
    Ok(())
}

impl StorageBackend for Memory {
    type Config = MemoryConfig;

    async fn open(config: MemoryConfig, host: Host) -> Result<Self> {
        Ok(Self {
            max_bytes: config.max_bytes,
            keeps_versions: config.versions,
            host,
            store: RwLock::new(MemoryStore::new(config.versions)),
        })
    }

    fn instance(&self) -> Instance {
        let instance = Instance::new("memory of the process");
        if self.keeps_versions {
            return instance;
        }
        instance
            .operations(Operations::ALL.without(Operations::list_versions))
            .capabilities(CLAIMS.without(OF_VERSIONS))
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        let (key, mut body, length, options) = upload.into_parts();
        // Refuses early; the check under the write lock below decides.
        {
            let store = self.reading()?;
            check_put(&store, key, options.create_only, options.if_match)?;
            store.check_quota(key, length.unwrap_or(0), self.max_bytes)?;
        }
        let bytes = self.gather(&mut body).await?;
        let mut info = described(bytes.len() as u64, &options);
        // The host has computed it during the transfer.
        info.checksums.crc32c = body.trailers().and_then(|end| end.checksums.crc32c);

        let mut store = self.writing()?;
        check_put(&store, key, options.create_only, options.if_match)?;
        store.check_quota(key, info.size, self.max_bytes)?;
        let info = store.publish(key, Object { bytes, info }, self.host.now());
        let mut uploaded = Uploaded::new(info.size);
        uploaded.etag.clone_from(&info.etag);
        uploaded.last_modified = info.last_modified;
        uploaded.checksums = info.checksums;
        uploaded.version.clone_from(&info.version);
        Ok(uploaded)
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let version = download.options().version;
        let Object { bytes, info } = self.reading()?.version(download.key, version)?.clone();
        check_read(&info, download.options())?;
        let range = match download.range {
            Some(range) => range.within(info.size)?,
            None => 0..info.size,
        };
        // Within the object, which is in memory: the casts are lossless.
        let wanted = bytes.slice(range.start as usize..range.end as usize);
        let hint = download.chunk_hint as usize;
        let body = if wanted.len() <= hint {
            Body::once(wanted)
        } else {
            let chunks = (0..wanted.len()).step_by(hint);
            Body::stream(stream::iter(chunks.map(move |start| {
                let end = wanted.len().min(start + hint);
                Ok(wanted.slice(start..end))
            })))
        };
        Ok(Downloaded::new(info, range, body))
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        let mut store = self.writing()?;
        match (store.version(delete.key, delete.version), delete.if_match) {
            (Err(missing), _) if delete.must_exist => return Err(missing),
            (Err(_), Some(_)) => return Err(precondition_failed("there is no object")),
            (Ok(object), Some(etag)) if !names(etag, &object.info) => {
                return Err(precondition_failed("the object has another etag"));
            }
            _ => {}
        }
        Ok(store.delete(delete.key, delete.version, self.host.now()))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.reading()?.objects().contains_key(key.text()))
    }

    async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
        self.reading().map(|_| Signing::AtGateway)
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        let version = head.options().version;
        let info = self.reading()?.version(head.key, version)?.info.clone();
        check_read(&info, head.options())?;
        Ok(info)
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        lister::page(self.reading()?.objects(), |object| &object.info, &list)
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        let mut store = self.writing()?;
        let options = copy.options();
        let mut source = store.version(copy.from, options.source_version)?.clone();
        if options
            .source_if_match
            .is_some_and(|etag| !names(etag, &source.info))
        {
            return Err(precondition_failed("the source has another etag"));
        }
        if options
            .source_if_none_match
            .is_some_and(|etag| names(etag, &source.info))
        {
            return Err(precondition_failed("the source has this etag"));
        }
        check_put(&store, copy.to, copy.create_only, options.if_match)?;
        let source_version = source.info.version.clone();
        if let Some(replace) = &options.replace {
            let checksums = source.info.checksums;
            source.info = described(source.info.size, replace).checksums(checksums);
        }
        let info = if copy.from == copy.to && options.replace.is_none() {
            source.info
        } else {
            store.check_quota(copy.to, source.info.size, self.max_bytes)?;
            store.publish(copy.to, source, self.host.now()).clone()
        };
        Ok(Copied::new()
            .size(info.size)
            .etag(info.etag)
            .last_modified(info.last_modified)
            .version(info.version)
            .source_version(source_version))
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        let mut store = self.writing()?;
        let mut info = store.get(rename.from)?.info.clone();
        if rename.from != rename.to {
            let (object, now) = (store.get(rename.from)?.clone(), self.host.now());
            store.delete(rename.from, None, now);
            info = store.publish(rename.to, object, now).clone();
        }
        let mut renamed = Renamed::new(true);
        renamed.etag = info.etag;
        Ok(renamed)
    }

    async fn health(&self) -> Result<Health> {
        self.reading().map(|_| Health::up())
    }

    async fn usage(&self) -> Result<Usage> {
        let store = self.reading()?;
        let mut usage = Usage::default();
        usage.used = Some(store.used());
        usage.objects = Some(store.objects().len() as u64);
        usage.total = self.max_bytes;
        usage.free = self.max_bytes.map(|max| max - store.used());
        Ok(usage)
    }

    async fn shutdown(&self) -> Result<()> {
        // Idempotent. Uploads in progress fail when they are published.
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        *store = MemoryStore::shut_down();
        Ok(())
    }

    async fn create_upload(&self, create: CreateUpload<'_>) -> Result<String> {
        let info = described(0, create.options());
        let mut id = [0; 16];
        self.host.random(&mut id);
        let id = id.map(|byte| format!("{byte:02x}")).concat();
        self.writing()?
            .begin(create.key, &id, info, self.host.now());
        Ok(id)
    }

    async fn put_part(&self, put: PutPart<'_>) -> Result<Part> {
        let PutPart {
            key,
            upload_id,
            number,
            mut body,
            length,
            ..
        } = put;
        {
            let store = self.reading()?;
            store.pending(key, upload_id)?;
            store.check_part(key, upload_id, number, length.unwrap_or(0), self.max_bytes)?;
        }
        let bytes = self.gather(&mut body).await?;
        let crc32c = body.trailers().and_then(|end| end.checksums.crc32c);
        let mut store = self.writing()?;
        let size = bytes.len() as u64;
        store.check_part(key, upload_id, number, size, self.max_bytes)?;
        store.put_part(key, upload_id, number, bytes, crc32c, self.host.now())
    }

    async fn list_parts(&self, list: ListParts<'_>) -> Result<PartPage> {
        parts::page(self.reading()?.pending(list.key, list.upload_id)?, &list)
    }

    async fn list_uploads(&self, list: ListUploads<'_>) -> Result<UploadPage> {
        parts::uploads(self.reading()?.all_pending(), &list)
    }

    async fn complete_upload(&self, complete: CompleteUpload<'_>) -> Result<Uploaded> {
        let mut store = self.writing()?;
        let object = store
            .pending(complete.key, complete.upload_id)?
            .assembled(&complete.parts)?;
        check_put(
            &store,
            complete.key,
            complete.create_only,
            complete.if_match,
        )?;
        // The parts themselves are freed in the same step.
        store.abort(complete.key, complete.upload_id)?;
        let info = store.publish(complete.key, object, self.host.now());
        Ok(Uploaded::new(info.size)
            .etag(info.etag.clone())
            .version(info.version.clone())
            .last_modified(info.last_modified))
    }

    async fn abort_upload(&self, abort: AbortUpload<'_>) -> Result<()> {
        self.writing()?.abort(abort.key, abort.upload_id)
    }

    async fn download_ranges(&self, read: DownloadRanges<'_>) -> Result<DownloadedRanges> {
        let version = read.options().version;
        let Object { bytes, info } = self.reading()?.version(read.key, version)?.clone();
        check_read(&info, read.options())?;
        read.within(info.size)?;
        let reader = ranges::reader(bytes, read.ranges);
        Ok(DownloadedRanges::new(info, reader))
    }

    async fn list_versions(&self, list: ListVersions<'_>) -> Result<VersionPage> {
        versions::page(self.reading()?.history(), &list)
    }

    async fn update(&self, update: Update<'_>) -> Result<ObjectInfo> {
        let mut store = self.writing()?;
        let found = store.version(update.key, update.version)?;
        if update
            .if_match
            .is_some_and(|etag| !names(etag, &found.info))
        {
            return Err(precondition_failed("the object has another etag"));
        }
        let mut info = found.info.clone();
        let owned = |text: Option<&str>| text.map(str::to_owned);
        for (slot, new) in [
            (&mut info.content_type, update.content_type),
            (&mut info.cache_control, update.cache_control),
            (&mut info.content_disposition, update.content_disposition),
            (&mut info.content_encoding, update.content_encoding),
            (&mut info.content_language, update.content_language),
        ] {
            if let Some(new) = new {
                *slot = owned(new);
            }
        }
        if let Some(metadata) = &update.metadata {
            info.metadata = pairs(metadata);
        }
        if let Some(tags) = &update.tags {
            info = info.provider(tagged(tags));
        }
        Ok(store
            .change(update.key, update.version, info, self.host.now())?
            .clone())
    }
}

fn described(size: u64, options: &UploadOptions<'_>) -> ObjectInfo {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let mut info = ObjectInfo::new(size);
    info.content_type = owned(options.content_type);
    info.cache_control = owned(options.headers.cache_control);
    info.content_disposition = owned(options.headers.content_disposition);
    info.content_encoding = owned(options.headers.content_encoding);
    info.content_language = owned(options.headers.content_language);
    info.metadata = pairs(&options.metadata);
    info.provider(tagged(&options.tags))
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(pair).collect()
}

/// The tags are always told, also when there are none.
fn tagged(tags: &[(&str, &str)]) -> ProviderFacts {
    ProviderFacts::new().tags(pairs(tags))
}

fn check_put(
    store: &MemoryStore,
    key: &Key,
    create_only: bool,
    if_match: Option<&str>,
) -> Result<()> {
    // Not by `get`: it makes an error of an absence, which is the rule here.
    match (store.objects().get(key.text()), if_match) {
        (Some(_), _) if create_only => Err(precondition_failed("the object exists")),
        (Some(object), Some(etag)) if !names(etag, &object.info) => {
            Err(precondition_failed("the object has another etag"))
        }
        (None, Some(_)) => Err(precondition_failed("there is no object")),
        _ => Ok(()),
    }
}

/// Checks the conditions of a read: an etag takes precedence over a time, as in [RFC 9110, 13.2.2].
///
/// [RFC 9110, 13.2.2]: https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
fn check_read(info: &ObjectInfo, options: &ReadOptions<'_>) -> Result<()> {
    let changed_after = |time: SystemTime| info.last_modified.map(seconds) > Some(seconds(time));
    match (options.if_match, options.if_unmodified_since) {
        (Some(etag), _) if !names(etag, info) => {
            return Err(precondition_failed("the object has another etag"));
        }
        (None, Some(time)) if changed_after(time) => {
            return Err(precondition_failed("the object has changed since"));
        }
        _ => {}
    }
    match (options.if_none_match, options.if_modified_since) {
        (Some(etag), _) if names(etag, info) => Err(Error::new(ErrorKind::NotModified)),
        (None, Some(time)) if !changed_after(time) => Err(Error::new(ErrorKind::NotModified)),
        _ => Ok(()),
    }
}

/// Whole seconds, the resolution of HTTP dates.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn with_quota(max_bytes: u64) -> Memory {
        let config = MemoryConfig {
            max_bytes: Some(max_bytes),
            versions: false,
        };
        Memory::open(config, Host::detached("memory"))
            .await
            .unwrap()
    }

    async fn put(memory: &Memory, key: &str, bytes: usize) -> Result<Uploaded> {
        memory.upload(Upload::new(key, vec![0; bytes])).await
    }

    fn is_quota_exceeded<T>(answer: Result<T>) -> bool {
        answer.is_err_and(|error| error.kind() == ErrorKind::QuotaExceeded)
    }

    #[tokio::test]
    async fn the_quota_counts_stored_bytes() {
        let memory = with_quota(10).await;
        put(&memory, "a", 6).await.unwrap();
        assert!(is_quota_exceeded(put(&memory, "b", 5).await));
        put(&memory, "b", 4).await.unwrap();
        // An overwrite costs the difference, a delete gives back, a rename costs nothing.
        put(&memory, "a", 5).await.unwrap();
        assert!(is_quota_exceeded(put(&memory, "a", 7).await));
        memory.rename(Rename::new("a", "c")).await.unwrap();
        assert!(is_quota_exceeded(
            memory.copy(CopyObject::new("c", "a")).await
        ));
        memory.delete(Delete::new("b")).await.unwrap();
        memory.copy(CopyObject::new("c", "a")).await.unwrap();
        let usage = memory.usage().await.unwrap();
        assert_eq!(
            (usage.used, usage.free, usage.objects),
            (Some(10), Some(0), Some(2))
        );
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_is_read_no_further_than_the_quota() {
        let memory = with_quota(10).await;
        let endless = stream::repeat_with(|| Ok(Bytes::from_static(b"abc")));
        let answer = memory.upload(Upload::new("a", Body::stream(endless))).await;
        assert!(is_quota_exceeded(answer));
        assert!(!memory.exists(Key::new("a")).await.unwrap());
    }

    #[tokio::test]
    async fn a_stated_length_above_the_quota_is_refused_unread() {
        let memory = with_quota(10).await;
        put(&memory, "b", 1).await.unwrap();
        let never = Body::stream(stream::pending());
        let upload = Upload::new("a", never).length(u64::MAX);
        assert!(is_quota_exceeded(memory.upload(upload).await));
    }
}
