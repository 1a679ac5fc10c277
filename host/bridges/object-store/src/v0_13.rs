//! A backend as the [`ObjectStore`] of object_store 0.13, for DataFusion 55 and delta-rs (feature
//! `v0_13`).
//!
//! Wraps the [`BackendStore`](crate::BackendStore) of this crate and converts requests, answers and
//! errors between the two versions; payloads are not copied. Signs no URLs, and answers have no
//! extensions. [`cause`](crate::cause) finds the host's error in an error of either version.
//!
//! ```no_run
//! # async fn example(host: holdall::Host) -> Result<(), Box<dyn std::error::Error>> {
//! use holdall_object_store::v0_13::IntoObjectStore;
//! use object_store_0_13::{ObjectStore, ObjectStoreExt, path::Path};
//!
//! let lake = host.backend("lake").await?;
//! let store: std::sync::Arc<dyn ObjectStore> = lake.into_object_store();
//! store.put(&Path::from("a/b.parquet"), "bytes".into()).await?;
//! # Ok(()) }
//! ```

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryFutureExt, TryStreamExt};
use holdall::Backend;
use object_store as new;
use object_store::ObjectStore as _;
use object_store::list::PaginatedListStore as _;
use object_store_0_13::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store_0_13::path::Path;
use object_store_0_13::{
    Attribute, Attributes, CopyMode, CopyOptions, Error, GetOptions, GetRange, GetResult,
    GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode,
    Result, TagSet, UploadPart,
};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Converts a [`Backend`] into an [`ObjectStore`] of version 0.13.
pub trait IntoObjectStore {
    /// Returns the backend as an object store. Opens nothing.
    fn into_object_store(self) -> Arc<dyn ObjectStore>;
}

impl IntoObjectStore for Backend {
    fn into_object_store(self) -> Arc<dyn ObjectStore> {
        Arc::new(BackendStore::new(self))
    }
}

/// A [`Backend`] as an [`ObjectStore`] and a [`PaginatedListStore`] of version 0.13.
#[derive(Clone, Debug)]
pub struct BackendStore(crate::BackendStore);

impl BackendStore {
    /// Wraps a backend.
    pub fn new(backend: Backend) -> Self {
        Self(crate::BackendStore::new(backend))
    }

    /// Returns the backend.
    pub fn backend(&self) -> &Backend {
        self.0.backend()
    }
}

impl fmt::Display for BackendStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[async_trait]
impl ObjectStore for BackendStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let mode = match options.mode {
            PutMode::Overwrite => new::PutMode::Overwrite,
            PutMode::Create => new::PutMode::Create,
            PutMode::Update(version) => new::PutMode::Update(new::UpdateVersion {
                e_tag: version.e_tag,
                version: version.version,
            }),
        };
        let options = new::PutOptions {
            mode,
            tags: tags_in(&options.tags),
            attributes: attributes_in(&options.attributes)?,
            extensions: options.extensions,
        };
        let location = path_in(location)?;
        let put = self.0.put_opts(&location, payload_in(payload), options);
        put.await.map(put_out).map_err(error_out)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let options = new::PutMultipartOptions {
            tags: tags_in(&options.tags),
            attributes: attributes_in(&options.attributes)?,
            extensions: options.extensions,
        };
        let location = path_in(location)?;
        let upload = self.0.put_multipart_opts(&location, options).await;
        Ok(Box::new(Multipart(upload.map_err(error_out)?)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let options = new::GetOptions {
            if_match: options.if_match,
            if_none_match: options.if_none_match,
            if_modified_since: options.if_modified_since,
            if_unmodified_since: options.if_unmodified_since,
            range: options.range.map(|range| match range {
                GetRange::Bounded(range) => new::GetRange::Bounded(range),
                GetRange::Offset(start) => new::GetRange::Offset(start),
                GetRange::Suffix(count) => new::GetRange::Suffix(count),
            }),
            version: options.version,
            head: options.head,
            extensions: options.extensions,
        };
        let got = self.0.get_opts(&path_in(location)?, options).await;
        let got = got.map_err(error_out)?;
        Ok(GetResult {
            meta: meta_out(got.meta.clone())?,
            range: got.range.clone(),
            attributes: attributes_out(&got.attributes),
            payload: GetResultPayload::Stream(got.into_stream().map_err(error_out).boxed()),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let location = path_in(location)?;
        let got = self.0.get_ranges(&location, ranges).await;
        got.map_err(error_out)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let locations = locations
            .map(|location| path_in(&location?))
            .map_err(error_in);
        let answers = self.0.delete_stream(locations.boxed()).map_err(error_out);
        answers.map(|location| path_out(&location?)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix.map(path_in).transpose() {
            Ok(prefix) => listing(self.0.list(prefix.as_ref())),
            Err(error) => failed(error),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match (prefix.map(path_in).transpose(), path_in(offset)) {
            (Ok(prefix), Ok(offset)) => listing(self.0.list_with_offset(prefix.as_ref(), &offset)),
            (Err(error), _) | (_, Err(error)) => failed(error),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.map(path_in).transpose()?;
        let listed = self.0.list_with_delimiter(prefix.as_ref()).await;
        list_out(listed.map_err(error_out)?)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mode = match options.mode {
            CopyMode::Overwrite => new::CopyMode::Overwrite,
            CopyMode::Create => new::CopyMode::Create,
        };
        let options = new::CopyOptions::new()
            .with_mode(mode)
            .with_extensions(options.extensions);
        let (from, to) = (path_in(from)?, path_in(to)?);
        let copied = self.0.copy_opts(&from, &to, options).await;
        copied.map_err(error_out)
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mode = match options.target_mode {
            RenameTargetMode::Overwrite => new::RenameTargetMode::Overwrite,
            RenameTargetMode::Create => new::RenameTargetMode::Create,
        };
        let options = new::RenameOptions::new()
            .with_target_mode(mode)
            .with_extensions(options.extensions);
        let (from, to) = (path_in(from)?, path_in(to)?);
        let renamed = self.0.rename_opts(&from, &to, options).await;
        renamed.map_err(error_out)
    }
}

#[async_trait]
impl PaginatedListStore for BackendStore {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        let options = new::list::PaginatedListOptions {
            offset: options.offset,
            delimiter: options.delimiter,
            max_keys: options.max_keys,
            page_token: options.page_token,
            extensions: options.extensions,
        };
        let page = self.0.list_paginated(prefix, options).await;
        let page = page.map_err(error_out)?;
        Ok(PaginatedListResult {
            result: list_out(page.result)?,
            page_token: page.page_token,
        })
    }
}

#[derive(Debug)]
struct Multipart(Box<dyn new::MultipartUpload>);

#[async_trait]
impl MultipartUpload for Multipart {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        Box::pin(self.0.put_part(payload_in(data)).map_err(error_out))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.0.complete().await.map(put_out).map_err(error_out)
    }

    async fn abort(&mut self) -> Result<()> {
        self.0.abort().await.map_err(error_out)
    }
}

fn listing(
    objects: BoxStream<'static, new::Result<new::ObjectMeta>>,
) -> BoxStream<'static, Result<ObjectMeta>> {
    let objects = objects.map_err(error_out);
    objects.map(|meta| meta_out(meta?)).boxed()
}

fn failed(error: Error) -> BoxStream<'static, Result<ObjectMeta>> {
    futures_util::stream::iter([Err(error)]).boxed()
}

fn path_in(path: &Path) -> Result<new::path::Path> {
    let path = new::path::Path::parse(path);
    path.map_err(|error| error_out(error.into()))
}

fn path_out(path: &new::path::Path) -> Result<Path> {
    Ok(Path::parse(path)?)
}

/// The chunks of a payload; their bytes are shared.
fn payload_in(payload: PutPayload) -> new::PutPayload {
    payload.into_iter().collect()
}

/// A set with as many tags: the store refuses any, so their text does not matter.
fn tags_in(tags: &TagSet) -> new::TagSet {
    let mut converted = new::TagSet::default();
    for tag in tags.encoded().split('&').filter(|tag| !tag.is_empty()) {
        converted.push(tag, "");
    }
    converted
}

fn attributes_in(attributes: &Attributes) -> Result<new::Attributes> {
    let convert = |(attribute, value): (&Attribute, &object_store_0_13::AttributeValue)| {
        let attribute = match attribute {
            Attribute::ContentDisposition => new::Attribute::ContentDisposition,
            Attribute::ContentEncoding => new::Attribute::ContentEncoding,
            Attribute::ContentLanguage => new::Attribute::ContentLanguage,
            Attribute::ContentType => new::Attribute::ContentType,
            Attribute::CacheControl => new::Attribute::CacheControl,
            Attribute::StorageClass => new::Attribute::StorageClass,
            Attribute::Metadata(name) => new::Attribute::Metadata(name.clone()),
            other => {
                return Err(Error::NotImplemented {
                    operation: format!("the attribute {other:?}"),
                    implementer: "Holdall".to_owned(),
                });
            }
        };
        Ok((attribute, value.to_string()))
    };
    attributes.iter().map(convert).collect()
}

/// What an object of a backend has; the bridge sets no other attribute.
fn attributes_out(attributes: &new::Attributes) -> Attributes {
    let convert = |(attribute, value): (&new::Attribute, &new::AttributeValue)| {
        let attribute = match attribute {
            new::Attribute::ContentDisposition => Attribute::ContentDisposition,
            new::Attribute::ContentEncoding => Attribute::ContentEncoding,
            new::Attribute::ContentLanguage => Attribute::ContentLanguage,
            new::Attribute::ContentType => Attribute::ContentType,
            new::Attribute::CacheControl => Attribute::CacheControl,
            new::Attribute::StorageClass => Attribute::StorageClass,
            new::Attribute::Metadata(name) => Attribute::Metadata(name.clone()),
            _ => return None,
        };
        Some((attribute, value.to_string()))
    };
    attributes.iter().filter_map(convert).collect()
}

fn meta_out(meta: new::ObjectMeta) -> Result<ObjectMeta> {
    Ok(ObjectMeta {
        location: path_out(&meta.location)?,
        last_modified: meta.last_modified,
        size: meta.size,
        e_tag: meta.e_tag,
        version: meta.version,
    })
}

fn list_out(listed: new::ListResult) -> Result<ListResult> {
    let objects = listed.objects.into_iter().map(meta_out);
    Ok(ListResult {
        common_prefixes: listed
            .common_prefixes
            .iter()
            .map(path_out)
            .collect::<Result<_>>()?,
        objects: objects.collect::<Result<_>>()?,
    })
}

fn put_out(put: new::PutResult) -> PutResult {
    PutResult {
        e_tag: put.e_tag,
        version: put.version,
    }
}

/// The same variant, with its source.
fn error_out(error: new::Error) -> Error {
    match error {
        new::Error::Generic { store, source } => match source.downcast::<Error>() {
            Ok(callers_own) => *callers_own,
            Err(source) => Error::Generic { store, source },
        },
        new::Error::NotFound { path, source } => Error::NotFound { path, source },
        new::Error::AlreadyExists { path, source } => Error::AlreadyExists { path, source },
        new::Error::Precondition { path, source } => Error::Precondition { path, source },
        new::Error::NotModified { path, source } => Error::NotModified { path, source },
        new::Error::NotSupported { source } => Error::NotSupported { source },
        new::Error::PermissionDenied { path, source } => Error::PermissionDenied { path, source },
        new::Error::Unauthenticated { path, source } => Error::Unauthenticated { path, source },
        new::Error::NotImplemented {
            operation,
            implementer,
        } => Error::NotImplemented {
            operation,
            implementer,
        },
        other => Error::Generic {
            store: "Holdall",
            source: other.into(),
        },
    }
}

/// An error of the caller's own stream, on its way through the store.
fn error_in(error: Error) -> new::Error {
    new::Error::Generic {
        store: "Holdall",
        source: error.into(),
    }
}
