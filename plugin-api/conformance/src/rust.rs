//! A plain Rust type as a subject: with the checks around it that a host makes.
//!
//! What a host emulates is emulated here too, in the simplest way that the contract allows.

use crate::checked;
use crate::harness::Harness;
use crate::runtime::Runtime;
use crate::subject::{
    Broken, DirectAccess, Following, Level, Opening, Stage, Subject, SubjectInfo,
};
use crate::wire::Dialect;
use futures_util::future::BoxFuture;
use holdall_plugin_api::StaticPlugin;
use holdall_plugin_api::abi::ranges::Filling;
use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::descriptor::{Descriptor, Flags};
use holdall_plugin_api::{
    AbortUpload, Body, Bytes, Capabilities, Capability, CompleteUpload, Copied, CopyObject,
    CreateUpload, Custom, Delete, DeleteMany, Deleted, Download, DownloadRanges, Downloaded, Error,
    ErrorKind, Head, Health, Host, Key, KeyPolicy, List, ListParts, ListUploads, ListVersions,
    ObjectInfo, Operation, Operations, Page, Part, PartPage, PutPart, Rename, Renamed, Result,
    SignUrl, Signing, StorageBackend, Update, Upload, UploadPage, Uploaded, Usage, VersionPage,
};
use http::Request;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a plugin's descriptor says.
#[derive(Clone, Debug)]
pub struct Claims {
    /// Its name.
    pub plugin: String,
    /// The operations that it has.
    pub operations: Operations,
    /// The capabilities that it has.
    pub capabilities: Capabilities,
    /// The JSON Schema of its configuration, where it is known.
    pub schema: Option<serde_json::Value>,
    /// How it is polled: a backend whose flags name no runtime gets none, as in a host.
    pub flags: Flags,
}

impl Claims {
    /// Of a plugin's `PLUGIN`.
    ///
    /// # Panics
    ///
    /// When its descriptor does not parse, which `export_plugin!` makes impossible.
    pub fn of(plugin: &StaticPlugin) -> Self {
        match Descriptor::parse(plugin.section) {
            Ok(descriptor) => Self {
                plugin: descriptor.about.name,
                operations: descriptor.operations,
                capabilities: descriptor.capabilities,
                schema: Some(descriptor.about.config_schema),
                flags: descriptor.flags,
            },
            Err(faults) => panic!("not a descriptor: {faults:?}"),
        }
    }
}

/// The level [`Level::Rust`]: a backend's type, with the checks around it that a host makes. What
/// [`run`](crate::run()) and [`conformance_tests!`](crate::conformance_tests) take.
pub fn rust_stage<B: StorageBackend>(
    claims: Claims,
    harness: impl Harness<Config = B::Config>,
) -> Arc<dyn Stage> {
    rust_stage_from::<B, _>(claims, harness, |config| config)
}

/// As [`rust_stage`], for a harness whose configurations have another type, such as JSON.
pub fn rust_stage_from<B: StorageBackend, H: Harness>(
    claims: Claims,
    harness: H,
    read: fn(H::Config) -> B::Config,
) -> Arc<dyn Stage> {
    Arc::new(RustStage::<B, H> {
        claims,
        harness,
        read,
    })
}

struct RustStage<B: StorageBackend, H: Harness> {
    claims: Claims,
    harness: H,
    read: fn(H::Config) -> B::Config,
}

impl<B: StorageBackend, H: Harness> RustStage<B, H> {
    fn opening(&self, config: Option<H::Config>) -> Option<Opening<'_>> {
        let config = (self.read)(config?);
        Some(Box::pin(self.with(config)))
    }

    async fn with(&self, config: B::Config) -> Result<Arc<dyn Subject>> {
        let claims = self.claims.clone();
        let runtime = Runtime::of(claims.flags);
        let opening = B::open(config, Host::detached(BACKEND));
        let backend = runtime.run(opening).await?;
        let instance = backend.instance();
        let native = match instance.operations {
            Some(served) => served.with(Operations::REQUIRED).both(claims.operations),
            None => claims.operations,
        };
        let emulated = Operations::head
            .with(Operations::copy)
            .with(Operations::rename)
            .with(Operations::delete_many)
            .with(Operations::download_ranges);
        let facts = SubjectInfo {
            plugin: claims.plugin,
            level: Level::Rust,
            operations: native.with(emulated),
            capabilities: instance.capabilities.unwrap_or(claims.capabilities),
            limits: instance.limits,
            policy: KeyPolicy::Portable,
        };
        Ok(Arc::new(RustSubject {
            backend,
            native,
            facts,
            runtime,
            ended: AtomicBool::new(false),
        }))
    }
}

/// The name under which backends are opened.
const BACKEND: &str = "conformance";

impl<B: StorageBackend, H: Harness> Stage for RustStage<B, H> {
    fn open(&self, store: u32) -> Opening<'_> {
        Box::pin(self.with((self.read)(self.harness.config(store))))
    }
    fn is_shared(&self) -> bool {
        self.harness.is_shared()
    }
    fn has_stores(&self) -> bool {
        self.harness.has_stores()
    }
    fn lists(&self, operation: Operation) -> Option<bool> {
        Some(self.claims.operations.has(operation))
    }
    fn schema(&self) -> Option<serde_json::Value> {
        self.claims.schema.clone()
    }
    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        self.harness.direct_access(store)
    }
    fn scoped(&self, store: u32, prefix: &str) -> Option<Opening<'_>> {
        self.opening(self.harness.scoped(store, prefix))
    }
    fn broken(&self, how: Broken) -> Option<Opening<'_>> {
        self.opening(self.harness.broken(how))
    }
    fn at(&self, store: u32, url: &str) -> Option<Opening<'_>> {
        self.opening(self.harness.at(store, url))
    }
    fn dialect(&self) -> Dialect {
        self.harness.dialect()
    }
    fn server(&self) -> Option<SocketAddr> {
        self.harness.server()
    }
    fn follow(&self, request: Request<Bytes>) -> Option<Following<'_>> {
        self.harness.follow(request)
    }
    fn part_bytes(&self) -> usize {
        self.harness.part_bytes()
    }
    fn secrets(&self) -> Vec<String> {
        self.harness.secrets()
    }
}

struct RustSubject<B> {
    backend: B,
    native: Operations,
    facts: SubjectInfo,
    runtime: Runtime,
    ended: AtomicBool,
}

impl<B: StorageBackend> RustSubject<B> {
    fn terms(&self) -> Terms {
        Terms::new(
            self.facts.policy,
            self.facts.capabilities,
            self.facts.limits,
        )
    }

    fn claims(&self, wanted: bool, capability: Capability) -> Result<()> {
        if wanted && !self.facts.claims(capability) {
            return Err(Error::unsupported(format!(
                "the backend does not claim `{capability}`"
            )));
        }
        Ok(())
    }

    /// A method of the backend, polled as the descriptor says. A listed operation that is not written is
    /// named: otherwise each case that needs it would fail without saying why.
    async fn run<T: Send>(
        &self,
        operation: Operation,
        method: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let answer = self.runtime.run(method).await;
        match answer {
            Err(error) if is_default(operation, &error) && self.native.has(operation) => {
                Err(Error::new(ErrorKind::PluginFault).with_message(format!(
                    "`{operation}` is in `operations` of `export_plugin!`, but the trait's method is not written"
                )))
            }
            answer => answer,
        }
    }

    /// As a host: an instance that was shut down is called no more.
    fn is_open(&self) -> Result<()> {
        match self.ended.load(Ordering::Acquire) {
            true => {
                Err(Error::new(ErrorKind::Unavailable).with_message("the backend was shut down"))
            }
            false => Ok(()),
        }
    }

    /// Tells an error where it happened.
    fn place<T>(&self, operation: Operation, key: Option<&Key>, result: Result<T>) -> Result<T> {
        result.map_err(|error| {
            error.at(|place| {
                place.backend = Some(BACKEND.to_owned());
                place.plugin = Some(self.facts.plugin.clone());
                place.operation = Some(operation);
                place.key = key.map(|key| key.text().to_owned());
                place.attempts = 1;
            })
        })
    }

    async fn try_upload(&self, mut upload: Upload<'_>) -> Result<Uploaded> {
        self.terms().upload(&upload)?;
        let expected = upload.options().checksums;
        upload.body = checked::upload(upload.body, upload.length, expected);
        let (body, read) = checked::ends(std::mem::replace(&mut upload.body, Body::empty()));
        upload.body = body;
        let uploaded = self
            .run(Operation::Upload, self.backend.upload(upload))
            .await?;
        match read.is_done() {
            true => Ok(uploaded),
            false => Err(Error::new(ErrorKind::PluginFault)
                .with_message("the plugin did not read the body to its end")),
        }
    }

    async fn try_download(&self, download: Download<'_>) -> Result<Downloaded> {
        self.terms().download(&download)?;
        let lends = download.unverified && self.facts.claims(Capability::LendFile);
        let downloading = self.backend.download(download);
        let mut downloaded = self.run(Operation::Download, downloading).await?;
        downloaded.body = self.runtime.body(downloaded.body);
        let length = downloaded.range.end - downloaded.range.start;
        downloaded.body = checked::download(downloaded.body, length, lends);
        Ok(downloaded)
    }

    async fn try_delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        self.terms().delete(&delete)?;
        let window = delete.must_exist && !self.facts.claims(Capability::ExactDelete);
        if window
            && !self
                .run(Operation::Exists, self.backend.exists(delete.key))
                .await?
        {
            return Err(Error::not_found());
        }
        self.run(Operation::Delete, self.backend.delete(delete))
            .await
    }

    async fn try_head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        self.terms().head(&head)?;
        if self.native.has(Operation::Head) {
            return self.run(Operation::Head, self.backend.head(head)).await;
        }
        let options = head.options().clone();
        let download = Download::new(head.key).with_options(Some(options));
        let downloading = self.backend.download(download);
        Ok(self.run(Operation::Download, downloading).await?.info)
    }

    async fn try_list(&self, list: List<'_>) -> Result<Page> {
        self.terms().list(&list)?;
        let mut page = self.run(Operation::List, self.backend.list(list)).await?;
        let before = page.entries.len();
        let policy = self.facts.policy;
        page.entries
            .retain(|entry| policy.check(&entry.key).is_ok());
        page.skipped += (before - page.entries.len()) as u64;
        Ok(page)
    }

    async fn try_sign(&self, sign: SignUrl<'_>) -> Result<Signing> {
        self.terms().sign(&sign)?;
        let exists = self.backend.exists(sign.key);
        if sign.must_exist && !self.run(Operation::Exists, exists).await? {
            return Err(Error::not_found());
        }
        match self.terms().signs_natively(&sign) {
            true => {
                self.run(Operation::SignedUrl, self.backend.signed_url(sign))
                    .await
            }
            false => Ok(Signing::AtGateway),
        }
    }

    async fn try_copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        self.terms().copy(&copy)?;
        if self.native.has(Operation::Copy) {
            self.terms().copies_natively(&copy)?;
            return self.run(Operation::Copy, self.backend.copy(copy)).await;
        }
        if !copy.is_plain() {
            return Err(Error::unsupported("the kit composes plain copies only"));
        }
        let source = self.backend.download(Download::new(copy.from));
        let mut source = self.run(Operation::Download, source).await?;
        source.body = self.runtime.body(source.body);
        let mut copied = Copied::default();
        copied.size = Some(source.info.size);
        if copy.from == copy.to {
            return Ok(copied);
        }
        let info = &source.info;
        let mut upload = Upload::new(copy.to, source.body).length(info.size);
        let options = upload.options_mut();
        options.content_type = info.content_type.as_deref();
        options.headers.cache_control = info.cache_control.as_deref();
        options.headers.content_disposition = info.content_disposition.as_deref();
        options.headers.content_encoding = info.content_encoding.as_deref();
        options.headers.content_language = info.content_language.as_deref();
        options.metadata = info
            .metadata
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        copied.etag = self.try_upload(upload).await?.etag;
        Ok(copied)
    }

    async fn try_rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        self.terms().rename(&rename)?;
        if self.native.has(Operation::Rename) {
            return self
                .run(Operation::Rename, self.backend.rename(rename))
                .await;
        }
        let copied = self
            .try_copy(CopyObject::new(rename.from, rename.to))
            .await?;
        if rename.from != rename.to {
            let delete = self.backend.delete(Delete::new(rename.from));
            self.run(Operation::Delete, delete).await?;
        }
        let mut renamed = Renamed::new(false);
        renamed.etag = copied.etag;
        Ok(renamed)
    }

    async fn try_delete_many(&self, delete: DeleteMany<'_>) -> Result<Vec<Result<Deleted>>> {
        let mut results = Vec::with_capacity(delete.keys.len());
        let versioned = !delete.versions.is_empty();
        if !self.native.has(Operation::DeleteMany)
            || versioned && !self.facts.claims(Capability::DeleteManyVersions)
        {
            for (at, key) in delete.keys.into_iter().enumerate() {
                let mut one = Delete::new(key);
                one.version = delete.versions.get(at).copied().flatten();
                let deleted = self.try_delete(one).await;
                results.push(self.place(Operation::DeleteMany, Some(key), deleted));
            }
            return Ok(results);
        }
        // Keys that break the policy never reach the backend.
        let checked: Vec<_> = delete
            .keys
            .iter()
            .map(|key| self.terms().key(key.text()))
            .collect();
        let mut good = DeleteMany::new::<Key>([]);
        for (at, (key, _)) in delete
            .keys
            .iter()
            .zip(&checked)
            .enumerate()
            .filter(|(_, (_, check))| check.is_ok())
        {
            good.keys.push(*key);
            good.versions.extend(delete.versions.get(at));
        }
        let deleting = self.backend.delete_many(good);
        let answers = self.run(Operation::DeleteMany, deleting).await?;
        let mut answers = answers.into_iter();
        for (key, check) in delete.keys.iter().zip(checked) {
            let missing = || Err(Error::unsupported("fewer answers than keys"));
            let one = check.and_then(|()| answers.next().unwrap_or_else(missing));
            results.push(self.place(Operation::DeleteMany, Some(key), one));
        }
        Ok(results)
    }
}

impl<B: StorageBackend> RustSubject<B> {
    /// An upload that is begun and ended.
    async fn tried_create(&self, key: &Key) -> Result<()> {
        let id = self.backend.create_upload(CreateUpload::new(key)).await?;
        self.backend.abort_upload(AbortUpload::new(key, &id)).await
    }

    async fn try_create_upload(&self, create: CreateUpload<'_>) -> Result<String> {
        self.terms().create_upload(&create)?;
        self.run(Operation::CreateUpload, self.backend.create_upload(create))
            .await
    }

    async fn try_put_part(&self, put: PutPart<'_>) -> Result<Part> {
        let mut put = put;
        self.terms().put_part(&put)?;
        let number = put.number;
        put.body = checked::upload(put.body, put.length, put.checksums);
        let (body, read) = checked::ends(std::mem::replace(&mut put.body, Body::empty()));
        put.body = body;
        let mut part = self
            .run(Operation::PutPart, self.backend.put_part(put))
            .await?;
        part.number = number;
        match read.is_done() {
            true => Ok(part),
            false => Err(Error::new(ErrorKind::PluginFault)
                .with_message("the plugin did not read the body to its end")),
        }
    }

    async fn try_list_parts(&self, list: ListParts<'_>) -> Result<PartPage> {
        self.terms().list_parts(&list)?;
        self.run(Operation::ListParts, self.backend.list_parts(list))
            .await
    }

    async fn try_list_uploads(&self, list: ListUploads<'_>) -> Result<UploadPage> {
        self.terms().list_uploads(&list)?;
        self.run(Operation::ListUploads, self.backend.list_uploads(list))
            .await
    }

    async fn try_complete_upload(&self, complete: CompleteUpload<'_>) -> Result<Uploaded> {
        self.terms().complete_upload(&complete)?;
        self.run(
            Operation::CompleteUpload,
            self.backend.complete_upload(complete),
        )
        .await
    }

    async fn try_abort_upload(&self, abort: AbortUpload<'_>) -> Result<()> {
        self.terms().abort_upload(&abort)?;
        self.run(Operation::AbortUpload, self.backend.abort_upload(abort))
            .await
    }

    async fn try_download_ranges(
        &self,
        read: DownloadRanges<'_>,
    ) -> Result<(ObjectInfo, Vec<Vec<u8>>)> {
        self.terms().download_ranges(&read)?;
        let memory = |range: &std::ops::Range<u64>| vec![0; (range.end - range.start) as usize];
        if self.facts.claims(Capability::Ranges) {
            let memory: Vec<Vec<u8>> = read.ranges.iter().map(memory).collect();
            let reading = self.backend.download_ranges(read);
            let answer = self.run(Operation::DownloadRanges, reading).await?;
            let mut filling = Filling::new(answer.reader, memory);
            let filled = std::future::poll_fn(|cx| filling.poll(cx, std::ptr::null()));
            return Ok((answer.info, self.runtime.run(filled).await?));
        }
        let (mut found, mut info) = (Vec::new(), None);
        for range in read.ranges.clone() {
            let options = (!read.is_plain()).then(|| read.options().clone());
            let download = Download::new(read.key)
                .range(range.clone())
                .with_options(options);
            let downloaded = self.try_download(download).await?;
            if range.end > downloaded.info.size {
                return Err(Error::invalid_range(downloaded.info.size));
            }
            info = Some(downloaded.info);
            found.push(downloaded.body.collect(1 << 30).await?.to_vec());
        }
        let info = info.ok_or_else(|| Error::invalid("no range"))?;
        Ok((info, found))
    }

    async fn try_list_versions(&self, list: ListVersions<'_>) -> Result<VersionPage> {
        self.terms().list_versions(&list)?;
        self.run(Operation::ListVersions, self.backend.list_versions(list))
            .await
    }

    async fn try_update(&self, update: Update<'_>) -> Result<ObjectInfo> {
        self.terms().update(&update)?;
        self.terms().updates_natively(&update)?;
        self.run(Operation::Update, self.backend.update(update))
            .await
    }
}

/// Whether this is what a method answers that is not written.
fn is_default(operation: Operation, error: &Error) -> bool {
    error.kind() == ErrorKind::Unsupported && error.message() == operation.name()
}

macro_rules! placed {
    ($self:ident, $operation:ident, $key:expr, $call:expr) => {
        Box::pin(async move {
            let key = $key;
            let result = match $self.is_open() {
                Ok(()) => $call.await,
                Err(error) => Err(error),
            };
            $self.place(Operation::$operation, key, result)
        })
    };
}

impl<B: StorageBackend> Subject for RustSubject<B> {
    fn info(&self) -> &SubjectInfo {
        &self.facts
    }
    fn upload<'a>(&'a self, upload: Upload<'a>) -> BoxFuture<'a, Result<Uploaded>> {
        placed!(self, Upload, Some(upload.key), self.try_upload(upload))
    }
    fn upload_within<'a>(
        &'a self,
        upload: Upload<'a>,
        timeout: Duration,
    ) -> Option<BoxFuture<'a, Result<Uploaded>>> {
        // A host drops the call of a caller whose time is over.
        Some(placed!(self, Upload, Some(upload.key), async {
            let call = tokio::time::timeout(timeout, self.try_upload(upload)).await;
            call.unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout)))
        }))
    }
    fn download<'a>(&'a self, download: Download<'a>) -> BoxFuture<'a, Result<Downloaded>> {
        placed!(
            self,
            Download,
            Some(download.key),
            self.try_download(download)
        )
    }
    fn delete<'a>(&'a self, delete: Delete<'a>) -> BoxFuture<'a, Result<Deleted>> {
        placed!(self, Delete, Some(delete.key), self.try_delete(delete))
    }
    fn exists<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool>> {
        placed!(self, Exists, Some(key), async {
            self.terms().key(key.text())?;
            self.run(Operation::Exists, self.backend.exists(key)).await
        })
    }
    fn signed_url<'a>(&'a self, sign: SignUrl<'a>) -> BoxFuture<'a, Result<Signing>> {
        placed!(self, SignedUrl, Some(sign.key), self.try_sign(sign))
    }
    fn head<'a>(&'a self, head: Head<'a>) -> BoxFuture<'a, Result<ObjectInfo>> {
        placed!(self, Head, Some(head.key), self.try_head(head))
    }
    fn list<'a>(&'a self, list: List<'a>) -> BoxFuture<'a, Result<Page>> {
        placed!(self, List, None, self.try_list(list))
    }
    fn copy<'a>(&'a self, copy: CopyObject<'a>) -> BoxFuture<'a, Result<Copied>> {
        placed!(self, Copy, Some(copy.from), self.try_copy(copy))
    }
    fn rename<'a>(&'a self, rename: Rename<'a>) -> BoxFuture<'a, Result<Renamed>> {
        placed!(self, Rename, Some(rename.from), self.try_rename(rename))
    }
    fn delete_many<'a>(
        &'a self,
        delete: DeleteMany<'a>,
    ) -> BoxFuture<'a, Result<Vec<Result<Deleted>>>> {
        placed!(self, DeleteMany, None, self.try_delete_many(delete))
    }
    fn health(&self) -> BoxFuture<'_, Result<Health>> {
        placed!(
            self,
            Health,
            None,
            self.run(Operation::Health, self.backend.health())
        )
    }
    fn usage(&self) -> BoxFuture<'_, Result<Usage>> {
        placed!(self, Usage, None, async {
            self.claims(true, Capability::Usage)?;
            self.run(Operation::Usage, self.backend.usage()).await
        })
    }
    fn shutdown(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.ended.store(true, Ordering::Release);
            let ended = self.run(Operation::Shutdown, self.backend.shutdown()).await;
            self.place(Operation::Shutdown, None, ended)
        })
    }
    fn create_upload<'a>(&'a self, create: CreateUpload<'a>) -> BoxFuture<'a, Result<String>> {
        placed!(
            self,
            CreateUpload,
            Some(create.key),
            self.try_create_upload(create)
        )
    }
    fn put_part<'a>(&'a self, put: PutPart<'a>) -> BoxFuture<'a, Result<Part>> {
        placed!(self, PutPart, Some(put.key), self.try_put_part(put))
    }
    fn list_parts<'a>(&'a self, list: ListParts<'a>) -> BoxFuture<'a, Result<PartPage>> {
        placed!(self, ListParts, Some(list.key), self.try_list_parts(list))
    }
    fn list_uploads<'a>(&'a self, list: ListUploads<'a>) -> BoxFuture<'a, Result<UploadPage>> {
        placed!(self, ListUploads, None, self.try_list_uploads(list))
    }
    fn complete_upload<'a>(
        &'a self,
        complete: CompleteUpload<'a>,
    ) -> BoxFuture<'a, Result<Uploaded>> {
        placed!(
            self,
            CompleteUpload,
            Some(complete.key),
            self.try_complete_upload(complete)
        )
    }
    fn abort_upload<'a>(&'a self, abort: AbortUpload<'a>) -> BoxFuture<'a, Result<()>> {
        placed!(
            self,
            AbortUpload,
            Some(abort.key),
            self.try_abort_upload(abort)
        )
    }
    fn download_ranges<'a>(
        &'a self,
        read: DownloadRanges<'a>,
    ) -> BoxFuture<'a, Result<(ObjectInfo, Vec<Vec<u8>>)>> {
        placed!(
            self,
            DownloadRanges,
            Some(read.key),
            self.try_download_ranges(read)
        )
    }
    fn list_versions<'a>(&'a self, list: ListVersions<'a>) -> BoxFuture<'a, Result<VersionPage>> {
        placed!(self, ListVersions, None, self.try_list_versions(list))
    }
    fn update<'a>(&'a self, update: Update<'a>) -> BoxFuture<'a, Result<ObjectInfo>> {
        placed!(self, Update, Some(update.key), self.try_update(update))
    }
    fn is_written(&self, operation: Operation) -> Option<BoxFuture<'_, bool>> {
        let missing = Key::new("kit-operation-that-is-asked-for");
        let other = Key::new("kit-operation-that-is-asked-for-too");
        let backend = &self.backend;
        Some(Box::pin(async move {
            macro_rules! is_written {
                ($method:expr) => {
                    match self.runtime.run($method).await {
                        Ok(_) => true,
                        Err(error) => !is_default(operation, &error),
                    }
                };
            }
            match operation {
                Operation::Head => is_written!(backend.head(Head::new(missing))),
                Operation::List => is_written!(backend.list(List::new("kit-operation/").limit(1))),
                Operation::Copy => is_written!(backend.copy(CopyObject::new(missing, other))),
                Operation::Rename => is_written!(backend.rename(Rename::new(missing, other))),
                Operation::DeleteMany => {
                    is_written!(backend.delete_many(DeleteMany::new([missing])))
                }
                Operation::Health => is_written!(backend.health()),
                Operation::Usage => is_written!(backend.usage()),
                Operation::Custom => is_written!(backend.custom(Custom::new("kit", ""))),
                Operation::CreateUpload => is_written!(self.tried_create(missing)),
                Operation::PutPart => {
                    is_written!(backend.put_part(PutPart::new(missing, "kit", 1, "")))
                }
                Operation::ListParts => {
                    is_written!(backend.list_parts(ListParts::new(missing, "kit")))
                }
                Operation::ListUploads => {
                    is_written!(backend.list_uploads(ListUploads::new("kit-operation/")))
                }
                Operation::CompleteUpload => {
                    let parts = [Part::new(1, "kit", 1)];
                    let complete = CompleteUpload::new(missing, "kit", &parts);
                    is_written!(backend.complete_upload(complete))
                }
                Operation::AbortUpload => {
                    is_written!(backend.abort_upload(AbortUpload::new(missing, "kit")))
                }
                Operation::DownloadRanges => {
                    is_written!(backend.download_ranges(DownloadRanges::new(missing, [0..1])))
                }
                Operation::ListVersions => {
                    is_written!(backend.list_versions(ListVersions::new("kit-operation/")))
                }
                Operation::Update => is_written!(backend.update(Update::new(missing).metadata([]))),
                // The trait's own `shutdown` succeeds, and the required ones have no default.
                _ => self.native.has(operation),
            }
        }))
    }
    fn custom<'a>(&'a self, custom: Custom<'a>) -> BoxFuture<'a, Result<Bytes>> {
        placed!(self, Custom, None, async {
            self.claims(true, Capability::Custom)?;
            self.run(Operation::Custom, self.backend.custom(custom))
                .await
        })
    }
}
