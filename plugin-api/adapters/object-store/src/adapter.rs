//! The contract, method by method.

use crate::download::{self, Chunks};
use crate::error::{clock_skew, error_of, of_read};
use crate::opened_store::{HEALTH_LIMIT, OpenedStore, SHUTDOWN_LIMIT};
use crate::reply::Call;
use crate::{list, sign, upload};
use futures_util::StreamExt;
#[cfg(feature = "http")]
use holdall_plugin_api::{
    AbortUpload, CompleteUpload, CreateUpload, ListParts, ListUploads, Part, PartPage, PutPart,
    UploadPage,
};
use holdall_plugin_api::{
    Body, Copied, CopyObject, Delete, DeleteMany, Deleted, Download, Downloaded, Error, ErrorKind,
    Head, Health, Host, Instance, Key, List, ObjectInfo, Page, ReadOptions, Result, SignUrl,
    Signing, StorageBackend, Upload, Uploaded,
};
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, GetOptions, GetRange, GetResult, ObjectStoreExt};
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::task::TaskTracker;

/// Makes an [`OpenedStore`] of a configuration: all that a plugin on this adapter writes itself.
pub trait OpenStore: Sized + Send + Sync + 'static {
    /// What `holdall.toml` says under `[backend.NAME.config]`.
    type Config: DeserializeOwned + Send + 'static;

    /// Opens the store. Cheap: no write, no network round trip that can wait.
    fn open(config: Self::Config, host: &Host) -> impl Future<Output = Result<OpenedStore>> + Send;
}

/// A backend over a store: the type to name in `export_plugin!`.
#[derive(Debug)]
pub struct Adapter<O> {
    store: OpenedStore,
    /// Uploads that are being aborted after their caller has gone.
    aborting: TaskTracker,
    closed: AtomicBool,
    swept: AtomicBool,
    opens: PhantomData<fn() -> O>,
}

impl<O> Adapter<O> {
    fn store(&self) -> Result<&OpenedStore> {
        if self.closed.load(Ordering::Acquire) {
            return Err(
                Error::new(ErrorKind::Unavailable).with_message("the backend has been shut down")
            );
        }
        Ok(&self.store)
    }

    /// Facts and, unless `head`, the bytes.
    async fn get(&self, path: &Path, options: GetOptions) -> Result<(GetResult, Arc<Call>)> {
        let store = self.store()?;
        let call = Call::new();
        match call.run(store.objects.get_opts(path, options)).await {
            Ok(got) if store.always_etag && got.meta.e_tag.is_none() => {
                Err(Error::new(ErrorKind::Unavailable).with_message(
                    "the answer is not the store's (it has no etag): something stands between",
                ))
            }
            Ok(got) => Ok((got, call)),
            Err(error) => Err(of_read(error, &call)),
        }
    }

    async fn facts(&self, path: &Path, options: &ReadOptions<'_>) -> Result<ObjectInfo> {
        let info = self.proven(path, options).await?;
        // "Unless there is any": many stores compare the asterisk as an etag.
        match options.if_none_match {
            Some("*") => Err(Error::new(ErrorKind::NotModified)),
            _ => Ok(info),
        }
    }

    /// The facts, or what is known to be missing.
    async fn proven(&self, path: &Path, options: &ReadOptions<'_>) -> Result<ObjectInfo> {
        let mut asked = download::options(options, None)?;
        asked.head = true;
        let missing = match self.get(path, asked.clone()).await {
            Ok((got, _)) => return Ok(download::info(&self.store, got.meta, &got.attributes)),
            Err(error) if is_bare_404(&error) => error,
            Err(error) => return Err(error),
        };
        // An answer to HEAD has no body, so it is not known yet what is missing: key or bucket.
        let probe = GetOptions {
            range: Some(GetRange::Bounded(0..1)),
            ..GetOptions::default()
        };
        match self.get(path, probe).await {
            Err(error) if error.kind() == ErrorKind::FileNotFound => Err(missing),
            // It came between the two.
            Ok(_) => {
                let (got, _) = self.get(path, asked).await?;
                Ok(download::info(&self.store, got.meta, &got.attributes))
            }
            Err(error) => Err(error),
        }
    }

    /// Removes what killed processes have left, once for each instance.
    fn sweep(&self, store: &OpenedStore) {
        let first = !self.swept.swap(true, Ordering::Relaxed);
        if let Some(sweep) = store.sweep().filter(|_| first) {
            self.aborting.spawn(sweep);
        }
    }

    #[cfg(feature = "http")]
    /// For that operation; without parts it answers as one that is not there.
    fn multipart(&self, operation: &'static str) -> Result<(&crate::Multipart, &OpenedStore)> {
        let store = self.store()?;
        let multipart = store.multipart.as_ref();
        Ok((
            multipart.ok_or_else(|| Error::unsupported(operation))?,
            store,
        ))
    }

    async fn remove(&self, path: &Path, if_match: Option<&str>) -> Result<Deleted> {
        let store = self.store()?;
        if if_match.is_some_and(|etag| !download::is_possible(etag)) {
            return Err(lost_delete());
        }
        if let Some(native) = store.native.delete(path, if_match) {
            return match native.await {
                // There is no object, so it has not this etag.
                Ok(deleted) if if_match.is_some() && deleted.existed == Some(false) => {
                    Err(lost_delete())
                }
                Err(error) if if_match.is_some() && error.kind() == ErrorKind::FileNotFound => {
                    Err(lost_delete().with_provider(error.provider().clone()))
                }
                answer => answer,
            };
        }
        if if_match.is_some() {
            return Err(Error::new(ErrorKind::Unsupported)
                .with_message("the store has no delete under a condition"));
        }
        let call = Call::document();
        match call.run(store.objects.delete(path)).await {
            Ok(()) => Ok(Deleted::new(None)),
            Err(error) => gone(error_of(error, &call)),
        }
    }

    async fn alive(&self) -> Result<Health> {
        let store = self.store()?;
        if let Some(native) = store.native.health() {
            return native.await;
        }
        list::page(store, &List::new("").limit(1)).await?;
        Ok(Health::up())
    }
}

/// The provider says 404 and no more.
fn is_bare_404(error: &Error) -> bool {
    let provider = error.provider();
    error.kind() == ErrorKind::FileNotFound
        && provider.status == Some(404)
        && provider.code.is_none()
}

fn lost_delete() -> Error {
    Error::new(ErrorKind::PreconditionFailed).with_message("no object has this etag")
}

/// A missing object is as good as a removed one.
fn gone(error: Error) -> Result<Deleted> {
    match error.kind() {
        ErrorKind::FileNotFound => Ok(Deleted::new(Some(false))),
        _ => Err(error),
    }
}

impl<O: OpenStore> StorageBackend for Adapter<O> {
    type Config = O::Config;

    async fn open(config: O::Config, host: Host) -> Result<Self> {
        Ok(Self {
            store: O::open(config, &host).await?,
            aborting: TaskTracker::new(),
            closed: AtomicBool::new(false),
            swept: AtomicBool::new(false),
            opens: PhantomData,
        })
    }

    fn instance(&self) -> Instance {
        let store = &self.store;
        let mut instance = Instance::new(store.description.clone());
        instance.capabilities = store.capabilities;
        instance.limits = store.limits;
        instance.limits.buffer_bytes = store.buffer_bytes();
        instance.limits.max_conditional_size = store.max_conditional_size();
        let most = store.limits.max_key_bytes.unwrap_or(1024);
        let prefix = u32::try_from(store.prefix.len()).unwrap_or(u32::MAX);
        instance.limits.max_key_bytes = Some(most.saturating_sub(prefix));
        #[cfg(feature = "http")]
        store.limit_parts(&mut instance.limits);
        instance
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        let store = self.store()?;
        upload::store(store, &self.aborting, || self.sweep(store), upload).await
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let path = self.store()?.path(download.key.text())?;
        if download.options().if_none_match == Some("*") {
            self.facts(&path, download.options()).await?;
        }
        let asked = download::options(download.options(), download.range.clone())?;
        match self.get(&path, asked).await {
            Ok((got, call)) => {
                // Some stores answer an empty range with no bytes.
                if let Some(asked) = &download.range {
                    asked.within(got.meta.size)?;
                }
                let range = got.range.clone();
                let info = download::info(&self.store, got.meta.clone(), &got.attributes);
                let chunks = Chunks::new(got.into_stream(), call, download.chunk_hint);
                Ok(Downloaded::new(info, range, Body::source(chunks)))
            }
            // Stores differ in how they say that a range begins past the end; the size decides.
            Err(error) if download.range.is_some() && may_be_range(&error) => {
                let info = self.facts(&path, download.options()).await?;
                match download.range.map(|range| range.within(info.size)) {
                    Some(Err(past)) => Err(past.with_provider(error.provider().clone())),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        let path = self.store()?.path(delete.key.text())?;
        let deleted = self.remove(&path, delete.if_match).await?;
        // Comes here where `exact_delete` is claimed: the store tells.
        match deleted.existed {
            Some(false) if delete.must_exist => Err(Error::not_found()),
            _ => Ok(deleted),
        }
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let path = self.store()?.path(key.text())?;
        match self.facts(&path, &ReadOptions::default()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn signed_url(&self, sign: SignUrl<'_>) -> Result<Signing> {
        let store = self.store()?;
        let Some(signer) = &store.signer else {
            return Ok(Signing::AtGateway);
        };
        let path = store.path(sign.key.text())?;
        // A URL of a wrong clock would be refused, or end at another time than it says.
        if let Some(skew) = store.clock_skew() {
            return Err(clock_skew(skew));
        }
        sign::url(store, signer.as_ref(), &path, &sign).await
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        let path = self.store()?.path(head.key.text())?;
        self.facts(&path, head.options()).await
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        list::page(self.store()?, &list).await
    }

    async fn copy(&self, copy: CopyObject<'_>) -> Result<Copied> {
        let store = self.store()?;
        let (from, to) = (store.path(copy.from.text())?, store.path(copy.to.text())?);
        let options = copy.options();
        let conditions = [
            options.if_match,
            options.source_if_match,
            options.source_if_none_match,
        ];
        let lost = |message: &'static str| {
            Err(Error::new(ErrorKind::PreconditionFailed).with_message(message))
        };
        if conditions
            .into_iter()
            .flatten()
            .any(|etag| !download::is_possible(etag))
        {
            return lost("no object has this etag");
        }
        if from == to && options.replace.is_none() {
            // Most stores refuse it, or make a new version of the same.
            let info = self.facts(&from, &ReadOptions::default()).await?;
            let other = |etag: Option<&str>| {
                etag.is_some_and(|etag| etag != "*" && info.etag.as_deref() != Some(etag))
            };
            if copy.create_only {
                return lost("the target exists");
            }
            if other(options.if_match) || other(options.source_if_match) {
                return lost("the object has another etag");
            }
            if options.source_if_none_match.is_some() && !other(options.source_if_none_match) {
                return lost("the source has this etag");
            }
            let mut copied = Copied::default();
            copied.size = Some(info.size);
            copied.etag = info.etag;
            copied.last_modified = info.last_modified;
            return Ok(copied);
        }
        if options.replace.is_some() || conditions.iter().any(Option::is_some) {
            let attributes = options.replace.as_ref();
            let attributes = attributes.map(|replace| upload::attributes(store, replace));
            let native = store
                .native
                .copy(&from, &to, &copy, attributes.transpose()?);
            return match native {
                // The source has the etag that it must not have: for a write that is a lost condition.
                Some(copied) => copied.await.map_err(|error| match error.kind() {
                    ErrorKind::NotModified => Error::new(ErrorKind::PreconditionFailed)
                        .with_message("the source has this etag")
                        .with_provider(error.provider().clone()),
                    _ => error,
                }),
                None => Err(Error::unsupported(
                    "a copy under conditions, or with other metadata",
                )),
            };
        }
        let mode = match copy.create_only {
            true => CopyMode::Create,
            false => CopyMode::Overwrite,
        };
        let options = CopyOptions::default().with_mode(mode);
        let call = Call::document();
        match call.run(store.objects.copy_opts(&from, &to, options)).await {
            Ok(()) => Ok(Copied::default()),
            Err(error) => Err(error_of(error, &call)),
        }
    }

    async fn delete_many(&self, delete: DeleteMany<'_>) -> Result<Vec<Result<Deleted>>> {
        let store = self.store()?;
        let paths = delete.keys.iter().map(|key| store.path(key.text()));
        let paths = paths.collect::<Result<Vec<_>>>()?;
        if let Some(native) = store.native.delete_many(&paths) {
            return native.await;
        }
        let call = Call::document();
        let asked = paths.len();
        let locations = futures_util::stream::iter(paths.into_iter().map(Ok)).boxed();
        let answers = store.objects.delete_stream(locations);
        let answers: Vec<_> = call.run(answers.collect()).await;
        if answers.len() != asked {
            let error = answers.into_iter().find_map(|answer| answer.err());
            return Err(match error {
                Some(error) => error_of(error, &call),
                None => Error::new(ErrorKind::Other)
                    .with_message("the store answered for another number of keys"),
            });
        }
        let answer = |answer: object_store::Result<_>| match answer {
            Ok(_) => Ok(Deleted::new(None)),
            Err(error) => gone(error_of(error, &Call::default())),
        };
        Ok(answers.into_iter().map(answer).collect())
    }

    #[cfg(feature = "http")]
    async fn create_upload(&self, create: CreateUpload<'_>) -> Result<String> {
        let (multipart, store) = self.multipart("create_upload")?;
        self.sweep(store);
        multipart.create(store, &create).await
    }

    #[cfg(feature = "http")]
    async fn put_part(&self, put: PutPart<'_>) -> Result<Part> {
        let (multipart, store) = self.multipart("put_part")?;
        multipart.put(store, put).await
    }

    #[cfg(feature = "http")]
    async fn list_parts(&self, list: ListParts<'_>) -> Result<PartPage> {
        let (multipart, store) = self.multipart("list_parts")?;
        multipart.list_parts(store, &list).await
    }

    #[cfg(feature = "http")]
    async fn list_uploads(&self, list: ListUploads<'_>) -> Result<UploadPage> {
        let (multipart, store) = self.multipart("list_uploads")?;
        multipart.list_uploads(store, &list).await
    }

    #[cfg(feature = "http")]
    async fn complete_upload(&self, complete: CompleteUpload<'_>) -> Result<Uploaded> {
        let (multipart, store) = self.multipart("complete_upload")?;
        multipart.complete(store, &complete).await
    }

    #[cfg(feature = "http")]
    async fn abort_upload(&self, abort: AbortUpload<'_>) -> Result<()> {
        let (multipart, store) = self.multipart("abort_upload")?;
        multipart.abort(store, &abort).await
    }

    async fn health(&self) -> Result<Health> {
        match tokio::time::timeout(HEALTH_LIMIT, self.alive()).await {
            Ok(Ok(health)) => Ok(health),
            Ok(Err(error)) if self.closed.load(Ordering::Acquire) => Err(error),
            Ok(Err(error)) => Ok(Health::down(error.to_string())),
            Err(_) => Ok(Health::down(format!(
                "the store does not answer within {} s",
                HEALTH_LIMIT.as_secs()
            ))),
        }
    }

    async fn shutdown(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.aborting.close();
        // What is not done then goes on beside; a store that is down must not hold up the host.
        let _ = tokio::time::timeout(SHUTDOWN_LIMIT, self.aborting.wait()).await;
        Ok(())
    }
}

/// Whether an error may stand for "the range begins past the end".
fn may_be_range(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::InvalidRange => error.fact("size").is_none(),
        ErrorKind::Other => true,
        // A whole object in answer to a range.
        ErrorKind::Unavailable => error.provider().status.is_some_and(|status| status < 300),
        _ => false,
    }
}
