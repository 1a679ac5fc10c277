//! What an adapter knows of a store beside the store itself.

#[cfg(feature = "http")]
use crate::{Multipart, PartSettings, Requests, ServiceSettings, sweep::sweep};
use futures_util::future::BoxFuture;
use holdall_plugin_api::{
    Capabilities, Copied, CopyObject, Deleted, Error, ErrorKind, Health, Limits, Result,
};
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use object_store::list::PaginatedListStore;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{Attributes, ObjectStore};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Parts in flight at once, unless [`OpenedStore::parts`] says otherwise.
const PARTS_AT_ONCE: usize = 4;
/// Bytes of a part: above the 5 MiB that S3 asks for, and 78 GiB in the 10 000 parts that it takes.
const PART_BYTES: usize = 8 << 20;
/// Longest life of a signed URL, in seconds: that of V4 signatures of S3 and Google, and the contract's.
#[cfg(feature = "http")]
const MAX_SIGN_SECONDS: u32 = 7 * 24 * 3600;

/// A store, and what the adapter may promise in its name.
///
/// Only the store is needed. Everything else is an addition: pages and signatures are not part of
/// the `ObjectStore` trait, and what a store can do cannot be asked of it.
#[derive(Clone)]
pub struct OpenedStore {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) pages: Option<Arc<dyn PaginatedListStore>>,
    pub(crate) signer: Option<Arc<dyn Signer>>,
    pub(crate) sign_put_headers: Vec<(String, String)>,
    pub(crate) native: Arc<dyn Native>,
    pub(crate) prefix: String,
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) limits: Limits,
    pub(crate) description: String,
    pub(crate) part_bytes: usize,
    pub(crate) parts_at_once: usize,
    pub(crate) large_conditions: LargeConditions,
    pub(crate) always_etag: bool,
    pub(crate) metadata_names: MetadataNames,
    #[cfg(feature = "http")]
    requests: Option<Requests>,
    #[cfg(feature = "http")]
    abandoned_after: Option<Duration>,
    #[cfg(feature = "http")]
    pub(crate) multipart: Option<Multipart>,
}

/// How a condition (`create_only`, `if_match`) is held by an upload of more than one part: the
/// `ObjectStore` trait has no such thing.
#[derive(Clone, Copy, Debug)]
pub enum LargeConditions {
    /// The body is gathered and sent in one conditional request. Larger ones are `TooLarge`, before
    /// a byte is sent and, where the length is known, before a byte is read.
    InOnePut {
        /// Largest body, in bytes. Counts in [`Limits::buffer_bytes`].
        max_bytes: usize,
    },
    /// The request that completes the parts takes the condition as `If-Match` or `If-None-Match`.
    /// Needs the connector [`Http`](crate::Http), which adds them after the signature: right where
    /// the signature does not cover them (in SigV4, and beside a bearer token).
    AtCompletion,
}

/// What an upload is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// There is no object.
    Absent,
    /// The object has this etag.
    Etag(String),
}

impl Condition {
    /// The header that says it.
    pub fn headers(&self) -> HeaderMap {
        let (name, value) = match self {
            Condition::Absent => (IF_NONE_MATCH, Ok(HeaderValue::from_static("*"))),
            Condition::Etag(etag) => (IF_MATCH, HeaderValue::from_str(etag)),
        };
        // An etag that no header can carry belongs to no object.
        let value = value.unwrap_or(HeaderValue::from_static("\"\""));
        HeaderMap::from_iter([(name, value)])
    }
}

/// Which names of user metadata a store takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataNames {
    /// `[a-z0-9-]`, as the contract has them.
    AsGiven,
    /// Identifiers, as Azure has them: `-` is written as `__`, a leading digit gets `n___` before it.
    Identifiers,
}

/// What a store does better than, or besides, the `ObjectStore` trait. Each method answers `None`
/// where the trait is good enough.
pub trait Native: Send + Sync + 'static {
    /// Removes one object; `if_match`: only the one with this etag, else `PreconditionFailed`. The
    /// trait has no such condition: claim `if_match_delete` only with this.
    fn delete<'a>(
        &'a self,
        path: &'a Path,
        if_match: Option<&'a str>,
    ) -> Option<BoxFuture<'a, Result<Deleted>>> {
        let _ = (path, if_match);
        None
    }

    /// Copies under conditions, or with other `attributes` than those of the source. Only for a copy that asks
    /// for either: claim `copy_if_match`, `copy_source_conditions` and `copy_replace_metadata` only with this.
    fn copy<'a>(
        &'a self,
        from: &'a Path,
        to: &'a Path,
        copy: &'a CopyObject<'a>,
        attributes: Option<Attributes>,
    ) -> Option<BoxFuture<'a, Result<Copied>>> {
        let _ = (from, to, copy, attributes);
        None
    }

    /// Removes many objects: one answer for each, in order.
    fn delete_many<'a>(
        &'a self,
        paths: &'a [Path],
    ) -> Option<BoxFuture<'a, Result<Vec<Result<Deleted>>>>> {
        let _ = paths;
        None
    }

    /// Whether the store answers.
    fn health(&self) -> Option<BoxFuture<'_, Result<Health>>> {
        None
    }
}

/// Nothing.
struct Plain;

impl Native for Plain {}

impl OpenedStore {
    /// A store, with nothing said of it.
    pub fn new(objects: impl ObjectStore) -> Self {
        Self::of(Arc::new(objects))
    }

    /// As [`OpenedStore::new`], of a shared one.
    pub fn of(objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            description: objects.to_string(),
            objects,
            pages: None,
            signer: None,
            sign_put_headers: Vec::new(),
            native: Arc::new(Plain),
            prefix: String::new(),
            capabilities: None,
            limits: Limits::default(),
            part_bytes: PART_BYTES,
            parts_at_once: PARTS_AT_ONCE,
            large_conditions: LargeConditions::InOnePut {
                max_bytes: 64 << 20,
            },
            always_etag: false,
            metadata_names: MetadataNames::AsGiven,
            #[cfg(feature = "http")]
            requests: None,
            #[cfg(feature = "http")]
            abandoned_after: None,
            #[cfg(feature = "http")]
            multipart: None,
        }
    }

    /// A service over HTTP, as the configuration reaches it: its prefix and retries; every answer about an
    /// object has an etag; URLs live for seven days at most; a clock that is off shows before a URL is signed.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn over_http(mut self, requests: Requests, settings: &ServiceSettings) -> Self {
        self.prefix.clone_from(&settings.prefix);
        self.limits.retries = settings.retries;
        self.limits.max_sign_seconds = Some(MAX_SIGN_SECONDS);
        self.requests = Some(requests);
        self.always_etag()
    }

    /// Uploads in parts as the configuration says, in the protocol of S3: conditions over single requests
    /// only; abandoned uploads below the prefix are removed when the first upload in parts begins.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn part_settings(mut self, parts: &PartSettings) -> Self {
        self.limits.max_object_size = Some(parts.max_object_size());
        self.abandoned_after = parts.abandoned_after();
        self.large_conditions = parts.in_one_put();
        self.parts(parts.part_bytes(), parts.parts_at_once as usize)
    }

    /// Takes uploads in parts that callers lead. Claim `parts` with it. Conditions hold at the completion
    /// where [`LargeConditions::AtCompletion`] does.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn multipart(mut self, multipart: Multipart) -> Self {
        self.multipart = Some(multipart);
        self
    }

    /// Numbers of uploads in parts.
    #[cfg(feature = "http")]
    pub(crate) fn limit_parts(&self, limits: &mut Limits) {
        use crate::multipart::PART_BYTES;
        let Some(multipart) = &self.multipart else {
            return;
        };
        limits.min_part_bytes = PART_BYTES.0;
        limits.max_part_bytes = Some(multipart.max_part_bytes(self));
        // The next upload in parts removes those to which no part was added for longer.
        let kept = self.abandoned_after.map(|after| after.as_secs());
        limits.max_upload_seconds = kept.and_then(|kept| kept.try_into().ok());
    }

    /// Lists page by page, in the store's own order (claim `ordered_list` when that is by bytes).
    /// Without it each page reads the whole listing below the prefix.
    #[must_use]
    pub fn pages(mut self, pages: Arc<dyn PaginatedListStore>) -> Self {
        self.pages = Some(pages);
        self
    }

    /// Signs URLs. Claim `sign_get`, `sign_put` and so on for what it binds.
    #[must_use]
    pub fn signer(mut self, signer: Arc<dyn Signer>) -> Self {
        self.signer = Some(signer);
        self
    }

    /// A header that a signed PUT must carry beside those that its signature binds, such as the kind
    /// of blob that Azure wants to be told.
    #[must_use]
    pub fn sign_put_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.sign_put_headers.push((name.into(), value.into()));
        self
    }

    /// Adds what the store does besides the trait.
    #[must_use]
    pub fn native(mut self, native: Arc<dyn Native>) -> Self {
        self.native = native;
        self
    }

    /// Keeps all objects below this prefix, which is part of no key that a caller sees.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What this instance claims: at most what the plugin declares. `None` is all of it.
    #[must_use]
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = Some(capabilities);
        self
    }

    /// The numbers of this instance. `buffer_bytes`, `max_conditional_size` and the part of
    /// `max_key_bytes` that the prefix takes are computed.
    #[must_use]
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// One line for status pages; no secret.
    #[must_use]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Uploads in parts of so many bytes, so many of them in flight. All parts but the last are
    /// equal, as Cloudflare R2 asks.
    #[must_use]
    pub fn parts(mut self, bytes: usize, at_once: usize) -> Self {
        self.part_bytes = bytes.max(1);
        self.parts_at_once = at_once.max(1);
        self
    }

    /// How conditions on large uploads are held.
    #[must_use]
    pub fn large_conditions(mut self, how: LargeConditions) -> Self {
        self.large_conditions = how;
        self
    }

    /// Every answer about an object has an etag: one without is not the store's.
    #[must_use]
    pub fn always_etag(mut self) -> Self {
        self.always_etag = true;
        self
    }

    /// Which names of user metadata the store takes.
    #[must_use]
    pub fn metadata_names(mut self, names: MetadataNames) -> Self {
        self.metadata_names = names;
        self
    }

    /// The provider's clock minus ours, in seconds, when it is known to be off: a signature made now would
    /// be refused, or end early.
    pub(crate) fn clock_skew(&self) -> Option<i64> {
        #[cfg(feature = "http")]
        return self.requests.as_ref()?.http().clock_skew();
        #[cfg(not(feature = "http"))]
        None
    }

    /// Removal of what an earlier process left behind; its outcome is not waited for.
    pub(crate) fn sweep(&self) -> Option<BoxFuture<'static, ()>> {
        #[cfg(feature = "http")]
        {
            let (requests, after) = (self.requests.clone()?, self.abandoned_after?);
            Some(Box::pin(sweep(requests, self.prefix.clone(), after)))
        }
        #[cfg(not(feature = "http"))]
        None
    }

    /// The name of an object in the store.
    pub(crate) fn path(&self, key: &str) -> Result<Path> {
        let full = match self.prefix.as_str() {
            "" => Path::parse(key),
            prefix => Path::parse(format!("{prefix}{key}")),
        };
        // `Path` trims slashes; a key that would not come back as it is has no place here.
        match full {
            Ok(path) if path.as_ref().len() == self.prefix.len() + key.len() => Ok(path),
            _ => Err(Error::new(ErrorKind::InvalidKey)
                .with_message("the store cannot keep this key as it is")),
        }
    }

    /// Most bytes that one stream holds.
    pub(crate) fn buffer_bytes(&self) -> u64 {
        let parts = self.part_bytes * (self.parts_at_once + 1);
        let whole = match self.large_conditions {
            LargeConditions::InOnePut { max_bytes } => max_bytes,
            LargeConditions::AtCompletion => 0,
        };
        parts.max(whole) as u64
    }

    /// Largest upload under a condition, in bytes.
    pub(crate) fn max_conditional_size(&self) -> Option<u64> {
        match self.large_conditions {
            LargeConditions::InOnePut { max_bytes } => Some(max_bytes as u64),
            LargeConditions::AtCompletion => None,
        }
    }
}

impl fmt::Debug for OpenedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedStore")
            .field("description", &self.description)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

/// How long `health` may take.
pub(crate) const HEALTH_LIMIT: Duration = Duration::from_secs(5);
/// How long `shutdown` waits for uploads that are being aborted.
pub(crate) const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);
