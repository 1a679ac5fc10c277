//! "Replace (or remove) only the object with this etag", where conditions on writes are about
//! generations.
//!
//! A generation names one write of one name and is never used again. So the etag is looked up first,
//! and the write is bound to the generation that had it: who comes between the two changes the
//! generation, and the write is lost. That costs one request more and is exact.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use holdall_plugin_api_object_store::{Call, error_of};
use http::{HeaderMap, HeaderName, HeaderValue};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, UpdateVersion,
};
use std::fmt;

/// <https://cloud.google.com/storage/docs/xml-api/reference-headers#xgoogifgenerationmatch>
const GENERATION: HeaderName = HeaderName::from_static("x-goog-if-generation-match");

/// A store whose updates and deletes name an etag.
#[derive(Clone, Debug)]
pub(crate) struct Generations<S>(pub(crate) S);

impl<S: fmt::Display> fmt::Display for Generations<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<S: ObjectStore> Generations<S> {
    async fn of(&self, path: &Path, etag: &str) -> Result<String> {
        let asked = GetOptions::new().with_head(true).with_if_match(Some(etag));
        let found = self.0.get_opts(path, asked).await?;
        found.meta.version.ok_or_else(|| Error::Generic {
            store: "GCS",
            source: "an answer without a generation".into(),
        })
    }

    /// Removes the object with this etag, and no other.
    ///
    /// # Errors
    ///
    /// `FileNotFound` and `PreconditionFailed`: there is none.
    pub(crate) async fn delete_if_match(
        &self,
        path: &Path,
        etag: &str,
    ) -> holdall_plugin_api::Result<()> {
        let call = Call::new();
        let found = call.run(self.of(path, etag)).await;
        let generation = found.map_err(|error| error_of(error, &call))?;
        let generation = HeaderValue::from_str(&generation).map_err(|cause| {
            holdall_plugin_api::Error::new(holdall_plugin_api::ErrorKind::Unavailable)
                .with_message("the answer has no generation")
                .because(cause)
        })?;
        // A bearer token signs nothing: a header may be added to what the client makes.
        let headers = HeaderMap::from_iter([(GENERATION, generation)]);
        let call = Call::document_with(headers);
        let removed = call.run(self.0.delete(path)).await;
        removed.map_err(|error| error_of(error, &call))
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for Generations<S> {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut opts: PutOptions,
    ) -> Result<PutResult> {
        if let PutMode::Update(UpdateVersion {
            e_tag: Some(etag), ..
        }) = &opts.mode
        {
            let generation = self.of(location, etag).await?;
            opts.mode = PutMode::Update(UpdateVersion {
                e_tag: None,
                version: Some(generation),
            });
        }
        self.0.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
