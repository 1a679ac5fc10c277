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
use holdall_plugin_api::contract::Terms;
use holdall_plugin_api::descriptor::{Descriptor, Flags};
use holdall_plugin_api::{
    Body, Bytes, Capabilities, Capability, Copied, CopyObject, Custom, Delete, DeleteMany, Deleted,
    Download, Downloaded, Error, ErrorKind, Head, Health, Host, Key, KeyPolicy, List, ObjectInfo,
    Operation, Operations, Page, Rename, Renamed, Result, SignUrl, Signing, StorageBackend, Upload,
    Uploaded, Usage,
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
            .with(Operations::delete_many);
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
        let downloading = self.backend.download(download);
        let mut downloaded = self.run(Operation::Download, downloading).await?;
        downloaded.body = self.runtime.body(downloaded.body);
        let length = downloaded.range.end - downloaded.range.start;
        downloaded.body = checked::download(downloaded.body, length);
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
            return self.run(Operation::Copy, self.backend.copy(copy)).await;
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
        if !self.native.has(Operation::DeleteMany) {
            for key in delete.keys {
                let deleted = self.try_delete(Delete::new(key)).await;
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
        let good = delete
            .keys
            .iter()
            .zip(&checked)
            .filter(|(_, check)| check.is_ok());
        let good: Vec<&Key> = good.map(|(key, _)| *key).collect();
        let deleting = self.backend.delete_many(DeleteMany::new(good));
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
