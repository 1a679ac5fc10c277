//! Answers: the results of the operations.
//!
//! Fields are public; the builder method of a field has its name. A method of an optional text takes
//! a `String` or an `Option<String>`.

use std::ops::Range;
use std::time::SystemTime;

use crate::{Body, Capabilities, Checksums, Error, ErrorKind, Limits, Operations, Result};
use bytes::Bytes;

/// Answer of an upload.
///
/// ```
/// use holdall_plugin_api::{Checksums, Uploaded};
///
/// let uploaded = Uploaded::new(5)
///     .etag("\"7\"".to_owned())
///     .checksums(Checksums::NONE.crc32c(1));
/// assert_eq!((uploaded.size, uploaded.etag.as_deref()), (5, Some("\"7\"")));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Uploaded {
    /// Size, in bytes.
    pub size: u64,
    /// Name of the content, equal only for equal bytes and metadata: `"abc"` as in HTTP, or `W/"abc"`. A
    /// plugin may return the bare text; callers of the host get it in quotes.
    pub etag: Option<String>,
    /// Opaque name of this version, where the store keeps versions.
    pub version: Option<String>,
    /// When it became visible.
    pub last_modified: Option<SystemTime>,
    /// Digests; the host adds CRC-32C.
    pub checksums: Checksums,
    /// Where it can be read without a signature.
    pub url: Option<String>,
}

impl Uploaded {
    /// An object of this size was stored.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }

    /// Sets the etag.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<Option<String>>) -> Self {
        self.etag = etag.into();
        self
    }

    /// Sets the version.
    #[must_use]
    pub fn version(mut self, version: impl Into<Option<String>>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets when the object became visible.
    #[must_use]
    pub fn last_modified(mut self, last_modified: impl Into<Option<SystemTime>>) -> Self {
        self.last_modified = last_modified.into();
        self
    }

    /// Sets the digests.
    #[must_use]
    pub fn checksums(mut self, checksums: Checksums) -> Self {
        self.checksums = checksums;
        self
    }

    /// Sets the URL that needs no signature.
    #[must_use]
    pub fn url(mut self, url: impl Into<Option<String>>) -> Self {
        self.url = url.into();
        self
    }
}

/// Facts about an object.
///
/// ```
/// use holdall_plugin_api::ObjectInfo;
///
/// let info = ObjectInfo::new(5)
///     .content_type("text/plain".to_owned())
///     .metadata([("author".to_owned(), "Ada".to_owned())]);
/// assert_eq!(info.metadata.len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Size, in bytes.
    pub size: u64,
    /// Name of the content, as in [`Uploaded::etag`].
    pub etag: Option<String>,
    /// Opaque name of this version.
    pub version: Option<String>,
    /// When it became visible.
    pub last_modified: Option<SystemTime>,
    /// MIME type, as given at upload.
    pub content_type: Option<String>,
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// User metadata, by name.
    pub metadata: Vec<(String, String)>,
    /// Digests that the store keeps.
    pub checksums: Checksums,
    /// Where it can be read without a signature.
    pub url: Option<String>,
    /// Class, tags and encryption, where the store tells.
    pub provider: Option<Box<ProviderFacts>>,
}

/// What a store says of an object beyond what all stores know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderFacts {
    /// Class of storage, by the store's own name.
    pub storage_class: Option<String>,
    /// Tags; `None` when the store did not tell, which it does for a head that asks
    /// ([`Head::with_tags`](crate::Head::with_tags)).
    pub tags: Option<Vec<(String, String)>>,
    /// Whether, and how, the store encrypts it.
    pub encryption: Option<Encrypted>,
}

/// How a store has encrypted an object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encrypted {
    /// With keys of the store.
    Managed,
    /// With this key of the store's key service, by its name there; empty when the store does not tell which.
    Key(String),
}

impl ProviderFacts {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the class of storage.
    #[must_use]
    pub fn storage_class(mut self, class: impl Into<Option<String>>) -> Self {
        self.storage_class = class.into();
        self
    }

    /// Sets the tags.
    #[must_use]
    pub fn tags(mut self, tags: impl Into<Option<Vec<(String, String)>>>) -> Self {
        self.tags = tags.into();
        self
    }

    /// Sets the encryption.
    #[must_use]
    pub fn encryption(mut self, encryption: impl Into<Option<Encrypted>>) -> Self {
        self.encryption = encryption.into();
        self
    }
}

impl ObjectInfo {
    /// An object of this size, nothing else known.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }

    /// Sets the etag.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<Option<String>>) -> Self {
        self.etag = etag.into();
        self
    }

    /// Sets the version.
    #[must_use]
    pub fn version(mut self, version: impl Into<Option<String>>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets when the object became visible.
    #[must_use]
    pub fn last_modified(mut self, last_modified: impl Into<Option<SystemTime>>) -> Self {
        self.last_modified = last_modified.into();
        self
    }

    /// Sets the MIME type.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<Option<String>>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// Sets `Cache-Control`.
    #[must_use]
    pub fn cache_control(mut self, cache_control: impl Into<Option<String>>) -> Self {
        self.cache_control = cache_control.into();
        self
    }

    /// Sets `Content-Disposition`.
    #[must_use]
    pub fn content_disposition(mut self, content_disposition: impl Into<Option<String>>) -> Self {
        self.content_disposition = content_disposition.into();
        self
    }

    /// Sets `Content-Encoding`.
    #[must_use]
    pub fn content_encoding(mut self, content_encoding: impl Into<Option<String>>) -> Self {
        self.content_encoding = content_encoding.into();
        self
    }

    /// Sets `Content-Language`.
    #[must_use]
    pub fn content_language(mut self, content_language: impl Into<Option<String>>) -> Self {
        self.content_language = content_language.into();
        self
    }

    /// Sets the user metadata.
    #[must_use]
    pub fn metadata(mut self, metadata: impl IntoIterator<Item = (String, String)>) -> Self {
        self.metadata = metadata.into_iter().collect();
        self
    }

    /// Sets the digests.
    #[must_use]
    pub fn checksums(mut self, checksums: Checksums) -> Self {
        self.checksums = checksums;
        self
    }

    /// Sets the URL that needs no signature.
    #[must_use]
    pub fn url(mut self, url: impl Into<Option<String>>) -> Self {
        self.url = url.into();
        self
    }

    /// Sets class, tags and encryption.
    #[must_use]
    pub fn provider(mut self, provider: ProviderFacts) -> Self {
        self.provider = (provider != ProviderFacts::default()).then(|| Box::new(provider));
        self
    }

    /// The class of storage, where the store tells.
    pub fn storage_class(&self) -> Option<&str> {
        self.provider.as_ref()?.storage_class.as_deref()
    }

    /// The tags, where the store tells.
    pub fn tags(&self) -> Option<&[(String, String)]> {
        self.provider.as_ref()?.tags.as_deref()
    }

    /// The encryption, where the store tells.
    pub fn encryption(&self) -> Option<&Encrypted> {
        self.provider.as_ref()?.encryption.as_ref()
    }
}

/// An object's bytes, with facts of the same version.
///
/// ```
/// # fn block_on<F: Future>(future: F) -> F::Output { futures_util::FutureExt::now_or_never(future).unwrap() }
/// use holdall_plugin_api::{Body, Downloaded, ErrorKind, ObjectInfo};
///
/// # let downloaded = || Downloaded::new(ObjectInfo::new(5), 0..5, Body::from("hello"));
/// # block_on(async {
/// assert_eq!(downloaded().bytes().await?, "hello");
/// assert_eq!(downloaded().text().await?, "hello");
///
/// let refused = downloaded().bytes_up_to(4).await.unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::TooLarge);
/// # Ok::<(), holdall_plugin_api::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Downloaded {
    /// Facts about the object.
    pub info: ObjectInfo,
    /// Which bytes `body` yields: `0..info.size` for a whole read.
    pub range: Range<u64>,
    /// The bytes.
    pub body: Body,
}

impl Downloaded {
    /// The bytes `range` of the object.
    pub fn new(info: ObjectInfo, range: Range<u64>, body: Body) -> Self {
        Self { info, range, body }
    }

    /// Largest object that [`bytes`](Self::bytes) and [`text`](Self::text) read, in bytes: 64 MiB.
    pub const DEFAULT_LIMIT: usize = 64 << 20;

    /// All bytes of the range, in memory.
    ///
    /// # Errors
    ///
    /// `TooLarge` above [`DEFAULT_LIMIT`](Self::DEFAULT_LIMIT), or the body's own.
    pub async fn bytes(self) -> Result<Bytes> {
        self.bytes_up_to(Self::DEFAULT_LIMIT).await
    }

    /// All bytes of the range, in memory, if there are at most `limit`.
    ///
    /// # Errors
    ///
    /// `TooLarge` above `limit`, before anything is read; or the body's own.
    pub async fn bytes_up_to(self, limit: usize) -> Result<Bytes> {
        let size = self.range.end.saturating_sub(self.range.start);
        if size > limit as u64 {
            return Err(Error::new(ErrorKind::TooLarge)
                .with_fact("limit", limit)
                .with_fact("size", size));
        }
        if !self.body.reads_into() {
            return self.body.collect(limit).await;
        }
        // Without a copy between: at once as much memory as the limit allows.
        let (mut body, mut all, mut filled) = (self.body, vec![0; size as usize], 0);
        while filled < all.len() {
            match body.read_into(&mut all[filled..]).await? {
                0 => break,
                count => filled += count,
            }
        }
        all.truncate(filled);
        // The end, and what a body has that is longer than announced.
        all.extend_from_slice(&body.collect(limit).await?);
        Ok(all.into())
    }

    /// All bytes of the range, as text.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), or `Other` if they are not UTF-8.
    pub async fn text(self) -> Result<String> {
        let bytes = self.bytes().await?;
        String::from_utf8(bytes.into()).map_err(|cause| {
            Error::new(ErrorKind::Other)
                .with_message("the object is not UTF-8 text")
                .because(cause)
        })
    }
}

/// Answer of a delete.
///
/// ```
/// use holdall_plugin_api::Deleted;
///
/// let deleted = Deleted::new(Some(true)).version("3".to_owned());
/// assert_eq!(deleted.existed, Some(true));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// Whether it was there, if the store tells.
    pub existed: Option<bool>,
    /// The version that was removed, or the delete marker that was made.
    pub version: Option<String>,
    /// Whether a delete marker was made, or was what was removed.
    pub marker: bool,
}

impl Deleted {
    /// The object is gone; `existed` says whether it was there, if the store tells.
    pub fn new(existed: Option<bool>) -> Self {
        Self {
            existed,
            version: None,
            marker: false,
        }
    }

    /// Sets whether a delete marker was made, or was what was removed.
    #[must_use]
    pub fn marker(mut self, marker: bool) -> Self {
        self.marker = marker;
        self
    }

    /// Sets the version.
    #[must_use]
    pub fn version(mut self, version: impl Into<Option<String>>) -> Self {
        self.version = version.into();
        self
    }
}

/// One object of a listing.
///
/// ```
/// use holdall_plugin_api::Entry;
///
/// let entry = Entry::new("a.txt", 5).etag("\"7\"".to_owned());
/// assert_eq!(entry.key, "a.txt");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Key of the object.
    pub key: String,
    /// Size, in bytes.
    pub size: u64,
    /// Name of its content, as in [`Uploaded::etag`].
    pub etag: Option<String>,
    /// When it became visible.
    pub last_modified: Option<SystemTime>,
}

impl Entry {
    /// An object of this name and size.
    pub fn new(key: impl Into<String>, size: u64) -> Self {
        Self {
            key: key.into(),
            size,
            ..Self::default()
        }
    }

    /// Sets the etag.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<Option<String>>) -> Self {
        self.etag = etag.into();
        self
    }

    /// Sets when the object became visible.
    #[must_use]
    pub fn last_modified(mut self, last_modified: impl Into<Option<SystemTime>>) -> Self {
        self.last_modified = last_modified.into();
        self
    }
}

/// A page of a listing.
///
/// ```
/// use holdall_plugin_api::{Entry, Page};
///
/// let page = Page::new([Entry::new("a.txt", 5)])
///     .common_prefixes(["logs/".to_owned()])
///     .next("token".to_owned());
/// assert_eq!((page.entries.len(), page.skipped), (1, 0));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The objects.
    pub entries: Vec<Entry>,
    /// Groups of keys, each with the delimiter at its end.
    pub common_prefixes: Vec<String>,
    /// Token of the next page; `None` ends the listing.
    pub next: Option<String>,
    /// Objects that were left out because their names are not portable.
    pub skipped: u64,
    /// Names of those among them that the host left out. A plugin only counts its own.
    pub skipped_keys: Vec<String>,
}

impl Page {
    /// A page of these objects, the last one.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self {
            entries: entries.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Sets the groups of keys.
    #[must_use]
    pub fn common_prefixes(mut self, common_prefixes: impl IntoIterator<Item = String>) -> Self {
        self.common_prefixes = common_prefixes.into_iter().collect();
        self
    }

    /// Sets the token of the next page.
    #[must_use]
    pub fn next(mut self, next: impl Into<Option<String>>) -> Self {
        self.next = next.into();
        self
    }

    /// Sets the number of objects that were left out.
    #[must_use]
    pub fn skipped(mut self, skipped: u64) -> Self {
        self.skipped = skipped;
        self
    }
}

/// Answer of a copy.
///
/// ```
/// use holdall_plugin_api::Copied;
///
/// let copied = Copied::new().size(5).etag("\"7\"".to_owned());
/// assert_eq!(copied.size, Some(5));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Copied {
    /// Size of the target, in bytes.
    pub size: Option<u64>,
    /// Opaque name of the target's content.
    pub etag: Option<String>,
    /// When it became visible.
    pub last_modified: Option<SystemTime>,
    /// The version that was made, where the store keeps versions.
    pub version: Option<String>,
    /// The version of the source that was copied, where the store keeps versions.
    pub source_version: Option<String>,
}

impl Copied {
    /// A copy was made; nothing is known about it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the size of the target, in bytes.
    #[must_use]
    pub fn size(mut self, size: impl Into<Option<u64>>) -> Self {
        self.size = size.into();
        self
    }

    /// Sets the etag.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<Option<String>>) -> Self {
        self.etag = etag.into();
        self
    }

    /// Sets when the object became visible.
    #[must_use]
    pub fn last_modified(mut self, last_modified: impl Into<Option<SystemTime>>) -> Self {
        self.last_modified = last_modified.into();
        self
    }

    /// Sets the version that was made.
    #[must_use]
    pub fn version(mut self, version: impl Into<Option<String>>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets the version of the source.
    #[must_use]
    pub fn source_version(mut self, version: impl Into<Option<String>>) -> Self {
        self.source_version = version.into();
        self
    }
}

/// Answer of a rename.
///
/// ```
/// use holdall_plugin_api::Renamed;
///
/// let renamed = Renamed::new(true).etag("\"7\"".to_owned());
/// assert!(renamed.atomic);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Renamed {
    /// Whether it happened in one step.
    pub atomic: bool,
    /// Opaque name of the target's content.
    pub etag: Option<String>,
}

impl Renamed {
    /// Renamed in one step, or by copy and delete.
    pub fn new(atomic: bool) -> Self {
        Self { atomic, etag: None }
    }

    /// Sets the etag.
    #[must_use]
    pub fn etag(mut self, etag: impl Into<Option<String>>) -> Self {
        self.etag = etag.into();
        self
    }
}

/// A URL that works without credentials. Its `Debug` does not show the signature.
///
/// ```
/// use holdall_plugin_api::SignedUrl;
/// use std::time::{Duration, SystemTime};
///
/// let expires_at = SystemTime::now() + Duration::from_secs(600);
/// let url = SignedUrl::new("https://example.org/a?sig=5", expires_at)
///     .headers([("content-type".to_owned(), "image/jpeg".to_owned())]);
/// assert!(!format!("{url:?}").contains("sig=5"));
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SignedUrl {
    /// The URL, percent-encoded.
    pub url: String,
    /// Headers that the request must carry.
    pub headers: Vec<(String, String)>,
    /// When it stops working, which may be earlier than requested.
    pub expires_at: SystemTime,
}

impl SignedUrl {
    /// A URL and the time at which it stops working.
    pub fn new(url: impl Into<String>, expires_at: SystemTime) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            expires_at,
        }
    }

    /// Sets the headers that the request must carry.
    #[must_use]
    pub fn headers(mut self, headers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.headers = headers.into_iter().collect();
        self
    }
}

impl std::fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("SignedUrl")
            .field("url", &format_args!("{shown}?[signature]"))
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Answer of a request for a signed URL.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Signing {
    /// The URL, signed by the backend.
    Url(SignedUrl),
    /// The backend does not sign: the host's gateway signs and serves.
    AtGateway,
}

/// State of a store.
///
/// ```
/// use holdall_plugin_api::Health;
///
/// assert!(Health::up().healthy);
/// assert_eq!(Health::down("disk is read-only").message, "disk is read-only");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether operations can be expected to work.
    pub healthy: bool,
    /// One line for operators; no secret.
    pub message: String,
}

impl Health {
    /// Operations can be expected to work.
    pub fn up() -> Self {
        Self {
            healthy: true,
            message: String::new(),
        }
    }

    /// Operations can be expected to fail.
    pub fn down(message: impl Into<String>) -> Self {
        Self {
            healthy: false,
            message: message.into(),
        }
    }
}

/// Space of a store, in bytes, as far as it is known.
///
/// ```
/// use holdall_plugin_api::Usage;
///
/// let usage = Usage::new().used(40).free(60).total(100);
/// assert_eq!(usage.objects, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Bytes used.
    pub used: Option<u64>,
    /// Bytes free.
    pub free: Option<u64>,
    /// Total capacity, in bytes.
    pub total: Option<u64>,
    /// Number of objects.
    pub objects: Option<u64>,
}

impl Usage {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the bytes used.
    #[must_use]
    pub fn used(mut self, used: impl Into<Option<u64>>) -> Self {
        self.used = used.into();
        self
    }

    /// Sets the bytes free.
    #[must_use]
    pub fn free(mut self, free: impl Into<Option<u64>>) -> Self {
        self.free = free.into();
        self
    }

    /// Sets the total capacity, in bytes.
    #[must_use]
    pub fn total(mut self, total: impl Into<Option<u64>>) -> Self {
        self.total = total.into();
        self
    }

    /// Sets the number of objects.
    #[must_use]
    pub fn objects(mut self, objects: impl Into<Option<u64>>) -> Self {
        self.objects = objects.into();
        self
    }
}

/// What an opened instance can do: at most what the descriptor says.
///
/// ```
/// use holdall_plugin_api::{Instance, Limits, Operations};
///
/// let instance = Instance::new("s3://photos/2026")
///     .operations(Operations::ALL.without(Operations::copy))
///     .limits(Limits::new().max_object_size(5 << 40));
/// assert_eq!(instance.limits.max_page, 1000);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Instance {
    /// What it serves beside the required ones, as far as the plugin declares it:
    /// `Operations::ALL.without(Operations::copy)` for a store that cannot copy. `None`: all of it.
    pub operations: Option<Operations>,
    /// What it promises about them. `None`: all that the plugin declares.
    pub capabilities: Option<Capabilities>,
    /// Limits.
    pub limits: Limits,
    /// One line for status pages, such as `s3://bucket/prefix`; no secret.
    pub description: String,
}

impl Instance {
    /// All that the plugin declares, with the default limits.
    pub fn new(description: impl Into<String>) -> Self {
        Self {
            operations: None,
            capabilities: None,
            limits: Limits::default(),
            description: description.into(),
        }
    }

    /// Sets what it serves beside the required operations.
    #[must_use]
    pub fn operations(mut self, operations: impl Into<Option<Operations>>) -> Self {
        self.operations = operations.into();
        self
    }

    /// Sets what it promises.
    #[must_use]
    pub fn capabilities(mut self, capabilities: impl Into<Option<Capabilities>>) -> Self {
        self.capabilities = capabilities.into();
        self
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_not_shown() {
        let url = SignedUrl::new("https://x/y?sig=secret", SystemTime::UNIX_EPOCH);
        assert!(!format!("{url:?}").contains("secret"));
    }
}
