//! `holdall::Backend` as a subject of the kit.

use super::file::File;
use super::{Tools, gateway};
use futures_util::future::BoxFuture;
use holdall::config::{Config, GatewayConfig};
use holdall::{
    AbortUpload, Backend, Builder, Bytes, CallOptions, CompleteUpload, Copied, CopyObject,
    CreateUpload, Custom, Delete, DeleteMany, Deleted, Download, DownloadRanges, Downloaded, Error,
    ErrorKind, Head, Health, Host, Key, KeyPolicy, List, ListParts, ListUploads, ListVersions,
    ObjectInfo, Operation, Operations, Page, Part, PartPage, PluginRef, PutPart, Registration,
    Rename, Renamed, Result, SignUrl, StaticPlugin, Update, Upload, UploadPage, Uploaded, Usage,
    VersionPage,
};
use holdall_conformance::holdall_plugin_api::{Cause, Signing};
use holdall_conformance::wire::{self, Dialect};
use holdall_conformance::{
    Broken, Claims, DirectAccess, Following, Harness, Level, Loader, Opening, Stage, Subject,
    SubjectInfo,
};
use http::Request;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often each operation was called.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl Calls {
    fn count(&self, operation: &'static str) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(operation).or_default() += 1;
    }

    /// Calls of this operation so far.
    pub fn of(&self, operation: &str) -> u64 {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.get(operation).copied().unwrap_or_default()
    }
}

const GATEWAY_SECRET: &str = "the kit's own gateway secret";

/// A plugin behind a host of its own, which signs at a gateway what the plugin does not.
pub struct HostStage {
    level: Level,
    host: Host,
    plugin: String,
    schema: Option<Value>,
    stores: Box<dyn Harness<Config = Value>>,
    next: AtomicU32,
    calls: Calls,
    /// What the descriptor lists.
    listed: Operations,
    file: Option<File>,
    public_url: String,
    front: Option<Box<dyn Send + Sync>>,
    // Holds the copy of a loaded file.
    _folder: Option<tempfile::TempDir>,
}

impl HostStage {
    /// The plugin's tables, linked into this program.
    ///
    /// # Errors
    ///
    /// The host refuses it.
    pub fn linked(
        plugin: &'static StaticPlugin,
        stores: impl Harness<Config = Value>,
    ) -> Result<Self> {
        let host = Host::builder().built_in(plugin);
        let mut stage = Self::of(Level::Linked, host, gateway::PUBLIC_URL, stores)?;
        stage.schema = Claims::of(plugin).schema;
        Ok(stage)
    }

    /// A built library, through the loader. The gateway of its host signs URLs that begin with
    /// `public_url`.
    ///
    /// # Errors
    ///
    /// The host refuses it, or it cannot be copied to a folder of its own.
    pub fn loaded(
        library: &Path,
        public_url: &str,
        stores: impl Harness<Config = Value>,
        tools: impl Tools,
    ) -> Result<Self> {
        let cannot = |cause: std::io::Error| {
            Error::new(ErrorKind::PluginLoad)
                .with_message("the file cannot be copied")
                .with_fact("file", library.display())
                .with_cause(Some(Cause::from_error(&cause)))
        };
        let folder = tempfile::tempdir().map_err(cannot)?;
        std::fs::copy(library, folder.path().join("plugin.so")).map_err(cannot)?;
        let host = Host::builder().plugin_dir(folder.path());
        let mut stage = Self::of(Level::Loaded, host, public_url, stores)?;
        stage.file = Some(File {
            library: library.to_owned(),
            config: stage.stores.config(u32::MAX),
            tools: Box::new(tools),
        });
        let report = stage.host.scan_report();
        let descriptor = report
            .files
            .first()
            .and_then(|file| file.descriptor.as_ref());
        stage.schema = descriptor.map(|descriptor| descriptor.about.config_schema.clone());
        stage._folder = Some(folder);
        Ok(stage)
    }

    /// Signed URLs are used over the wire: `front` serves this host at its public URL until it is dropped.
    pub fn in_front(mut self, front: impl FnOnce(Host) -> Box<dyn Send + Sync>) -> Self {
        self.front = Some(front(self.host.clone()));
        self
    }

    fn of(
        level: Level,
        builder: Builder,
        public_url: &str,
        stores: impl Harness<Config = Value>,
    ) -> Result<Self> {
        let mut config = Config::default();
        config.gateway = Some(GatewayConfig::new(public_url).key("kit", GATEWAY_SECRET));
        let host = builder.config(config).build()?;
        let Some(plugin) = host.plugins().into_iter().next() else {
            let report = host.scan_report();
            let faults = report.files.iter().flat_map(|file| &file.faults);
            let faults: Vec<_> = faults.map(ToString::to_string).collect();
            return Err(Error::new(ErrorKind::PluginLoad).with_message(faults.join("; ")));
        };
        let listed = plugin.operations.iter().copied();
        let listed = listed.filter_map(Operation::from_name).collect();
        Ok(Self {
            level,
            listed,
            plugin: plugin.name,
            host,
            schema: None,
            stores: Box::new(stores),
            next: AtomicU32::new(0),
            calls: Calls::default(),
            file: None,
            public_url: public_url.to_owned(),
            front: None,
            _folder: None,
        })
    }

    /// Counts the calls of its instances.
    pub fn calls(&self) -> Calls {
        self.calls.clone()
    }

    /// The host that drives it.
    pub fn host(&self) -> &Host {
        &self.host
    }

    async fn opened(&self, config: Value) -> Result<Arc<dyn Subject>> {
        // Each instance is a backend of its own name: one name would be one instance.
        let name = format!("kit-{}", self.next.fetch_add(1, Ordering::Relaxed));
        let registration = Registration::new(PluginRef::from(self.plugin.as_str())).config(config);
        self.host.register(&name, registration)?;
        let backend = self.host.backend(&name).await?;
        let facts = backend.info().await?;
        let emulated = Operations::head
            .with(Operations::copy)
            .with(Operations::rename)
            .with(Operations::delete_many)
            .with(Operations::download_ranges);
        Ok(Arc::new(Driven {
            facts: SubjectInfo {
                plugin: self.plugin.clone(),
                level: self.level,
                operations: facts.operations.with(emulated),
                capabilities: facts.capabilities,
                limits: facts.limits,
                policy: KeyPolicy::Portable,
            },
            backend,
            host: self.host.clone(),
            calls: self.calls.clone(),
            own: facts.operations,
        }))
    }

    fn opening(&self, config: Option<Value>) -> Option<Opening<'_>> {
        Some(Box::pin(self.opened(config?)))
    }
}

impl Stage for HostStage {
    fn open(&self, store: u32) -> Opening<'_> {
        Box::pin(self.opened(self.stores.config(store)))
    }
    fn has_stores(&self) -> bool {
        self.stores.has_stores()
    }
    fn is_shared(&self) -> bool {
        self.stores.is_shared()
    }
    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        self.stores.direct_access(store)
    }
    fn scoped(&self, store: u32, prefix: &str) -> Option<Opening<'_>> {
        self.opening(self.stores.scoped(store, prefix))
    }
    fn lists(&self, operation: Operation) -> Option<bool> {
        Some(self.listed.has(operation))
    }
    fn schema(&self) -> Option<Value> {
        self.schema.clone()
    }
    fn configuration(&self, store: u32) -> Option<Value> {
        Some(self.stores.config(store))
    }
    fn open_with(&self, config: Value) -> Option<Opening<'_>> {
        self.opening(Some(config))
    }
    fn broken(&self, how: Broken) -> Option<Opening<'_>> {
        self.opening(self.stores.broken(how))
    }
    fn at(&self, store: u32, url: &str) -> Option<Opening<'_>> {
        self.opening(self.stores.at(store, url))
    }
    fn dialect(&self) -> Dialect {
        self.stores.dialect()
    }
    fn server(&self) -> Option<SocketAddr> {
        self.stores.server()
    }
    fn follow(&self, request: Request<Bytes>) -> Option<Following<'_>> {
        Some(Box::pin(async move {
            let at_gateway = request.uri().to_string().starts_with(&self.public_url);
            match at_gateway && self.front.is_none() {
                true => Ok(gateway::answer(&self.host, request).await),
                // The store signed it, or the server listens.
                false => wire::send(request).await,
            }
        }))
    }
    fn supplies(&self, case: &str) -> Option<BoxFuture<'_, Result<(), String>>> {
        // Another process loads the file, whatever this one has linked in.
        self.file.as_ref()?;
        self.stores.supplies(case)
    }
    fn loader(&self) -> Option<&dyn Loader> {
        self.file.as_ref().map(|file| file as &dyn Loader)
    }
    fn part_bytes(&self) -> usize {
        self.stores.part_bytes()
    }
    fn secrets(&self) -> Vec<String> {
        let mut secrets = self.stores.secrets();
        secrets.push(GATEWAY_SECRET.to_owned());
        secrets
    }
}

struct Driven {
    facts: SubjectInfo,
    backend: Backend,
    host: Host,
    calls: Calls,
    /// What the plugin does itself; the host has the rest.
    own: Operations,
}

/// The host would keep the instance for the next user of its name.
impl Drop for Driven {
    fn drop(&mut self) {
        self.host.remove(self.backend.name());
    }
}

impl Subject for Driven {
    fn info(&self) -> &SubjectInfo {
        &self.facts
    }
    fn upload<'a>(&'a self, upload: Upload<'a>) -> BoxFuture<'a, Result<Uploaded>> {
        self.calls.count("upload");
        Box::pin(self.backend.upload(upload))
    }
    fn download<'a>(&'a self, download: Download<'a>) -> BoxFuture<'a, Result<Downloaded>> {
        self.calls.count("download");
        Box::pin(self.backend.download(download))
    }
    fn delete<'a>(&'a self, delete: Delete<'a>) -> BoxFuture<'a, Result<Deleted>> {
        self.calls.count("delete");
        Box::pin(self.backend.delete(delete))
    }
    fn exists<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<bool>> {
        self.calls.count("exists");
        Box::pin(self.backend.exists(key))
    }
    fn signed_url<'a>(&'a self, sign: SignUrl<'a>) -> BoxFuture<'a, Result<Signing>> {
        self.calls.count("signed_url");
        Box::pin(async move { self.backend.signed_url(sign).await.map(Signing::Url) })
    }
    fn head<'a>(&'a self, head: Head<'a>) -> BoxFuture<'a, Result<ObjectInfo>> {
        self.calls.count("head");
        Box::pin(self.backend.head(head))
    }
    fn list<'a>(&'a self, list: List<'a>) -> BoxFuture<'a, Result<Page>> {
        self.calls.count("list");
        Box::pin(self.backend.list(list))
    }
    fn copy<'a>(&'a self, copy: CopyObject<'a>) -> BoxFuture<'a, Result<Copied>> {
        self.calls.count("copy");
        Box::pin(self.backend.copy(copy))
    }
    fn rename<'a>(&'a self, rename: Rename<'a>) -> BoxFuture<'a, Result<Renamed>> {
        self.calls.count("rename");
        Box::pin(self.backend.rename(rename))
    }
    fn delete_many<'a>(
        &'a self,
        delete: DeleteMany<'a>,
    ) -> BoxFuture<'a, Result<Vec<Result<Deleted>>>> {
        self.calls.count("delete_many");
        Box::pin(self.backend.delete_many(delete))
    }
    fn health(&self) -> BoxFuture<'_, Result<Health>> {
        self.calls.count("health");
        Box::pin(self.backend.health())
    }
    fn usage(&self) -> BoxFuture<'_, Result<Usage>> {
        self.calls.count("usage");
        Box::pin(self.backend.usage())
    }
    fn shutdown(&self) -> BoxFuture<'_, Result<()>> {
        self.calls.count("shutdown");
        Box::pin(self.backend.shutdown())
    }
    fn custom<'a>(&'a self, custom: Custom<'a>) -> BoxFuture<'a, Result<Bytes>> {
        self.calls.count("custom");
        Box::pin(self.backend.custom(custom))
    }
    fn create_upload<'a>(&'a self, create: CreateUpload<'a>) -> BoxFuture<'a, Result<String>> {
        self.calls.count("create_upload");
        Box::pin(self.backend.create_upload(create))
    }
    fn put_part<'a>(&'a self, put: PutPart<'a>) -> BoxFuture<'a, Result<Part>> {
        self.calls.count("put_part");
        Box::pin(self.backend.put_part(put))
    }
    fn list_parts<'a>(&'a self, list: ListParts<'a>) -> BoxFuture<'a, Result<PartPage>> {
        self.calls.count("list_parts");
        Box::pin(self.backend.list_parts(list))
    }
    fn list_uploads<'a>(&'a self, list: ListUploads<'a>) -> BoxFuture<'a, Result<UploadPage>> {
        self.calls.count("list_uploads");
        Box::pin(self.backend.list_uploads(list))
    }
    fn complete_upload<'a>(
        &'a self,
        complete: CompleteUpload<'a>,
    ) -> BoxFuture<'a, Result<Uploaded>> {
        self.calls.count("complete_upload");
        Box::pin(self.backend.complete_upload(complete))
    }
    fn abort_upload<'a>(&'a self, abort: AbortUpload<'a>) -> BoxFuture<'a, Result<()>> {
        self.calls.count("abort_upload");
        Box::pin(self.backend.abort_upload(abort))
    }
    fn download_ranges<'a>(
        &'a self,
        read: DownloadRanges<'a>,
    ) -> BoxFuture<'a, Result<(ObjectInfo, Vec<Vec<u8>>)>> {
        self.calls.count("download_ranges");
        Box::pin(async move {
            let read = self.backend.download_ranges(read).await?;
            Ok((read.info, read.ranges))
        })
    }
    fn list_versions<'a>(&'a self, list: ListVersions<'a>) -> BoxFuture<'a, Result<VersionPage>> {
        self.calls.count("list_versions");
        Box::pin(self.backend.list_versions(list))
    }
    fn update<'a>(&'a self, update: Update<'a>) -> BoxFuture<'a, Result<ObjectInfo>> {
        self.calls.count("update");
        Box::pin(self.backend.update(update))
    }
    fn is_written(&self, operation: Operation) -> Option<BoxFuture<'_, bool>> {
        if !self.own.has(operation) {
            return None;
        }
        let missing = Key::new("kit-operation-that-is-asked-for");
        let other = Key::new("kit-operation-that-is-asked-for-too");
        let backend = &self.backend;
        Some(Box::pin(async move {
            let answer = match operation {
                Operation::Head => backend.head(Head::new(missing)).await.map(drop),
                Operation::List => {
                    let list = List::new("kit-operation/").limit(1);
                    backend.list(list).await.map(drop)
                }
                Operation::Copy => {
                    let copy = CopyObject::new(missing, other);
                    backend.copy(copy).await.map(drop)
                }
                Operation::Rename => {
                    let rename = Rename::new(missing, other);
                    backend.rename(rename).await.map(drop)
                }
                Operation::DeleteMany => {
                    let delete = DeleteMany::new([missing]);
                    backend.delete_many(delete).await.map(drop)
                }
                Operation::Health => backend.health().await.map(drop),
                Operation::Usage => backend.usage().await.map(drop),
                Operation::CreateUpload => match backend.create_upload(missing).await {
                    Ok(id) => backend.abort_upload(AbortUpload::new(missing, &id)).await,
                    Err(error) => Err(error),
                },
                Operation::PutPart => {
                    let put = PutPart::new(missing, "kit", 1, "");
                    backend.put_part(put).await.map(drop)
                }
                Operation::ListParts => {
                    let list = ListParts::new(missing, "kit");
                    backend.list_parts(list).await.map(drop)
                }
                Operation::ListUploads => {
                    let list = ListUploads::new("kit-operation/");
                    backend.list_uploads(list).await.map(drop)
                }
                Operation::CompleteUpload => {
                    let parts = [Part::new(1, "kit", 1)];
                    let complete = CompleteUpload::new(missing, "kit", &parts);
                    backend.complete_upload(complete).await.map(drop)
                }
                Operation::AbortUpload => {
                    backend.abort_upload(AbortUpload::new(missing, "kit")).await
                }
                Operation::DownloadRanges => {
                    let read = DownloadRanges::new(missing, [0..1]);
                    backend.download_ranges(read).await.map(drop)
                }
                Operation::ListVersions => {
                    let list = ListVersions::new("kit-operation/");
                    backend.list_versions(list).await.map(drop)
                }
                Operation::Update => backend
                    .update(Update::new(missing).metadata([]))
                    .await
                    .map(drop),
                _ => return true,
            };
            // What a method answers that is not written.
            let is_default = |error: Error| {
                error.kind() == ErrorKind::Unsupported && error.message() == operation.name()
            };
            !answer.is_err_and(is_default)
        }))
    }
    fn bytes_moved(&self) -> Option<u64> {
        let status = self.host.status();
        let own = status
            .backends
            .iter()
            .find(|backend| backend.name == self.backend.name())?;
        Some(own.counters.bytes_in + own.counters.bytes_out)
    }
    fn upload_within<'a>(
        &'a self,
        upload: Upload<'a>,
        timeout: Duration,
    ) -> Option<BoxFuture<'a, Result<Uploaded>>> {
        self.calls.count("upload");
        let backend = self.backend.with(CallOptions::new().timeout(timeout));
        Some(Box::pin(async move { backend.upload(upload).await }))
    }
    fn exists_within<'a>(
        &'a self,
        key: &'a Key,
        timeout: Duration,
    ) -> Option<BoxFuture<'a, Result<bool>>> {
        self.calls.count("exists");
        let backend = self.backend.with(CallOptions::new().timeout(timeout));
        Some(Box::pin(async move { backend.exists(key).await }))
    }
}
