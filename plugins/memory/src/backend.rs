//! The operations of the contract.
//!
//! All state is one map behind one lock, held for a lookup and never while bytes are transferred. An
//! upload gathers its bytes first and then publishes data and metadata in one step. A reader has its own
//! handle of an object, so later changes of the key do not affect it.

use crate::{MemoryConfig, lister};
use futures_util::stream;
use holdall_plugin_api::{
    Body, Bytes, Copied, CopyObject, Delete, Deleted, Download, Downloaded, Error, ErrorKind, Head,
    Health, Host, Instance, Key, List, ObjectInfo, Page, ReadOptions, Rename, Renamed, Result,
    SignUrl, Signing, StorageBackend, Upload, UploadOptions, Uploaded, Usage,
};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// A store in memory.
#[derive(Debug)]
pub struct Memory {
    max_bytes: Option<u64>,
    host: Host,
    store: RwLock<MemoryStore>,
}

#[derive(Debug, Default)]
struct MemoryStore {
    objects: BTreeMap<String, Object>,
    /// The sum of all sizes.
    used: u64,
    /// Number of changes so far; an etag is the number of the change that created the object.
    changes: u64,
    shut_down: bool,
}

/// An object. Clones share the bytes, which are never written again.
#[derive(Clone, Debug)]
struct Object {
    bytes: Bytes,
    info: ObjectInfo,
}

impl MemoryStore {
    fn get(&self, key: &Key) -> Result<&Object> {
        self.objects.get(key.text()).ok_or_else(Error::not_found)
    }

    /// Publishes an object.
    fn publish(&mut self, key: &Key, mut object: Object, now: SystemTime) -> &ObjectInfo {
        self.changes += 1;
        object.info.etag = Some(format!("\"{}\"", self.changes));
        object.info.last_modified = Some(now);
        self.used += object.info.size;
        self.remove(key);
        let slot = self.objects.entry(key.text().to_owned());
        &slot.insert_entry(object).into_mut().info
    }

    /// Removes an object and its size from the quota.
    fn remove(&mut self, key: &Key) -> Option<Object> {
        let object = self.objects.remove(key.text())?;
        self.used -= object.info.size;
        Some(object)
    }

    /// Whether `size` more bytes fit once the present object of this key is gone.
    fn check_quota(&self, key: &Key, size: u64, max_bytes: Option<u64>) -> Result<()> {
        let replaced = self.objects.get(key.text());
        let replaced = replaced.map_or(0, |object| object.info.size);
        match max_bytes {
            Some(max) if (self.used - replaced).saturating_add(size) > max => Err(quota(max, size)),
            _ => Ok(()),
        }
    }
}

fn quota(max: u64, requested: u64) -> Error {
    Error::new(ErrorKind::QuotaExceeded)
        .with_message("the backend's `max_bytes` are used up")
        .with_fact("scope", "backend")
        .with_fact("limit", max)
        .with_fact("requested", requested)
}

fn precondition_failed(why: &'static str) -> Error {
    Error::new(ErrorKind::PreconditionFailed).with_message(why)
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
    async fn gather(&self, body: &mut Body) -> Result<Bytes> {
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
    if store.shut_down {
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
            host,
            store: RwLock::default(),
        })
    }

    fn instance(&self) -> Instance {
        Instance::new("memory of the process")
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        let (key, mut body, length, options) = upload.into_parts();
        // Refuses early; the check under the write lock below decides.
        {
            let store = self.reading()?;
            check_put(&store, key, &options)?;
            store.check_quota(key, length.unwrap_or(0), self.max_bytes)?;
        }
        let bytes = self.gather(&mut body).await?;
        let mut info = described(bytes.len() as u64, &options);
        // The host has computed it during the transfer.
        info.checksums.crc32c = body.trailers().and_then(|end| end.checksums.crc32c);

        let mut store = self.writing()?;
        check_put(&store, key, &options)?;
        store.check_quota(key, info.size, self.max_bytes)?;
        let info = store.publish(key, Object { bytes, info }, self.host.now());
        let mut uploaded = Uploaded::new(info.size);
        uploaded.etag.clone_from(&info.etag);
        uploaded.last_modified = info.last_modified;
        uploaded.checksums = info.checksums;
        Ok(uploaded)
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let Object { bytes, info } = self.reading()?.get(download.key)?.clone();
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
        match (store.get(delete.key), delete.if_match) {
            (Err(missing), _) if delete.must_exist => return Err(missing),
            (Err(_), Some(_)) => return Err(precondition_failed("there is no object")),
            (Ok(object), Some(etag)) if !names(etag, &object.info) => {
                return Err(precondition_failed("the object has another etag"));
            }
            _ => {}
        }
        let removed = store.remove(delete.key);
        Ok(Deleted::new(Some(removed.is_some())))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.reading()?.objects.contains_key(key.text()))
    }

    async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
        self.reading().map(|_| Signing::AtGateway)
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        let info = self.reading()?.get(head.key)?.info.clone();
        check_read(&info, head.options())?;
        Ok(info)
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        lister::page(&self.reading()?.objects, |object| &object.info, &list)
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        let mut store = self.writing()?;
        let source = store.get(copy.from)?.clone();
        if copy.create_only && store.get(copy.to).is_ok() {
            return Err(precondition_failed("the target exists"));
        }
        let info = if copy.from == copy.to {
            source.info
        } else {
            store.check_quota(copy.to, source.info.size, self.max_bytes)?;
            store.publish(copy.to, source, self.host.now()).clone()
        };
        let mut copied = Copied::default();
        copied.size = Some(info.size);
        copied.etag = info.etag;
        copied.last_modified = info.last_modified;
        Ok(copied)
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        let mut store = self.writing()?;
        let mut info = store.get(rename.from)?.info.clone();
        if rename.from != rename.to
            && let Some(object) = store.remove(rename.from)
        {
            info = store.publish(rename.to, object, self.host.now()).clone();
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
        usage.used = Some(store.used);
        usage.objects = Some(store.objects.len() as u64);
        usage.total = self.max_bytes;
        usage.free = self.max_bytes.map(|max| max - store.used);
        Ok(usage)
    }

    async fn shutdown(&self) -> Result<()> {
        // Idempotent. Uploads in progress fail when they are published.
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        *store = MemoryStore {
            shut_down: true,
            ..MemoryStore::default()
        };
        Ok(())
    }
}

fn described(size: u64, options: &UploadOptions<'_>) -> ObjectInfo {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let mut info = ObjectInfo::new(size);
    info.content_type = owned(options.content_type);
    info.cache_control = owned(options.headers.cache_control);
    info.content_disposition = owned(options.headers.content_disposition);
    info.content_encoding = owned(options.headers.content_encoding);
    info.content_language = owned(options.headers.content_language);
    info.metadata = options.metadata.iter().map(pair).collect();
    info
}

fn names(etag: &str, info: &ObjectInfo) -> bool {
    etag == "*" || info.etag.as_deref() == Some(etag)
}

fn check_put(store: &MemoryStore, key: &Key, options: &UploadOptions<'_>) -> Result<()> {
    // Not by `get`: it makes an error of an absence, which is the rule here.
    match (store.objects.get(key.text()), options.if_match) {
        (Some(_), _) if options.create_only => Err(precondition_failed("the object exists")),
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
