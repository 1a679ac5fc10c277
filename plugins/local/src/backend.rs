//! The operations of the contract on top of the engine.
//!
//! Each operation is one job of the plugin's blocking pool, not one for each system call: a switch
//! between threads costs several times what a small put costs. Data in the kernel's caches is read
//! on the caller's thread without a job.

use crate::condition::{Expected, check_read};
use crate::config::{Durability, LocalConfig, sync};
use crate::engine::current::Current;
use crate::engine::fault::{FaultKind, Outcome};
use crate::engine::left_out::LeftOut;
use crate::engine::list::{Entry as Found, Query};
use crate::engine::metadata_record::Metadata;
use crate::engine::platform::RESOLVES_PATHS;
use crate::engine::read::{Cached, Object, ObjectFacts};
use crate::engine::store::{LocalStore, Options, Unwritable};
use crate::engine::write::{Publish, Writer};
use crate::error::{from_fault, from_join};
use crate::instance::{capabilities_of, instance_of};
use crate::ranges;
use crate::reader::{Reader, changed_meanwhile, corrupt};
use crate::writer::{GATHER, Gathered, Sink};
use holdall_plugin_api::{
    Body, Bytes, Capabilities, Checksums, Copied, CopyObject, Custom, Delete, Deleted, Download,
    DownloadRanges, Downloaded, DownloadedRanges, Entry, Error, ErrorKind, Head, Health, Host,
    Instance, Key, Level, List, ObjectInfo, Page, Rename, Renamed, Result, SignUrl, Signing,
    StorageBackend, Upload, UploadOptions, Uploaded, Usage,
};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;

/// A directory of the local file system as a store.
#[derive(Debug)]
pub struct Local {
    current: Arc<Current>,
    /// As the instance claimed them when it was opened.
    claimed: Capabilities,
    durability: Durability,
    host: Host,
}

impl Drop for Local {
    fn drop(&mut self) {
        // A sweep in the background may hold the store for longer than the process lives.
        self.store().release();
    }
}

/// Objects up to this size are sent in one piece, from the cache without a job.
const IN_ONE_PIECE: u64 = 64 << 10;

/// Number of times that `shutdown` checks whether its jobs have ended; it does not wait for those
/// that hang.
const SHUTDOWN_CHECKS: u32 = 200;
const SHUTDOWN_PAUSE: Duration = Duration::from_millis(5);

/// The longest wait for the lock of a key.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses between two attempts to lock a key, growing; no thread is held meanwhile.
const LOCK_PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(32)];

impl Local {
    /// Runs one job of the blocking pool.
    async fn job<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Arc<LocalStore>) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        let store = self.store();
        spawn_blocking(move || job(&store))
            .await
            .map_err(from_join)?
            .map_err(from_fault)
    }

    /// Runs a job that changes a key; the root is opened again where that helps.
    async fn change<T: Send + 'static>(
        &self,
        change: impl Fn(&Arc<LocalStore>) -> Outcome<T> + Send + Sync + 'static,
    ) -> Result<T> {
        let current = Arc::clone(&self.current);
        while_locked(Arc::new(move || current.change(&change))).await
    }

    fn store(&self) -> Arc<LocalStore> {
        self.current.store()
    }

    fn info(&self, key: &str, facts: &ObjectFacts) -> ObjectInfo {
        if facts.changed_by_others {
            let note = format_args!(
                "{key:?} was changed by another program: checksum and user metadata are dropped"
            );
            self.host.log(Level::Warn, note);
        }
        let ObjectFacts {
            stamp,
            changed,
            size,
            crc32c,
            metadata,
            ..
        } = facts;
        let [
            cache_control,
            content_disposition,
            content_encoding,
            content_language,
        ] = metadata.headers.clone();
        let mut info = ObjectInfo::new(*size);
        info.etag = self.store().etag(*stamp, *changed, *size);
        info.last_modified = Some(stamp.time());
        info.content_type = metadata.content_type.clone();
        info.cache_control = cache_control;
        info.content_disposition = content_disposition;
        info.content_encoding = content_encoding;
        info.content_language = content_language;
        info.metadata = metadata.user.clone();
        info.checksums = checksums(*crc32c);
        info
    }

    fn etag(&self, facts: &ObjectFacts) -> Option<String> {
        self.store().etag(facts.stamp, facts.changed, facts.size)
    }

    fn uploaded(&self, facts: &ObjectFacts) -> Uploaded {
        let mut uploaded = Uploaded::new(facts.size);
        uploaded.etag = self.etag(facts);
        uploaded.last_modified = Some(facts.stamp.time());
        uploaded.checksums = checksums(facts.crc32c);
        uploaded
    }

    /// The object with the bytes that are sent, if they come in one piece.
    async fn fetch(
        &self,
        download: &Download<'_>,
    ) -> Result<(Object, Range<u64>, Option<Vec<u8>>)> {
        let key = download.key.text();
        let options = download.options();
        let store = self.store();
        let range = |facts: &ObjectFacts| -> Result<Range<u64>> {
            check_read(&store, options, facts)?;
            download
                .range
                .as_ref()
                .map_or(Ok(0..facts.size), |range| range.within(facts.size))
        };
        let mut picked = None;
        let cached = store.object_if_cached(key, |facts| {
            let wanted = range(facts);
            let small = wanted
                .as_ref()
                .ok()
                .filter(|range| range.end - range.start <= IN_ONE_PIECE)
                .cloned();
            picked = Some(wanted);
            small
        });
        match (cached.map_err(from_fault)?, picked) {
            (Cached::Read(object, bytes), Some(range)) => Ok((object, range?, Some(bytes))),
            (Cached::Opened(object), Some(range)) => {
                let range = range?;
                if range.end - range.start > IN_ONE_PIECE {
                    return Ok((object, range, None));
                }
                let wanted = range.clone();
                let (object, bytes) = self.job(move |_| read_all(object, wanted)).await?;
                whole(bytes, &range).map(|bytes| (object, range, Some(bytes)))
            }
            _ => {
                let owned = key.to_owned();
                let asked = download.range.clone();
                let (object, bytes) = self
                    .job(move |store| {
                        let object = store.object(&owned)?;
                        // Conditions are checked afterwards: they are rare, and cost one read at most.
                        let size = object.facts.size;
                        match asked.map_or(Ok(0..size), |range| range.within(size)) {
                            Ok(range) if range.end - range.start <= IN_ONE_PIECE => {
                                read_all(object, range).map(|(object, bytes)| (object, Some(bytes)))
                            }
                            _ => Ok((object, None)),
                        }
                    })
                    .await?;
                let range = range(&object.facts)?;
                let bytes = bytes.map(|bytes| whole(bytes, &range)).transpose()?;
                Ok((object, range, bytes))
            }
        }
    }

    async fn facts(&self, key: &Key) -> Result<ObjectFacts> {
        let cached = self
            .store()
            .object_if_cached(key.text(), |_| None)
            .map_err(from_fault)?;
        if let Cached::Opened(object) = cached {
            return Ok(object.facts);
        }
        let key = key.text().to_owned();
        self.job(move |store| store.object(&key).map(|object| object.facts))
            .await
    }
}

fn read_all(object: Object, range: Range<u64>) -> Outcome<(Object, Vec<u8>)> {
    let wanted = usize::try_from(range.end - range.start).unwrap_or(0);
    let mut bytes = Vec::with_capacity(wanted);
    if wanted > 0 {
        object.read_at(&mut bytes, range.start)?;
        bytes.truncate(wanted);
    }
    if !object.unchanged() {
        // As for a truncated file: the bytes belong to no version.
        bytes.clear();
    }
    Ok((object, bytes))
}

fn whole(bytes: Vec<u8>, range: &Range<u64>) -> Result<Vec<u8>> {
    if bytes.len() as u64 == range.end - range.start {
        Ok(bytes)
    } else {
        Err(changed_meanwhile())
    }
}

fn checksums(crc32c: Option<u32>) -> Checksums {
    let mut checksums = Checksums::NONE;
    checksums.crc32c = crc32c;
    checksums
}

fn metadata(options: &UploadOptions<'_>) -> Metadata {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let headers = &options.headers;
    Metadata {
        content_type: owned(options.content_type),
        headers: [
            owned(headers.cache_control),
            owned(headers.content_disposition),
            owned(headers.content_encoding),
            owned(headers.content_language),
        ],
        user: options
            .metadata
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

impl StorageBackend for Local {
    type Config = LocalConfig;

    async fn open(config: LocalConfig, host: Host) -> Result<Self> {
        if config.root.as_os_str().is_empty() {
            return Err(Error::new(ErrorKind::ConfigInvalid)
                .with_message("`root` is empty: expected the path of a directory")
                .with_fact("root", "empty"));
        }
        let LocalConfig {
            root,
            durability,
            create_root,
        } = config;
        let options = Options {
            create: create_root,
            // A trial of this plugin by a host, in a process of its own.
            untouched: std::env::var_os("HOLDALL_TRIAL").is_some(),
            ..Options::default()
        };
        let path = root.clone();
        let opened = spawn_blocking(move || Current::open(&path, options))
            .await
            .map_err(from_join)?;
        let current = opened.map_err(|fault| {
            let error = from_fault(fault);
            let shown = root.display();
            let text = format!("root \"{shown}\": {}", error.message());
            error.with_message(text).with_fact("root", shown)
        })?;
        let store = current.store();
        let note = |level, text: std::fmt::Arguments<'_>| host.log(level, text);
        if store.swept > 0 {
            let swept = store.swept;
            note(
                Level::Info,
                format_args!("removed {swept} files of killed processes"),
            );
        }
        if let Some(unwritable) = store.unwritable() {
            let (reason, path) = (reason(unwritable), store.path().display());
            note(
                Level::Warn,
                format_args!("{reason}: root {path} is open for reading and deleting only"),
            );
        }
        if RESOLVES_PATHS && !store.tree.kernel_walk() {
            note(
                Level::Info,
                format_args!("openat2 is missing or forbidden: paths are walked by segments"),
            );
        }
        // At the size of the store, so not while something waits for it.
        let swept = Arc::clone(&store);
        drop(spawn_blocking(move || swept.sweep()));
        Ok(Self {
            claimed: capabilities_of(&store),
            current: Arc::new(current),
            durability,
            host,
        })
    }

    fn instance(&self) -> Instance {
        instance_of(&self.store())
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        self.store().usable().map_err(from_fault)?;
        let key = upload.key.text().to_owned();
        let options = upload.options();
        let sync = sync(options.durability, self.durability);
        let (create_only, if_match) = (options.create_only, options.if_match.map(str::to_owned));
        let metadata = metadata(options);
        let vouched = options.checksums.crc32c;
        let (_, mut body, length, _) = upload.into_parts();
        // What is known to be larger is not gathered: many uploads at once would hold as many times 1 MiB.
        let gather = match length {
            Some(length) if length > GATHER as u64 => 0,
            _ => GATHER,
        };
        let mut gathered = Gathered::default();
        let mut sink = None;
        while let Some(chunk) = body.chunk().await {
            let chunk = chunk?;
            match &mut sink {
                None if gathered.bytes() == 0 || gathered.bytes() + chunk.len() <= gather => {
                    gathered.push(chunk)
                }
                None => {
                    let conditions = (key.clone(), if_match.clone());
                    self.change(move |store| {
                        let (key, if_match) = &conditions;
                        store.precheck(
                            key,
                            Publish {
                                sync,
                                create_only,
                                if_match: if_match.as_deref(),
                            },
                        )
                    })
                    .await?;
                    let mut opened =
                        Sink::open(&self.current, sync, std::mem::take(&mut gathered)).await?;
                    opened.push(chunk).await?;
                    sink = Some(opened);
                }
                Some(sink) => sink.push(chunk).await?,
            }
        }
        let counted = body
            .trailers()
            .and_then(|trailers| trailers.checksums.crc32c);
        // Frees what the sender holds before the wait for the medium.
        drop(body);
        let expected = Expected {
            length,
            crc32c: [counted, vouched],
        };
        let written = match sink {
            Some(sink) => Some(sink.finish().await?),
            None => None,
        };
        let publish = move |writer: &Writer| {
            let how = Publish {
                sync,
                create_only,
                if_match: if_match.as_deref(),
            };
            writer.publish(&key, metadata.clone(), how)
        };
        let current = Arc::clone(&self.current);
        let first = move || -> Result<_> {
            let writer = match written {
                Some(writer) => writer,
                None => {
                    let begun = current.change(|store| Writer::begin(store, sync));
                    let mut writer = begun.map_err(from_fault)?;
                    for part in gathered.into_parts() {
                        writer.write(part.as_ref()).map_err(from_fault)?;
                    }
                    writer
                }
            };
            expected.check(&writer)?;
            match publish(&writer) {
                Ok(facts) => Ok(Ok(facts)),
                Err(fault) if fault.kind == FaultKind::Locked => Ok(Err((writer, publish))),
                Err(fault) => Err(from_fault(fault)),
            }
        };
        let facts = match spawn_blocking(first).await.map_err(from_join)?? {
            Ok(facts) => facts,
            Err((writer, publish)) => while_locked(Arc::new(move || publish(&writer))).await?,
        };
        Ok(self.uploaded(&facts))
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let (object, range, bytes) = self.fetch(&download).await?;
        let info = self.info(download.key.text(), &object.facts);
        let Some(bytes) = bytes else {
            let chunk = usize::try_from(download.chunk_hint).unwrap_or(usize::MAX);
            let body = Body::source(Reader::new(object, range.clone(), chunk));
            return Ok(Downloaded::new(info, range, body));
        };
        let body = match object
            .facts
            .crc32c
            .filter(|_| range == (0..object.facts.size))
        {
            Some(stored) => {
                let found = crc_fast::crc32_iscsi(&bytes);
                if found != stored {
                    return Err(corrupt(stored, found));
                }
                Body::once_with_crc32c(bytes, stored)
            }
            None => Body::once(bytes),
        };
        Ok(Downloaded::new(info, range, body))
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        if delete.version.is_some() {
            return Err(Error::unsupported("the backend does not keep versions"));
        }
        let (key, if_match) = (
            delete.key.text().to_owned(),
            delete.if_match.map(str::to_owned),
        );
        let sync = self.durability.into();
        let existed = self
            .change(move |store| store.delete(&key, if_match.as_deref(), sync))
            .await?;
        if delete.must_exist && !existed {
            return Err(Error::not_found());
        }
        Ok(Deleted::new(Some(existed)))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        if self
            .store()
            .exists_in_cache(key.text())
            .map_err(from_fault)?
        {
            return Ok(true);
        }
        let key = key.text().to_owned();
        self.job(move |store| store.exists(&key)).await
    }

    async fn signed_url(&self, sign: SignUrl<'_>) -> Result<Signing> {
        // Links are refused here too, not only when the URL is used.
        let exists = self.exists(sign.key).await?;
        if sign.must_exist && !exists {
            return Err(Error::not_found());
        }
        Ok(Signing::AtGateway)
    }

    async fn download_ranges(&self, read: DownloadRanges<'_>) -> Result<DownloadedRanges> {
        let key = read.key.text().to_owned();
        let cached = self.store().object_if_cached(&key, |_| None);
        let object = match cached.map_err(from_fault)? {
            Cached::Opened(object) => object,
            _ => {
                let key = key.clone();
                self.job(move |store| store.object(&key)).await?
            }
        };
        check_read(&self.store(), read.options(), &object.facts)?;
        read.within(object.facts.size)?;
        let info = self.info(&key, &object.facts);
        let reader = ranges::reader(object, read.ranges);
        Ok(DownloadedRanges::new(info, reader))
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        let facts = self.facts(head.key).await?;
        check_read(&self.store(), head.options(), &facts)?;
        Ok(self.info(head.key.text(), &facts))
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        let grouped = match list.delimiter {
            None => false,
            Some("/") => true,
            Some(_) => return Err(Error::unsupported("the only delimiter is \"/\"")),
        };
        let prefix = list.prefix.to_owned();
        let (start_after, token) = (
            list.start_after.map(str::to_owned),
            list.page_token.map(str::to_owned),
        );
        let limit = usize::try_from(list.limit).unwrap_or(usize::MAX);
        let page = self.job(move |store| {
            let (start_after, token) = (start_after.as_deref(), token.as_deref());
            store.list(&Query {
                prefix: &prefix,
                grouped,
                start_after,
                token,
                limit,
            })
        });
        let found = page.await?;
        for path in &found.unreadable {
            let note =
                format_args!("the directory {path:?} cannot be read: a listing leaves it out");
            self.host.log(Level::Warn, note);
        }
        let store = self.store();
        let entry = |found: Found| {
            let mut entry = Entry::new(found.key, found.size);
            entry.etag = store.etag(found.stamp, found.changed, found.size);
            entry.last_modified = Some(found.stamp.time());
            entry
        };
        let mut page = Page::default();
        page.entries = found.entries.into_iter().map(entry).collect();
        page.common_prefixes = found.groups;
        page.next = found.next;
        page.skipped = found.skipped;
        Ok(page)
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        let (from, to) = (copy.from.text().to_owned(), copy.to.text().to_owned());
        let (sync, create_only) = (self.durability.into(), copy.create_only);
        let how = Publish {
            sync,
            create_only,
            if_match: None,
        };
        let target = to.clone();
        let staged = self.change(move |store| store.stage_copy(&from, &target, how));
        let staged = staged.await?;
        let facts = while_locked(Arc::new(move || staged.publish(&to, how))).await?;
        let mut copied = Copied::default();
        copied.size = Some(facts.size);
        copied.etag = self.etag(&facts);
        copied.last_modified = Some(facts.stamp.time());
        Ok(copied)
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        let (from, to) = (rename.from.text().to_owned(), rename.to.text().to_owned());
        let sync = self.durability.into();
        let facts = self
            .change(move |store| store.rename(&from, &to, sync))
            .await?;
        let mut renamed = Renamed::new(true);
        renamed.etag = self.etag(&facts);
        Ok(renamed)
    }

    async fn health(&self) -> Result<Health> {
        let current = Arc::clone(&self.current);
        let looked = spawn_blocking(move || {
            current.store().space()?;
            current.retry_writing();
            Ok(current.store())
        });
        let store = match looked.await.map_err(from_join)?.map_err(from_fault) {
            Ok(store) => store,
            Err(error) => return Ok(Health::down(error.to_string())),
        };
        // The host opens a failed instance again, which is the way to claim more.
        if !self.claimed.contains(capabilities_of(&store)) {
            return Ok(Health::down(
                "the root can be written now: the backend is opened again",
            ));
        }
        // Reading works, so that is a fact and not a failure.
        let mut health = Health::up();
        if let Some(unwritable) = store.unwritable() {
            health.message = reason(unwritable).to_owned();
        }
        Ok(health)
    }

    async fn usage(&self) -> Result<Usage> {
        let space = self.job(|store| store.space()).await?;
        let mut usage = Usage::default();
        usage.used = Some(space.used);
        usage.free = Some(space.free);
        usage.total = Some(space.total);
        Ok(usage)
    }

    /// `left_out`: what listings leave out below the prefix in the payload.
    async fn custom(&self, custom: Custom<'_>) -> Result<Bytes> {
        if custom.name != "left_out" {
            let error = Error::unsupported("the plugin does not know this call");
            return Err(error.with_fact("call", custom.name));
        }
        let prefix = String::from_utf8(custom.payload.to_vec())
            .map_err(|_| Error::invalid("the payload of left_out is a prefix"))?;
        let (found, more) = self.job(move |store| store.left_out(&prefix)).await?;
        let one = |found: LeftOut| serde_json::json!({ "name": found.path, "why": found.why });
        let names: Vec<_> = found.into_iter().map(one).collect();
        let answer = serde_json::json!({ "left_out": names, "more": more });
        Ok(answer.to_string().into_bytes().into())
    }

    async fn shutdown(&self) -> Result<()> {
        let store = self.store();
        store.close();
        // A dropped upload leaves a job that holds the store. A process that ends before that job
        // leaves its staging directory to the next sweep.
        for _ in 0..SHUTDOWN_CHECKS {
            // One is `current`'s, one is ours.
            if Arc::strong_count(&store) <= 2 {
                break;
            }
            tokio::time::sleep(SHUTDOWN_PAUSE).await;
        }
        Ok(())
    }
}

/// Why a root takes no new objects: a word to find, then the cause.
fn reason(unwritable: Unwritable) -> &'static str {
    match unwritable {
        Unwritable::ReadOnly => "read_only: the file system is mounted read-only",
        Unwritable::Denied => "read_only: this process may not write to the root",
        Unwritable::Full => "full: the file system or its quota takes no new objects",
    }
}

/// Runs a job of the blocking pool, again after a pause while another writer holds the key's lock.
async fn while_locked<T, F>(job: Arc<F>) -> Result<T>
where
    T: Send + 'static,
    F: Fn() -> Outcome<T> + Send + Sync + 'static,
{
    let deadline = Instant::now() + LOCK_TIMEOUT;
    let [mut pause, longest] = LOCK_PAUSES;
    loop {
        let this = Arc::clone(&job);
        match spawn_blocking(move || this()).await.map_err(from_join)? {
            Err(fault) if fault.kind == FaultKind::Locked && Instant::now() < deadline => {}
            outcome => return outcome.map_err(from_fault),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}
