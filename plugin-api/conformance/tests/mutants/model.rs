//! A small store in memory that is right, but for the mistake that a test chooses.

use crate::handing_over::{self, Bytewise};
use crate::signing;
use futures_util::stream;
use holdall_plugin_api::{
    Body, Bytes, Copied, CopyObject, Delete, Deleted, Download, Downloaded, Entry, Error,
    ErrorKind, Head, Host, Instance, Key, List, ObjectInfo, Operation, Operations, Page,
    ReadOptions, Rename, Renamed, Result, SignUrl, Signing, StorageBackend, Upload, UploadOptions,
    Uploaded, Usage,
};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A mistake that a real backend could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    AnswersOtherEtag,
    AnyRaceWinsCreateOnly,
    CaseFolded,
    ChecksumOfFirstChunk,
    ContentTypeLowercased,
    CopyDropsMetadata,
    CopyIgnoresCreateOnly,
    CopySharesObject,
    CreateOnlyCheckedEarly,
    CreateOnlyIgnored,
    CutsRangeWrongly,
    DeleteClaimsExisted,
    DeleteDeletesPrefix,
    DigestUnbound,
    DropsEmptyMetadata,
    EtagConstant,
    ExistsForPrefix,
    ExpiresAsWished,
    FutureTime,
    GlobDelete,
    GlobPrefix,
    GroupsTwice,
    HugeChunks,
    IfMatchDeleteIgnored,
    IfMatchPutIgnored,
    IfNoneMatchIgnored,
    IntoApart,
    IntoInChunks,
    IntoLosesRest,
    InvalidRangeWithoutSize,
    KeyCutTo255,
    KeyDecodedTwice,
    LeaksBuffers,
    LendLeaks,
    LendsCutShort,
    LendsFromStart,
    LendsLive,
    ListLosesPageEnd,
    ListShowsUploads,
    ListSizeWrong,
    ListUnordered,
    LongFormTimes,
    MetadataApart,
    MetadataInherited,
    MetadataLimitLies,
    MethodUnbound,
    MissingIsEmpty,
    MissingIsOther,
    MustExistIgnored,
    NameUnquoted,
    NeverExpires,
    Normalised,
    Offsets32,
    OverwriteKeepsTail,
    PanicsOnToken,
    PartialKeptOnDrop,
    PartialKeptOnError,
    PartialVisible,
    PercentDecoded,
    PrefixIsFolder,
    QueryUnsigned,
    ReadsLive,
    RenameInTwoSteps,
    ResidueOnDrop,
    SecretInUrl,
    SharedBetweenInstances,
    SignedPutDropped,
    SignedRangeIgnored,
    SignedTypeLost,
    SigningLooksUp,
    SignsNoWeek,
    SizeRefused,
    SizeUnbound,
    StartAfterInclusive,
    SuffixPastStartFails,
    TokenIsCount,
    TypeUnbound,
    UnverifiedIsCut,
    UsageIsZero,
    WholeRangeOfEmpty,
}

pub(crate) struct Config {
    pub(crate) bug: Option<Bug>,
    pub(crate) operations: Operations,
}

/// Never read from a file.
impl<'de> serde::Deserialize<'de> for Config {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Ok(Config {
            bug: None,
            operations: Operations::REQUIRED,
        })
    }
}

#[derive(Clone)]
pub(crate) struct Model {
    bug: Option<Bug>,
    operations: Operations,
    host: Host,
    store: Arc<Mutex<ModelStore>>,
}

#[derive(Default)]
struct ModelStore {
    objects: BTreeMap<String, Object>,
    changes: u64,
    residue: u64,
    running: Vec<String>,
    /// Files that were lent, for the mistake that goes on writing into them.
    lent: BTreeMap<String, Arc<File>>,
    closed: bool,
}

#[derive(Clone)]
struct Object {
    /// Shared and changeable only for the mistakes that need it.
    bytes: Arc<Mutex<Bytes>>,
    info: ObjectInfo,
}

static SHARED: LazyLock<Arc<Mutex<ModelStore>>> = LazyLock::new(Arc::default);

fn lost() -> Error {
    Error::new(ErrorKind::PreconditionFailed)
}

fn names(etag: &str, info: &ObjectInfo) -> bool {
    etag == "*" || info.etag.as_deref() == Some(etag)
}

fn seconds(time: SystemTime) -> Duration {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_secs(since.as_secs())
}

fn matches_glob(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            matches_glob(&pattern[1..], text)
                || text
                    .chars()
                    .next()
                    .is_some_and(|c| matches_glob(pattern, &text[c.len_utf8()..]))
        }
        (Some('?'), Some(c)) => matches_glob(&pattern[1..], &text[c.len_utf8()..]),
        (Some(a), Some(b)) if a == b => {
            matches_glob(&pattern[a.len_utf8()..], &text[b.len_utf8()..])
        }
        _ => false,
    }
}

impl Model {
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn is_there(&self, key: &Key) -> bool {
        let store = self.store.lock().unwrap();
        store.objects.contains_key(&self.name(key))
    }

    /// An operation that is not listed is as one that was not written.
    fn serves(&self, operation: Operation) -> Result<()> {
        match self.operations.has(operation) {
            true => Ok(()),
            false => Err(Error::unsupported(operation.name())),
        }
    }

    fn lock(&self) -> Result<MutexGuard<'_, ModelStore>> {
        // A mistake that panics must not hide behind the lock that it poisoned.
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if store.closed {
            return Err(Error::new(ErrorKind::Unavailable));
        }
        Ok(store)
    }

    fn name(&self, key: &Key) -> String {
        let key = key.text();
        match self.bug {
            Some(Bug::CaseFolded) => key.to_lowercase(),
            Some(Bug::PercentDecoded) => key.replace("%20", " ").replace("%46", "F"),
            Some(Bug::Normalised) => key.replace("e\u{301}", "\u{e9}"),
            Some(Bug::KeyCutTo255) => key.chars().take(255).collect(),
            _ => key.to_owned(),
        }
    }

    fn missing(&self) -> Error {
        match self.has(Bug::MissingIsOther) {
            true => Error::new(ErrorKind::Other).with_message("no such key"),
            false => Error::not_found(),
        }
    }

    fn get(&self, store: &ModelStore, key: &Key) -> Result<Object> {
        store
            .objects
            .get(&self.name(key))
            .cloned()
            .ok_or_else(|| self.missing())
    }

    fn publish(
        &self,
        store: &mut ModelStore,
        name: String,
        bytes: Bytes,
        mut info: ObjectInfo,
    ) -> ObjectInfo {
        store.changes += 1;
        info.size = bytes.len() as u64;
        info.etag = Some(match self.has(Bug::EtagConstant) {
            true => "etag".to_owned(),
            false => store.changes.to_string(),
        });
        info.last_modified = Some(match self.has(Bug::FutureTime) {
            true => self.host.now() + Duration::from_secs(3600),
            false => self.host.now(),
        });
        if let Some(file) = store.lent.get(&name) {
            file.write_all_at(&bytes, 0).unwrap();
        }
        match store.objects.get_mut(&name) {
            // In place, so that every holder of the object sees the change.
            Some(old) if self.has(Bug::ReadsLive) || self.has(Bug::CopySharesObject) => {
                *old.bytes.lock().unwrap() = bytes;
                old.info = info.clone();
            }
            _ => {
                let bytes = Arc::new(Mutex::new(bytes));
                store.objects.insert(
                    name,
                    Object {
                        bytes,
                        info: info.clone(),
                    },
                );
            }
        }
        info
    }

    /// The first half of an upload whose metadata comes later.
    fn publish_bytes_only(
        &self,
        name: &str,
        bytes: Bytes,
        options: &UploadOptions<'_>,
    ) -> Result<()> {
        let mut store = self.lock()?;
        let mut info = self.info(options, None);
        let old = store.objects.get(name);
        info.metadata = old.map(|old| old.info.metadata.clone()).unwrap_or_default();
        self.publish(&mut store, name.to_owned(), bytes, info);
        Ok(())
    }

    fn info(&self, options: &UploadOptions<'_>, old: Option<&Object>) -> ObjectInfo {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let mut info = ObjectInfo::default();
        info.content_type = owned(options.content_type);
        if self.has(Bug::ContentTypeLowercased) {
            info.content_type = info.content_type.map(|text| text.to_lowercase());
        }
        info.cache_control = owned(options.headers.cache_control);
        info.content_disposition = owned(options.headers.content_disposition);
        info.content_encoding = owned(options.headers.content_encoding);
        info.content_language = owned(options.headers.content_language);
        for (name, value) in &options.metadata {
            if !(value.is_empty() && self.has(Bug::DropsEmptyMetadata)) {
                info.metadata
                    .push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        if let Some(old) = old.filter(|_| self.has(Bug::MetadataInherited))
            && info.metadata.is_empty()
        {
            info.metadata.clone_from(&old.info.metadata);
        }
        info
    }

    fn check_put(&self, store: &ModelStore, key: &Key, options: &UploadOptions<'_>) -> Result<()> {
        let metadata = options.metadata.iter();
        let bytes: usize = metadata.map(|(name, value)| name.len() + value.len()).sum();
        if bytes > 1000 && self.has(Bug::MetadataLimitLies) {
            return Err(Error::invalid("more metadata than fits"));
        }
        let there = self.get(store, key).ok();
        if options.create_only && there.is_some() && !self.has(Bug::CreateOnlyIgnored) {
            return Err(lost());
        }
        match options.if_match {
            Some(etag) if !self.has(Bug::IfMatchPutIgnored) => match there {
                Some(object) if names(etag, &object.info) => Ok(()),
                _ => Err(lost()),
            },
            _ => Ok(()),
        }
    }

    fn check_read(&self, info: &ObjectInfo, options: &ReadOptions<'_>) -> Result<()> {
        let modified = info.last_modified.unwrap_or(UNIX_EPOCH);
        let after = |time: SystemTime| match self.has(Bug::LongFormTimes) {
            true => modified > time,
            false => seconds(modified) > seconds(time),
        };
        if options.if_match.is_some_and(|etag| !names(etag, info))
            || options.if_unmodified_since.is_some_and(after)
        {
            return Err(lost());
        }
        let known = options.if_none_match.is_some_and(|etag| names(etag, info));
        if (known && !self.has(Bug::IfNoneMatchIgnored))
            || options.if_modified_since.is_some_and(|time| !after(time))
        {
            return Err(Error::new(ErrorKind::NotModified));
        }
        Ok(())
    }
}

/// Counts an upload as running, and what it leaves behind when it is dropped.
struct Running<'m>(&'m Model, String, bool);

impl<'m> Running<'m> {
    fn new(model: &'m Model, name: &str) -> Self {
        model.store.lock().unwrap().running.push(name.to_owned());
        Self(model, name.to_owned(), false)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut store = self.0.store.lock().unwrap();
        store.running.retain(|name| *name != self.1);
        if !self.2 && self.0.has(Bug::ResidueOnDrop) {
            store.residue += 1;
        }
        if !self.2 && self.0.has(Bug::PartialKeptOnDrop) {
            let name = self.1.clone();
            self.0
                .publish(&mut store, name, "partial".into(), ObjectInfo::default());
        }
    }
}

impl StorageBackend for Model {
    type Config = Config;

    async fn open(config: Config, host: Host) -> Result<Self> {
        let store = match config.bug {
            Some(Bug::SharedBetweenInstances) => SHARED.clone(),
            _ => Arc::default(),
        };
        Ok(Self {
            bug: config.bug,
            operations: config.operations,
            host,
            store,
        })
    }

    fn instance(&self) -> Instance {
        Instance::new("model")
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        let (key, mut body, _, options) = upload.into_parts();
        let name = self.name(key);
        self.check_put(&*self.lock()?, key, &options)?;
        let mut running = Running::new(self, &name);
        let mut bytes = Vec::new();
        let mut first_crc = None;
        loop {
            match body.chunk().await {
                None => break,
                Some(Ok(chunk)) => {
                    first_crc.get_or_insert_with(|| {
                        crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &chunk) as u32
                    });
                    bytes.extend_from_slice(&chunk);
                    if self.has(Bug::LeaksBuffers) {
                        std::mem::forget(Bytes::from(chunk));
                    }
                }
                Some(Err(error)) => {
                    if self.has(Bug::PartialKeptOnError) {
                        let info = self.info(&options, None);
                        self.publish(&mut *self.lock()?, name, bytes.into(), info);
                    }
                    return Err(error);
                }
            }
            if self.has(Bug::PartialVisible) {
                let info = self.info(&options, None);
                self.publish(&mut *self.lock()?, name.clone(), bytes.clone().into(), info);
            }
        }
        running.2 = true;
        drop(running);
        if self.has(Bug::MetadataApart) {
            self.publish_bytes_only(&name, bytes.clone().into(), &options)?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let racy = self.has(Bug::AnyRaceWinsCreateOnly);
        if racy {
            self.check_put(&*self.lock()?, key, &options)?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut store = self.lock()?;
        if !racy && !self.has(Bug::CreateOnlyCheckedEarly) {
            self.check_put(&store, key, &options)?;
        }
        let old = store.objects.get(&name).cloned();
        if let Some(old) = old.as_ref().filter(|_| self.has(Bug::OverwriteKeepsTail)) {
            let old = old.bytes.lock().unwrap();
            bytes.extend_from_slice(old.get(bytes.len()..).unwrap_or_default());
        }
        let mut info = self.info(&options, old.as_ref());
        info.checksums.crc32c = body.trailers().and_then(|end| end.checksums.crc32c);
        if self.has(Bug::ChecksumOfFirstChunk) {
            info.checksums.crc32c = first_crc;
        }
        let info = self.publish(&mut store, name, bytes.into(), info);
        let mut uploaded = Uploaded::new(info.size);
        uploaded.etag = info.etag;
        if self.has(Bug::AnswersOtherEtag) {
            uploaded.etag = Some("another".into());
        }
        uploaded.checksums = info.checksums;
        Ok(uploaded)
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let Object { bytes, info } = self.get(&*self.lock()?, download.key)?;
        self.check_read(&info, download.options())?;
        let size = info.size;
        let range = match &download.range {
            None => 0..size,
            Some(asked) => {
                use holdall_plugin_api::ByteRange::{Bounded, From, Last};
                let asked = match asked {
                    Last(count) if *count > size && self.has(Bug::SuffixPastStartFails) => {
                        return Err(Error::invalid_range(size));
                    }
                    From(start) if self.has(Bug::Offsets32) => From(u64::from(*start as u32)),
                    Bounded(_) | From(_) if size == 0 && self.has(Bug::WholeRangeOfEmpty) => {
                        return Ok(Downloaded::new(info, 0..0, Body::empty()));
                    }
                    other => other.clone(),
                };
                let mut range = asked.within(size).map_err(|error| {
                    match self.has(Bug::InvalidRangeWithoutSize) {
                        true => Error::new(error.kind()),
                        false => error,
                    }
                })?;
                if let Bounded(wanted) = asked
                    && wanted.end > size
                    && self.has(Bug::CutsRangeWrongly)
                {
                    range.end = size - 1;
                }
                range
            }
        };
        if self.has(Bug::ReadsLive) {
            let (start, end) = (range.start as usize, range.end as usize);
            let chunks = (start..end).step_by(64 << 10).map(move |at| {
                let now = bytes.lock().unwrap().clone();
                let to = end.min(at + (64 << 10));
                let mut chunk = now.get(at..to.min(now.len())).unwrap_or_default().to_vec();
                chunk.resize(to - at, 0);
                Ok(chunk.into())
            });
            return Ok(Downloaded::new(
                info,
                range,
                Body::stream(stream::iter(chunks)),
            ));
        }
        let bytes = bytes.lock().unwrap().clone();
        let end = bytes.len().min(range.end as usize);
        let wanted = bytes.slice(end.min(range.start as usize)..end);
        let size = match self.has(Bug::HugeChunks) {
            true => 4 << 20,
            false => download.chunk_hint as usize,
        };
        let mut source = Bytewise {
            bug: self.bug,
            bytes: wanted,
            chunk: size,
            at: 0,
            into: 0,
            file: None,
        };
        if download.unverified {
            if self.has(Bug::UnverifiedIsCut) {
                source.bytes.truncate(source.bytes.len() - 1);
            }
            let file = handing_over::file(&bytes);
            if self.has(Bug::LendsLive) {
                let mut store = self.lock()?;
                store.lent.insert(self.name(download.key), file.clone());
            }
            source.file = Some((file, range.clone()));
        }
        Ok(Downloaded::new(info, range, Body::source(source)))
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        let mut store = self.lock()?;
        let there = self.get(&store, delete.key).ok();
        if there.is_none() && delete.must_exist && !self.has(Bug::MustExistIgnored) {
            return Err(self.missing());
        }
        if let Some(etag) = delete
            .if_match
            .filter(|_| !self.has(Bug::IfMatchDeleteIgnored))
            && !there
                .as_ref()
                .is_some_and(|object| names(etag, &object.info))
        {
            return Err(lost());
        }
        let name = self.name(delete.key);
        store.objects.remove(&name);
        if self.has(Bug::DeleteDeletesPrefix) {
            store.objects.retain(|key, _| !key.starts_with(&name));
        }
        if self.has(Bug::GlobDelete) {
            store.objects.retain(|key, _| !matches_glob(&name, key));
        }
        Ok(Deleted::new(Some(
            there.is_some() || self.has(Bug::DeleteClaimsExisted),
        )))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let store = self.lock()?;
        let name = self.name(key);
        let below = format!("{name}/");
        let as_folder = self.has(Bug::ExistsForPrefix)
            && store.objects.keys().any(|key| key.starts_with(&below));
        Ok(store.objects.contains_key(&name) || as_folder)
    }

    async fn signed_url(&self, sign: SignUrl<'_>) -> Result<Signing> {
        signing::sign(self, &sign)
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        self.serves(Operation::Head)?;
        let info = self.get(&*self.lock()?, head.key)?.info;
        self.check_read(&info, head.options())?;
        Ok(info)
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        self.serves(Operation::List)?;
        let store = self.lock()?;
        let prefix = match self.has(Bug::PrefixIsFolder) && !list.prefix.is_empty() {
            true => format!("{}/", list.prefix.trim_end_matches('/')),
            false => list.prefix.to_owned(),
        };
        // (name, object): a group has no object.
        let mut names: Vec<(String, Option<&Object>)> = Vec::new();
        for (key, object) in &store.objects {
            let fits = match self.has(Bug::GlobPrefix) {
                true => matches_glob(&format!("{prefix}*"), key),
                false => key.starts_with(&prefix),
            };
            if !fits {
                continue;
            }
            let group = list.delimiter.and_then(|delimiter| {
                let at = key.get(prefix.len()..)?.find(delimiter)?;
                Some(&key[..prefix.len() + at + delimiter.len()])
            });
            match group {
                Some(group)
                    if names.last().is_some_and(|(last, _)| last == group)
                        && !self.has(Bug::GroupsTwice) => {}
                Some(group) => names.push((group.to_owned(), None)),
                None => names.push((key.clone(), Some(object))),
            }
        }
        if self.has(Bug::ListShowsUploads) {
            let running = store
                .running
                .iter()
                .filter(|name| name.starts_with(&prefix));
            names.extend(
                running.map(|name| (format!("{name}.part"), store.objects.values().next())),
            );
        }
        let after = list.page_token.or(list.start_after);
        let from = match after {
            None => 0,
            Some(token) if self.has(Bug::TokenIsCount) && list.page_token.is_some() => {
                token.parse().map_err(|_| Error::invalid("token"))?
            }
            Some(token) if self.has(Bug::PanicsOnToken) => {
                assert!(token.contains('/'), "a token without a slash");
                names
                    .iter()
                    .position(|(name, _)| name.as_str() > token)
                    .unwrap_or(names.len())
            }
            Some(token) => {
                let inclusive = self.has(Bug::StartAfterInclusive) && list.page_token.is_none();
                let past = |name: &str| name > token || (inclusive && name == token);
                // A group lies past the start when any of its keys does: the model, like its cases,
                // starts between groups only.
                names
                    .iter()
                    .position(|(name, _)| past(name))
                    .unwrap_or(names.len())
            }
        };
        let rest = &names[from.min(names.len())..];
        let limit = list.limit as usize;
        let mut page = Page::default();
        for (name, object) in rest.iter().take(limit) {
            match object {
                Some(object) => {
                    let size = object.info.size + u64::from(self.has(Bug::ListSizeWrong));
                    let mut entry = Entry::new(name, size);
                    entry.etag.clone_from(&object.info.etag);
                    entry.last_modified = object.info.last_modified;
                    page.entries.push(entry);
                }
                None => page.common_prefixes.push(name.clone()),
            }
        }
        if rest.len() > limit {
            let last = if self.has(Bug::ListLosesPageEnd) {
                limit
            } else {
                limit - 1
            };
            page.next = Some(match self.has(Bug::TokenIsCount) {
                true => (from + limit).to_string(),
                false => rest[last].0.clone(),
            });
        }
        if self.has(Bug::ListUnordered) {
            page.entries.reverse();
        }
        Ok(page)
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        self.serves(Operation::Copy)?;
        let mut store = self.lock()?;
        let source = self.get(&store, copy.from)?;
        if copy.create_only
            && self.get(&store, copy.to).is_ok()
            && !self.has(Bug::CopyIgnoresCreateOnly)
        {
            return Err(lost());
        }
        if copy.from == copy.to {
            return Ok(Copied::default());
        }
        let mut info = source.info.clone();
        if self.has(Bug::CopyDropsMetadata) {
            info.metadata.clear();
        }
        let name = self.name(copy.to);
        if self.has(Bug::CopySharesObject) {
            store.objects.insert(name, source);
            return Ok(Copied::default());
        }
        let bytes = source.bytes.lock().unwrap().clone();
        let info = self.publish(&mut store, name, bytes, info);
        let mut copied = Copied::default();
        copied.etag = info.etag;
        copied.size = Some(info.size);
        Ok(copied)
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        self.serves(Operation::Rename)?;
        let source = {
            let mut store = self.lock()?;
            let source = self.get(&store, rename.from)?;
            store.objects.remove(&self.name(rename.from));
            if !self.has(Bug::RenameInTwoSteps) {
                store.objects.insert(self.name(rename.to), source);
                return Ok(Renamed::new(true));
            }
            source
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.lock()?.objects.insert(self.name(rename.to), source);
        Ok(Renamed::new(true))
    }

    async fn usage(&self) -> Result<Usage> {
        self.serves(Operation::Usage)?;
        let store = self.lock()?;
        let mut usage = Usage::default();
        usage.objects = Some(store.objects.len() as u64);
        let sizes = store.objects.values().map(|object| object.info.size);
        usage.used = Some(sizes.sum::<u64>() + store.residue);
        if self.has(Bug::UsageIsZero) {
            usage.used = Some(0);
        }
        Ok(usage)
    }

    async fn shutdown(&self) -> Result<()> {
        self.store.lock().unwrap().closed = true;
        Ok(())
    }
}
