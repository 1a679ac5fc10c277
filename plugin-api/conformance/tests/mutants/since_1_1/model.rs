//! A small store with everything of ABI 1.1 that is right, but for the mistake that a test chooses.

use super::Bug;
use super::parts::Pending;
use futures_util::stream;
use holdall_plugin_api::{
    AbortUpload, Body, Bytes, CompleteUpload, Copied, CopyObject, CreateUpload, Delete, DeleteMany,
    Deleted, Download, DownloadRanges, Downloaded, DownloadedRanges, Encrypted, Encryption, Entry,
    Error, ErrorKind, Head, Host, Instance, Key, List, ListParts, ListUploads, ListVersions,
    ObjectInfo, Page, Part, PartPage, ProviderFacts, PutPart, Result, SignUrl, Signing,
    StorageBackend, Update, Upload, UploadOptions, UploadPage, Uploaded, VersionPage,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) type SharedStore = Arc<Mutex<Store>>;

pub(crate) struct Config {
    pub(crate) bug: Option<Bug>,
    pub(crate) page: u32,
    pub(crate) store: SharedStore,
}

/// Never read from a file.
impl<'de> serde::Deserialize<'de> for Config {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Ok(Config {
            bug: None,
            page: 1000,
            store: Arc::default(),
        })
    }
}

#[derive(Clone)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) info: ObjectInfo,
}

/// `None`: a delete marker.
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) object: Option<Object>,
}

#[derive(Default)]
pub(crate) struct Store {
    /// Every version of every key, the newest last.
    pub(crate) objects: BTreeMap<String, Vec<Version>>,
    pub(crate) uploads: BTreeMap<(String, String), Pending>,
    pub(crate) changes: u64,
    instances: u64,
    /// The object whose ranges were asked for last.
    pub(crate) ranges_of: Bytes,
}

impl Store {
    /// Versions and uploads that are there.
    pub(crate) fn left(&self) -> (usize, usize) {
        let versions = self.objects.values().map(Vec::len);
        (versions.sum(), self.uploads.len())
    }

    pub(crate) fn current(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key.text())?.last()?.object.as_ref()
    }

    pub(crate) fn publish(&mut self, key: &Key, mut object: Object, host: &Host) -> ObjectInfo {
        self.changes += 1;
        object.info.size = object.bytes.len() as u64;
        object.info.etag = Some(format!("\"{}\"", self.changes));
        object.info.version = Some(self.changes.to_string());
        object.info.last_modified = Some(host.now());
        let info = object.info.clone();
        let versions = self.objects.entry(key.text().to_owned()).or_default();
        versions.push(Version {
            number: self.changes,
            object: Some(object),
        });
        info
    }
}

#[derive(Clone)]
pub(crate) struct Grown {
    bug: Option<Bug>,
    pub(crate) page: u32,
    pub(crate) host: Host,
    /// Of this instance among those of its store.
    pub(crate) number: u64,
    store: SharedStore,
}

pub(crate) fn lost() -> Error {
    Error::new(ErrorKind::PreconditionFailed)
}

pub(crate) fn names(etag: &str, info: &ObjectInfo) -> bool {
    etag == "*" || info.etag.as_deref() == Some(etag)
}

/// Fails unless the object, if any, allows a write.
pub(crate) fn check_put(
    there: Option<&Object>,
    create_only: bool,
    if_match: Option<&str>,
) -> Result<()> {
    let matches = |etag| there.is_some_and(|object| names(etag, &object.info));
    match (create_only && there.is_some()) || if_match.is_some_and(|etag| !matches(etag)) {
        true => Err(lost()),
        false => Ok(()),
    }
}

pub(crate) fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

/// Yields to concurrent calls.
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

impl Grown {
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn described(&self, options: &UploadOptions<'_>) -> Result<ObjectInfo> {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let class = options.storage_class.unwrap_or("STANDARD");
        if class != "STANDARD" && !self.has(Bug::AnyClass) {
            return Err(Error::invalid("no such class"));
        }
        let mut tags = owned(&options.tags);
        if self.has(Bug::TenthTagLost) {
            tags.truncate(9);
        }
        let encrypted = match options.encryption {
            Some(Encryption::Managed) if !self.has(Bug::EncryptionUntold) => {
                Some(Encrypted::Managed)
            }
            _ => None,
        };
        let provider = ProviderFacts::new()
            .storage_class(class.to_owned())
            .tags(tags)
            .encryption(encrypted);
        Ok(ObjectInfo::new(0)
            .content_type(text(options.content_type))
            .cache_control(text(options.headers.cache_control))
            .content_disposition(text(options.headers.content_disposition))
            .content_encoding(text(options.headers.content_encoding))
            .content_language(text(options.headers.content_language))
            .metadata(owned(&options.metadata))
            .provider(provider))
    }

    pub(crate) fn version(&self, store: &Store, key: &Key, name: Option<&str>) -> Result<Object> {
        let current = store.current(key);
        let found = match name {
            Some(name) if !self.has(Bug::VersionIgnored) => {
                let versions = store.objects.get(key.text()).into_iter().flatten();
                let mut named = versions.filter(|version| version.number.to_string() == name);
                let found = named.next().and_then(|version| version.object.as_ref());
                found.or(current.filter(|_| self.has(Bug::UnknownVersionIsCurrent)))
            }
            _ => current,
        };
        found.cloned().ok_or_else(Error::not_found)
    }

    /// The bytes of a body; under the mistake, those of an object that changes are lost to its readers.
    fn body(&self, key: &Key, object: &Object, wanted: Bytes, hint: usize) -> Body {
        let (this, key) = (self.clone(), key.text().to_owned());
        let etag = object.info.etag.clone();
        let starts = (0..wanted.len()).step_by(hint);
        Body::stream(stream::iter(starts.map(move |start| {
            let end = wanted.len().min(start + hint);
            let now = this.lock();
            let current = now.current(Key::new(&key));
            let changed = current.is_some_and(|object| object.info.etag != etag);
            Ok(match changed && this.has(Bug::UpdateDisturbsReaders) {
                true => vec![0; end - start].into(),
                false => wanted.slice(start..end),
            })
        })))
    }
}

impl StorageBackend for Grown {
    type Config = Config;

    async fn open(config: Config, host: Host) -> Result<Self> {
        let number = {
            let mut store = config.store.lock().unwrap();
            store.instances += 1;
            store.instances
        };
        Ok(Self {
            bug: config.bug,
            page: config.page,
            host,
            number,
            store: config.store,
        })
    }

    fn instance(&self) -> Instance {
        Instance::new("grown")
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        let (key, body, _, options) = upload.into_parts();
        let mut info = self.described(&options)?;
        let bytes = body.collect(64 << 20).await?;
        // As a store that has to wait does: readers go on in between.
        tokio::task::yield_now().await;
        let mut store = self.lock();
        let there = store.current(key);
        check_put(there, options.create_only, options.if_match)?;
        if options.tags.is_empty()
            && self.has(Bug::TagsInherited)
            && let Some(tags) = there.and_then(|old| old.info.tags())
        {
            info = info.provider(ProviderFacts::new().tags(tags.to_vec()));
        }
        let info = store.publish(key, Object { bytes, info }, &self.host);
        Ok(Uploaded::new(info.size)
            .etag(info.etag)
            .version(info.version))
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let options = download.options();
        let object = self.version(&self.lock(), download.key, options.version)?;
        if options
            .if_match
            .is_some_and(|etag| !names(etag, &object.info))
        {
            return Err(lost());
        }
        let range = match &download.range {
            None => 0..object.info.size,
            Some(range) => range.within(object.info.size)?,
        };
        let wanted = object.bytes.slice(range.start as usize..range.end as usize);
        let body = self.body(download.key, &object, wanted, download.chunk_hint as usize);
        Ok(Downloaded::new(object.info, range, body))
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        self.removed(&delete)
    }

    async fn delete_many(&self, delete: DeleteMany<'_>) -> Result<Vec<Result<Deleted>>> {
        let keys = delete.keys.iter().enumerate();
        Ok(keys
            .map(|(at, key)| {
                let mut one = Delete::new(*key);
                if !self.has(Bug::BatchIgnoresVersions) {
                    one.version = delete.versions.get(at).copied().flatten();
                }
                self.removed(&one)
            })
            .collect())
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.lock().current(key).is_some())
    }

    async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
        Ok(Signing::AtGateway)
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        let object = self.version(&self.lock(), head.key, head.options().version)?;
        match head.options().if_match {
            Some(etag) if !names(etag, &object.info) => Err(lost()),
            _ => Ok(object.info),
        }
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        let store = self.lock();
        let after = list.page_token.unwrap_or_default();
        let keys = store.objects.keys();
        let mut entries = keys
            .filter(|key| key.starts_with(list.prefix) && key.as_str() > after)
            .filter_map(|key| Some((key, store.current(Key::new(key))?)))
            .map(|(key, object)| Entry::new(key, object.info.size).etag(object.info.etag.clone()));
        let limit = list.limit.min(self.page) as usize;
        let page: Vec<Entry> = entries.by_ref().take(limit).collect();
        let last = page.last().map(|entry| entry.key.clone());
        Ok(Page::new(page).next(last.filter(|_| entries.next().is_some())))
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        let options = copy.options();
        let if_match = options
            .if_match
            .filter(|_| !self.has(Bug::CopyIgnoresIfMatch));
        if self.has(Bug::CopyChecksEarly) {
            check_put(self.lock().current(copy.to), copy.create_only, if_match)?;
            pause().await;
        }
        let mut store = self.lock();
        let version = options
            .source_version
            .filter(|_| !self.has(Bug::CopyOfCurrent));
        let mut source = self.version(&store, copy.from, version)?;
        let other = |etag| !names(etag, &source.info);
        let same = |etag| names(etag, &source.info);
        let refused = options.source_if_match.is_some_and(other)
            || options.source_if_none_match.is_some_and(same);
        if refused && !self.has(Bug::CopyIgnoresSourceConditions) {
            return Err(lost());
        }
        if !self.has(Bug::CopyChecksEarly) {
            check_put(store.current(copy.to), copy.create_only, if_match)?;
        }
        let source_version = source.info.version.clone();
        let in_place = copy.from == copy.to;
        if let Some(replace) = &options.replace
            && !self.has(Bug::CopyKeepsMetadata)
            && !(in_place && self.has(Bug::CopyOntoItselfIsNothing))
        {
            source.info = self.described(replace)?;
        } else if in_place {
            return Ok(Copied::new().size(source.info.size).etag(source.info.etag));
        }
        let info = store.publish(copy.to, source, &self.host);
        Ok(Copied::new()
            .size(info.size)
            .etag(info.etag)
            .version(info.version)
            .source_version(source_version))
    }

    async fn create_upload(&self, create: CreateUpload<'_>) -> Result<String> {
        self.begun(&create)
    }

    async fn put_part(&self, put: PutPart<'_>) -> Result<Part> {
        self.stored_part(put).await
    }

    async fn list_parts(&self, list: ListParts<'_>) -> Result<PartPage> {
        self.parts(&list)
    }

    async fn list_uploads(&self, list: ListUploads<'_>) -> Result<UploadPage> {
        self.uploads(&list)
    }

    async fn complete_upload(&self, complete: CompleteUpload<'_>) -> Result<Uploaded> {
        self.completed(&complete).await
    }

    async fn abort_upload(&self, abort: AbortUpload<'_>) -> Result<()> {
        self.aborted(&abort)
    }

    async fn download_ranges(&self, read: DownloadRanges<'_>) -> Result<DownloadedRanges> {
        self.ranges(&read)
    }

    async fn list_versions(&self, list: ListVersions<'_>) -> Result<VersionPage> {
        self.versions(&list)
    }

    async fn update(&self, update: Update<'_>) -> Result<ObjectInfo> {
        self.updated(&update)
    }
}
