//! Implementation of `ObjectStore`.

use super::{copy, list, multipart, read, write};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use holdall::{Backend, CallOptions};
use object_store::path::Path;
use object_store::{
    CopyOptions, Extensions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    Result as StoreResult,
};
use std::fmt;
use std::ops::Range;

/// A [`Backend`] as an [`ObjectStore`], a `PaginatedListStore`, and, with the feature
/// `signer`, a `Signer`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BackendStore {
    backend: Backend,
}

impl BackendStore {
    /// Wraps a backend.
    pub fn new(backend: Backend) -> Self {
        Self { backend }
    }

    /// Returns the backend.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Returns the backend with the `CallOptions` of the extensions.
    pub(super) fn called(&self, extensions: &Extensions) -> Backend {
        match extensions.get::<CallOptions>() {
            Some(options) => self.backend.with(options.clone()),
            None => self.backend.clone(),
        }
    }
}

impl fmt::Display for BackendStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holdall({})", self.backend.name())
    }
}

#[async_trait]
impl ObjectStore for BackendStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> StoreResult<PutResult> {
        write::put(&self.called(&opts.extensions), location, payload, &opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        multipart::begin(self.called(&opts.extensions), location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        read::get(&self.called(&options.extensions), location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> StoreResult<Vec<Bytes>> {
        read::ranges(&self.backend, location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        list::delete(self.backend.clone(), locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        list::all(self.backend.clone(), prefix, None)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        list::all(self.backend.clone(), prefix, Some(offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        list::directory(&self.backend, prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        let backend = self.called(&options.extensions);
        copy::copy(&backend, from, to, options.mode).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> StoreResult<()> {
        let backend = self.called(&options.extensions);
        copy::rename(&backend, from, to, options.target_mode).await
    }
}
