//! Requests: the arguments of the operations, the same types for authors and embedders.
//!
//! A request borrows its texts and owns its body. Options that most requests leave out sit behind one
//! optional box: a plain upload is three words and a body.
//!
//! Fields are public; the builder method of a field has its name.

use std::ops::{Range, RangeFrom, RangeInclusive, RangeTo, RangeToInclusive};
use std::time::{Duration, SystemTime};

use crate::{Body, Checksums, Key};
use bytes::Bytes;

/// Stores an object, data and metadata in one step.
///
/// ```
/// use holdall_plugin_api::{Durability, Upload};
///
/// let upload = Upload::new("docs/report.pdf", "%PDF-1.7")
///     .content_type("application/pdf")
///     .cache_control("max-age=3600")
///     .metadata("author", "Ada")
///     .create_only()
///     .durability(Durability::Full);
/// assert_eq!(upload.length, Some(8));
/// assert_eq!(upload.options().metadata, [("author", "Ada")]);
///
/// let plain: Upload = ("notes.txt", vec![1, 2, 3]).into();
/// assert_eq!(plain.key.text(), "notes.txt");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Upload<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// Content.
    pub body: Body,
    /// Size in bytes, if known. The host compares it with what the body yields.
    pub length: Option<u64>,
    options: Option<Box<UploadOptions<'a>>>,
}

/// The rarer part of an [`Upload`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UploadOptions<'a> {
    /// MIME type, kept exactly.
    pub content_type: Option<&'a str>,
    /// Headers that are kept and returned with the object.
    pub headers: Headers<'a>,
    /// User metadata: names `[a-z0-9-]`, values any text.
    pub metadata: Vec<(&'a str, &'a str)>,
    /// Fails with `PreconditionFailed` when the key exists.
    pub create_only: bool,
    /// Fails with `PreconditionFailed` unless the object has this etag. The host takes it with and without
    /// quotes; a plugin gets the form that it returns itself.
    pub if_match: Option<&'a str>,
    /// Digests of the body, which the host verifies.
    pub checksums: Checksums,
    /// How durable the object is when the upload returns; `None` is the backend's own setting.
    pub durability: Option<Durability>,
    /// Largest size of the body, in bytes. The host enforces it; plugins may ignore it.
    pub max_size: Option<u64>,
    /// Storage class, under the store's own name, such as `STANDARD_IA`. Needs `storage_class`.
    pub storage_class: Option<&'a str>,
    /// Tags: pairs of name and value that the store keeps with the object, at most 10. Needs `tags`.
    pub tags: Vec<(&'a str, &'a str)>,
    /// How the store encrypts the bytes; `None` is the setting of the store.
    pub encryption: Option<Encryption<'a>>,
}

/// How a store encrypts the bytes. Keys that the caller holds are not supported: every read would need them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption<'a> {
    /// With keys of the store. Needs `encryption_managed`.
    Managed,
    /// With this key of the store's key service: its id there. Needs `encryption_key_id`.
    Key(&'a str),
}

/// Headers of an object beside its content type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Headers<'a> {
    /// `Cache-Control`.
    pub cache_control: Option<&'a str>,
    /// `Content-Disposition`.
    pub content_disposition: Option<&'a str>,
    /// `Content-Encoding`; the bytes are stored and returned as given.
    pub content_encoding: Option<&'a str>,
    /// `Content-Language`.
    pub content_language: Option<&'a str>,
}

/// When an upload counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Durability {
    /// When readers see it; a power failure may lose it.
    None = 1,
    /// When the data is on the medium.
    Data = 2,
    /// When data and name are on the medium.
    Full = 3,
}

pub(crate) static NO_UPLOAD_OPTIONS: UploadOptions<'static> = UploadOptions {
    content_type: None,
    headers: Headers {
        cache_control: None,
        content_disposition: None,
        content_encoding: None,
        content_language: None,
    },
    metadata: Vec::new(),
    create_only: false,
    if_match: None,
    checksums: Checksums::NONE,
    durability: None,
    max_size: None,
    storage_class: None,
    tags: Vec::new(),
    encryption: None,
};

impl<'a> Upload<'a> {
    /// Stores `body` as `key`. A body of bytes knows its length.
    pub fn new<K: AsRef<Key> + ?Sized>(key: &'a K, body: impl Into<Body>) -> Self {
        let body = body.into();
        Self {
            key: key.as_ref(),
            length: body.known_length(),
            body,
            options: None,
        }
    }

    /// States the size in bytes.
    #[must_use]
    pub fn length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// Sets the MIME type.
    #[must_use]
    pub fn content_type(mut self, content_type: &'a str) -> Self {
        self.options_mut().content_type = Some(content_type);
        self
    }

    /// Sets `Cache-Control`.
    #[must_use]
    pub fn cache_control(mut self, value: &'a str) -> Self {
        self.options_mut().headers.cache_control = Some(value);
        self
    }

    /// Sets `Content-Disposition`; [`attachment`](crate::attachment) writes one for a file name.
    #[must_use]
    pub fn content_disposition(mut self, value: &'a str) -> Self {
        self.options_mut().headers.content_disposition = Some(value);
        self
    }

    /// Sets `Content-Encoding`. The bytes are stored as given.
    #[must_use]
    pub fn content_encoding(mut self, value: &'a str) -> Self {
        self.options_mut().headers.content_encoding = Some(value);
        self
    }

    /// Sets `Content-Language`.
    #[must_use]
    pub fn content_language(mut self, value: &'a str) -> Self {
        self.options_mut().headers.content_language = Some(value);
        self
    }

    /// Adds one pair of user metadata.
    #[must_use]
    pub fn metadata(mut self, name: &'a str, value: &'a str) -> Self {
        self.options_mut().metadata.push((name, value));
        self
    }

    /// Refuses to replace an object.
    #[must_use]
    pub fn create_only(mut self) -> Self {
        self.options_mut().create_only = true;
        self
    }

    /// Replaces only the object with this etag.
    #[must_use]
    pub fn if_match(mut self, etag: &'a str) -> Self {
        self.options_mut().if_match = Some(etag);
        self
    }

    /// States digests of the body, which the host verifies.
    #[must_use]
    pub fn checksums(mut self, checksums: Checksums) -> Self {
        self.options_mut().checksums = checksums;
        self
    }

    /// Sets how durable the object is when the upload returns.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.options_mut().durability = Some(durability);
        self
    }

    /// Bounds the size in bytes: a larger body is `TooLarge`, and nothing is stored.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.options_mut().max_size = Some(bytes);
        self
    }

    /// Sets the storage class, under the store's own name.
    #[must_use]
    pub fn storage_class(mut self, class: &'a str) -> Self {
        self.options_mut().storage_class = Some(class);
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, name: &'a str, value: &'a str) -> Self {
        self.options_mut().tags.push((name, value));
        self
    }

    /// Sets how the store encrypts the bytes.
    #[must_use]
    pub fn encryption(mut self, encryption: Encryption<'a>) -> Self {
        self.options_mut().encryption = Some(encryption);
        self
    }

    /// Replaces all options.
    #[must_use]
    pub fn with_options(mut self, options: Option<UploadOptions<'a>>) -> Self {
        self.options = options.map(Box::new);
        self
    }

    /// The options.
    pub fn options(&self) -> &UploadOptions<'a> {
        self.options.as_deref().unwrap_or(&NO_UPLOAD_OPTIONS)
    }

    /// The options, to change them in place.
    pub fn options_mut(&mut self) -> &mut UploadOptions<'a> {
        self.options.get_or_insert_default()
    }

    /// Whether no option was set.
    pub fn is_plain(&self) -> bool {
        self.options.is_none()
    }

    /// Key, body, length and options.
    pub fn into_parts(self) -> (&'a Key, Body, Option<u64>, UploadOptions<'a>) {
        let options = self.options.map(|options| *options).unwrap_or_default();
        (self.key, self.body, self.length, options)
    }

    /// As [`Upload::into_parts`], with the options as they are stored.
    pub(crate) fn into_raw_parts(
        self,
    ) -> (&'a Key, Body, Option<u64>, Option<Box<UploadOptions<'a>>>) {
        (self.key, self.body, self.length, self.options)
    }
}

/// Key and content.
impl<'a, K: AsRef<Key> + ?Sized, B: Into<Body>> From<(&'a K, B)> for Upload<'a> {
    fn from((key, body): (&'a K, B)) -> Self {
        Self::new(key, body)
    }
}

/// Which bytes of an object.
///
/// ```
/// use holdall_plugin_api::ByteRange;
///
/// assert_eq!(ByteRange::from(0..2), ByteRange::Bounded(0..2));
/// assert_eq!(ByteRange::from(0..=2), ByteRange::Bounded(0..3));
/// assert_eq!(ByteRange::from(..2), ByteRange::Bounded(0..2));
/// assert_eq!(ByteRange::from(100..), ByteRange::From(100));
/// assert_eq!(ByteRange::Last(10).within(100)?, 90..100);
/// # Ok::<(), holdall_plugin_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ByteRange {
    /// From start to end, end excluded. An end past the object is cut to its size.
    Bounded(Range<u64>),
    /// From here to the end.
    From(u64),
    /// The last so many bytes, the whole object when it is shorter.
    Last(u64),
}

impl ByteRange {
    /// The bytes of an object of this size.
    ///
    /// # Errors
    ///
    /// - `InvalidArgument`: an empty range, or one that ends before it starts.
    /// - `InvalidRange`: the start is at or past the size (so any range of an empty object).
    pub fn within(&self, size: u64) -> crate::Result<Range<u64>> {
        let range = match *self {
            ByteRange::Bounded(Range { start, end }) if start >= end => {
                return Err(crate::Error::invalid("a range has at least one byte"));
            }
            ByteRange::Last(0) => {
                return Err(crate::Error::invalid("a range has at least one byte"));
            }
            ByteRange::Bounded(Range { start, end }) => start..end.min(size),
            ByteRange::From(start) => start..size,
            ByteRange::Last(count) => size.saturating_sub(count)..size,
        };
        if range.start >= size {
            Err(crate::Error::invalid_range(size))
        } else {
            Ok(range)
        }
    }
}

impl From<Range<u64>> for ByteRange {
    fn from(range: Range<u64>) -> Self {
        Self::Bounded(range)
    }
}

impl From<RangeInclusive<u64>> for ByteRange {
    fn from(range: RangeInclusive<u64>) -> Self {
        let (start, last) = range.into_inner();
        Self::Bounded(start..last.saturating_add(1))
    }
}

impl From<RangeFrom<u64>> for ByteRange {
    fn from(range: RangeFrom<u64>) -> Self {
        Self::From(range.start)
    }
}

impl From<RangeTo<u64>> for ByteRange {
    fn from(range: RangeTo<u64>) -> Self {
        Self::Bounded(0..range.end)
    }
}

impl From<RangeToInclusive<u64>> for ByteRange {
    fn from(range: RangeToInclusive<u64>) -> Self {
        Self::Bounded(0..range.end.saturating_add(1))
    }
}

/// Reads an object or a part of it.
///
/// ```
/// use holdall_plugin_api::{ByteRange, Download};
///
/// let part = Download::new("video.mp4").range(0..1024).if_match("\"7\"");
/// assert_eq!(part.range, Some(ByteRange::Bounded(0..1024)));
/// assert_eq!(part.options().if_match, Some("\"7\""));
///
/// let whole: Download = "video.mp4".into();
/// assert!(whole.range.is_none());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Download<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// Which bytes; `None` is the whole object.
    pub range: Option<ByteRange>,
    /// The size of chunks that suits the caller: 64 KiB to 1 MiB. No chunk is larger than 1 MiB.
    pub chunk_hint: u32,
    /// Whether the caller takes bytes that were not compared with the stored checksum. Of the host's own: a plugin is not
    /// told.
    pub unverified: bool,
    options: Option<Box<ReadOptions<'a>>>,
}

/// Asks for the facts about an object.
///
/// ```
/// use holdall_plugin_api::Head;
///
/// let head = Head::new("video.mp4").if_none_match("\"7\"");
/// assert_eq!(head.options().if_none_match, Some("\"7\""));
///
/// let plain: Head = "video.mp4".into();
/// assert!(plain.is_plain());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Head<'a> {
    /// Key of the object.
    pub key: &'a Key,
    options: Option<Box<ReadOptions<'a>>>,
}

/// Conditions of a [`Download`] or [`Head`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ReadOptions<'a> {
    /// `PreconditionFailed` unless the object has this etag; `*` is any.
    pub if_match: Option<&'a str>,
    /// `NotModified` when the object has this etag.
    pub if_none_match: Option<&'a str>,
    /// `NotModified` unless changed after this time, in whole seconds.
    pub if_modified_since: Option<SystemTime>,
    /// `PreconditionFailed` when changed after this time, in whole seconds.
    pub if_unmodified_since: Option<SystemTime>,
    /// The version to select; `None` is the current one.
    pub version: Option<&'a str>,
    /// Asks for [`ProviderFacts::tags`](crate::ProviderFacts::tags) too. Some stores need one more request for them.
    pub with_tags: bool,
}

pub(crate) static NO_READ_OPTIONS: ReadOptions<'static> = ReadOptions {
    if_match: None,
    if_none_match: None,
    if_modified_since: None,
    if_unmodified_since: None,
    version: None,
    with_tags: false,
};

/// Smallest useful chunk, in bytes.
pub const MIN_CHUNK: u32 = 64 << 10;
/// Largest chunk, in bytes.
pub const MAX_CHUNK: u32 = 1 << 20;

impl<'a> Download<'a> {
    /// Reads the whole object.
    pub fn new<K: AsRef<Key> + ?Sized>(key: &'a K) -> Self {
        Self {
            key: key.as_ref(),
            range: None,
            chunk_hint: MAX_CHUNK,
            unverified: false,
            options: None,
        }
    }

    /// Reads a part: `0..2`, `0..=1`, `..2`, `100..` or a [`ByteRange`].
    #[must_use]
    pub fn range(mut self, range: impl Into<ByteRange>) -> Self {
        self.range = Some(range.into());
        self
    }

    /// Asks for chunks of about this many bytes; brought into 64 KiB to 1 MiB.
    #[must_use]
    pub fn chunk_hint(mut self, bytes: u32) -> Self {
        self.chunk_hint = bytes.clamp(MIN_CHUNK, MAX_CHUNK);
        self
    }

    /// Takes bytes that were not compared with the stored checksum. A backend that keeps plain files then lends the file
    /// ([`Body::file`](crate::Body::file)), and the host reads it without the plugin; from any other the bytes come as
    /// always, without the comparison.
    #[must_use]
    pub fn unverified(mut self) -> Self {
        self.unverified = true;
        self
    }

    /// Requires this etag; `*` is any.
    #[must_use]
    pub fn if_match(mut self, etag: &'a str) -> Self {
        self.options_mut().if_match = Some(etag);
        self
    }

    /// Answers `NotModified` when the object has this etag.
    #[must_use]
    pub fn if_none_match(mut self, etag: &'a str) -> Self {
        self.options_mut().if_none_match = Some(etag);
        self
    }

    /// Answers `NotModified` unless the object changed after this time, in whole seconds.
    #[must_use]
    pub fn if_modified_since(mut self, time: SystemTime) -> Self {
        self.options_mut().if_modified_since = Some(time);
        self
    }

    /// Requires that the object did not change after this time, in whole seconds.
    #[must_use]
    pub fn if_unmodified_since(mut self, time: SystemTime) -> Self {
        self.options_mut().if_unmodified_since = Some(time);
        self
    }

    /// Selects this version.
    #[must_use]
    pub fn version(mut self, version: &'a str) -> Self {
        self.options_mut().version = Some(version);
        self
    }

    /// Replaces all conditions.
    #[must_use]
    pub fn with_options(mut self, options: Option<ReadOptions<'a>>) -> Self {
        self.options = options.map(Box::new);
        self
    }

    /// The conditions.
    pub fn options(&self) -> &ReadOptions<'a> {
        self.options.as_deref().unwrap_or(&NO_READ_OPTIONS)
    }

    /// The conditions, to change them in place.
    pub fn options_mut(&mut self) -> &mut ReadOptions<'a> {
        self.options.get_or_insert_default()
    }

    /// Whether no condition was set.
    pub fn is_plain(&self) -> bool {
        self.options.is_none()
    }
}

/// The whole object.
impl<'a, K: AsRef<Key> + ?Sized> From<&'a K> for Download<'a> {
    fn from(key: &'a K) -> Self {
        Self::new(key)
    }
}

impl<'a> Head<'a> {
    /// Facts about this object.
    pub fn new<K: AsRef<Key> + ?Sized>(key: &'a K) -> Self {
        Self {
            key: key.as_ref(),
            options: None,
        }
    }

    /// Requires this etag; `*` is any.
    #[must_use]
    pub fn if_match(mut self, etag: &'a str) -> Self {
        self.options_mut().if_match = Some(etag);
        self
    }

    /// Answers `NotModified` when the object has this etag.
    #[must_use]
    pub fn if_none_match(mut self, etag: &'a str) -> Self {
        self.options_mut().if_none_match = Some(etag);
        self
    }

    /// Answers `NotModified` unless the object changed after this time, in whole seconds.
    #[must_use]
    pub fn if_modified_since(mut self, time: SystemTime) -> Self {
        self.options_mut().if_modified_since = Some(time);
        self
    }

    /// Requires that the object did not change after this time, in whole seconds.
    #[must_use]
    pub fn if_unmodified_since(mut self, time: SystemTime) -> Self {
        self.options_mut().if_unmodified_since = Some(time);
        self
    }

    /// Selects this version.
    #[must_use]
    pub fn version(mut self, version: &'a str) -> Self {
        self.options_mut().version = Some(version);
        self
    }

    /// Asks for the tags too.
    #[must_use]
    pub fn with_tags(mut self) -> Self {
        self.options_mut().with_tags = true;
        self
    }

    /// Replaces all conditions.
    #[must_use]
    pub fn with_options(mut self, options: Option<ReadOptions<'a>>) -> Self {
        self.options = options.map(Box::new);
        self
    }

    /// The conditions.
    pub fn options(&self) -> &ReadOptions<'a> {
        self.options.as_deref().unwrap_or(&NO_READ_OPTIONS)
    }

    /// The conditions, to change them in place.
    pub fn options_mut(&mut self) -> &mut ReadOptions<'a> {
        self.options.get_or_insert_default()
    }

    /// Whether no condition was set.
    pub fn is_plain(&self) -> bool {
        self.options.is_none()
    }
}

/// The current version, without conditions.
impl<'a, K: AsRef<Key> + ?Sized> From<&'a K> for Head<'a> {
    fn from(key: &'a K) -> Self {
        Self::new(key)
    }
}

/// Removes an object.
///
/// ```
/// use holdall_plugin_api::Delete;
///
/// let delete = Delete::new("old.log").must_exist().if_match("\"7\"");
/// assert!(delete.must_exist);
///
/// let plain: Delete = "old.log".into();
/// assert!(!plain.must_exist);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Delete<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// A missing key is `FileNotFound` instead of success. A plugin sees it if it claims `exact_delete`;
    /// for others the host looks first.
    pub must_exist: bool,
    /// `PreconditionFailed` unless the object has this etag.
    pub if_match: Option<&'a str>,
    /// The version to select; `None` is the current one.
    pub version: Option<&'a str>,
}

impl<'a> Delete<'a> {
    /// Removes this object; a missing one is fine.
    pub fn new<K: AsRef<Key> + ?Sized>(key: &'a K) -> Self {
        Self {
            key: key.as_ref(),
            must_exist: false,
            if_match: None,
            version: None,
        }
    }

    /// Makes a missing key an error.
    #[must_use]
    pub fn must_exist(mut self) -> Self {
        self.must_exist = true;
        self
    }

    /// Removes only the object with this etag.
    #[must_use]
    pub fn if_match(mut self, etag: &'a str) -> Self {
        self.if_match = Some(etag);
        self
    }

    /// Removes this version, which need not be the current one.
    #[must_use]
    pub fn version(mut self, version: &'a str) -> Self {
        self.version = Some(version);
        self
    }
}

/// A missing key is fine.
impl<'a, K: AsRef<Key> + ?Sized> From<&'a K> for Delete<'a> {
    fn from(key: &'a K) -> Self {
        Self::new(key)
    }
}

/// Removes many objects; one answer for each, in order.
///
/// ```
/// use holdall_plugin_api::DeleteMany;
///
/// let delete = DeleteMany::new(["a", "b"]);
/// assert_eq!(delete.keys.len(), 2);
/// let keys = vec![String::from("a")];
/// assert_eq!(DeleteMany::from(keys.as_slice()).keys[0].text(), "a");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeleteMany<'a> {
    /// Keys of the objects.
    pub keys: Vec<&'a Key>,
    /// A version for each key, `None` for the current one. An empty list stands for `None` everywhere. Needs
    /// `delete_many_versions`.
    pub versions: Vec<Option<&'a str>>,
}

impl<'a> DeleteMany<'a> {
    /// Removes these objects; missing ones are fine.
    pub fn new<K: AsRef<Key> + ?Sized + 'a>(keys: impl IntoIterator<Item = &'a K>) -> Self {
        Self {
            keys: keys.into_iter().map(AsRef::as_ref).collect(),
            versions: Vec::new(),
        }
    }

    /// Removes these versions.
    pub fn of_versions<K: AsRef<Key> + ?Sized + 'a>(
        versions: impl IntoIterator<Item = (&'a K, Option<&'a str>)>,
    ) -> Self {
        let (keys, versions) = versions
            .into_iter()
            .map(|(key, version)| (key.as_ref(), version))
            .unzip();
        Self { keys, versions }
    }
}

/// Missing keys are fine.
impl<'a, K: AsRef<Key>> From<&'a [K]> for DeleteMany<'a> {
    fn from(keys: &'a [K]) -> Self {
        Self::new(keys)
    }
}

/// Asks for a page of keys.
///
/// ```
/// use holdall_plugin_api::List;
///
/// let list = List::new("logs/").delimiter("/").limit(100).start_after("logs/2025");
/// assert_eq!((list.prefix, list.limit), ("logs/", 100));
/// let next = list.page_token(Some("token of the page before"));
/// assert!(next.page_token.is_some());
///
/// let all: List = "".into();
/// assert_eq!(all.limit, 1000);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct List<'a> {
    /// String prefix, not a folder: `foo` also matches `foobar`.
    pub prefix: &'a str,
    /// Keys that have this after the prefix are grouped into common prefixes.
    pub delimiter: Option<&'a str>,
    /// Largest number of entries and common prefixes together, 1 to 1000.
    pub limit: u32,
    /// `next` of the page before.
    pub page_token: Option<&'a str>,
    /// Only keys after this one.
    pub start_after: Option<&'a str>,
}

impl<'a> List<'a> {
    /// The first page of up to 1000 keys with this prefix.
    pub fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            delimiter: None,
            limit: 1000,
            page_token: None,
            start_after: None,
        }
    }

    /// Groups keys by this, usually `/`.
    #[must_use]
    pub fn delimiter(mut self, delimiter: &'a str) -> Self {
        self.delimiter = Some(delimiter);
        self
    }

    /// Asks for at most so many.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Continues after an earlier page: its `next`.
    #[must_use]
    pub fn page_token(mut self, token: Option<&'a str>) -> Self {
        self.page_token = token;
        self
    }

    /// Starts after this key.
    #[must_use]
    pub fn start_after(mut self, key: &'a str) -> Self {
        self.start_after = Some(key);
        self
    }
}

/// The first page of keys with this prefix.
impl<'a, P: AsRef<str> + ?Sized> From<&'a P> for List<'a> {
    fn from(prefix: &'a P) -> Self {
        Self::new(prefix.as_ref())
    }
}

/// Copies an object inside the backend, with content type and metadata.
///
/// ```
/// use holdall_plugin_api::CopyObject;
///
/// let copy = CopyObject::new("draft.txt", "final.txt").create_only();
/// assert!(copy.create_only);
///
/// let plain: CopyObject = ("draft.txt", "final.txt").into();
/// assert_eq!(plain.to.text(), "final.txt");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CopyObject<'a> {
    /// The source.
    pub from: &'a Key,
    /// The target.
    pub to: &'a Key,
    /// Refuses to replace an object.
    pub create_only: bool,
    options: Option<Box<CopyOptions<'a>>>,
}

/// The rarer part of a [`CopyObject`]. Each option has a capability. Where the plugin does not claim it, the host reads
/// the object and writes the copy itself, except for a copy of an object onto itself, which is `Unsupported`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CopyOptions<'a> {
    /// `PreconditionFailed` unless the target exists and has this etag. Capability `copy_if_match`.
    pub if_match: Option<&'a str>,
    /// `PreconditionFailed` unless the source has this etag. Capability `copy_source_conditions`.
    pub source_if_match: Option<&'a str>,
    /// `PreconditionFailed` when the source has this etag. Capability `copy_source_conditions`.
    pub source_if_none_match: Option<&'a str>,
    /// The version of the source; `None` is the current one. Capability `copy_source_version`.
    pub source_version: Option<&'a str>,
    /// Content type, headers, metadata, tags and storage class of the target, in place of those of the source.
    /// Conditions and checksums in it are refused. Capability `copy_replace_metadata`.
    pub replace: Option<UploadOptions<'a>>,
}

static NO_COPY_OPTIONS: CopyOptions<'static> = CopyOptions {
    if_match: None,
    source_if_match: None,
    source_if_none_match: None,
    source_version: None,
    replace: None,
};

impl<'a> CopyObject<'a> {
    /// Copies `from` to `to`.
    pub fn new<F: AsRef<Key> + ?Sized, T: AsRef<Key> + ?Sized>(from: &'a F, to: &'a T) -> Self {
        Self {
            from: from.as_ref(),
            to: to.as_ref(),
            create_only: false,
            options: None,
        }
    }

    /// Refuses to replace an object.
    #[must_use]
    pub fn create_only(mut self) -> Self {
        self.create_only = true;
        self
    }

    /// Requires this etag of the target.
    #[must_use]
    pub fn if_match(mut self, etag: &'a str) -> Self {
        self.options_mut().if_match = Some(etag);
        self
    }

    /// Requires this etag of the source.
    #[must_use]
    pub fn source_if_match(mut self, etag: &'a str) -> Self {
        self.options_mut().source_if_match = Some(etag);
        self
    }

    /// Requires that the source has another etag than this.
    #[must_use]
    pub fn source_if_none_match(mut self, etag: &'a str) -> Self {
        self.options_mut().source_if_none_match = Some(etag);
        self
    }

    /// Copies this version of the source.
    #[must_use]
    pub fn source_version(mut self, version: &'a str) -> Self {
        self.options_mut().source_version = Some(version);
        self
    }

    /// Gives the target this content type, these headers and this metadata in place of those of the source.
    #[must_use]
    pub fn replace(mut self, options: UploadOptions<'a>) -> Self {
        self.options_mut().replace = Some(options);
        self
    }

    /// Replaces all options but `create_only`.
    #[must_use]
    pub fn with_options(mut self, options: Option<CopyOptions<'a>>) -> Self {
        self.options = options.map(Box::new);
        self
    }

    /// The options.
    pub fn options(&self) -> &CopyOptions<'a> {
        self.options.as_deref().unwrap_or(&NO_COPY_OPTIONS)
    }

    /// The options, to change them in place.
    pub fn options_mut(&mut self) -> &mut CopyOptions<'a> {
        self.options.get_or_insert_default()
    }

    /// Whether no option but `create_only` was set.
    pub fn is_plain(&self) -> bool {
        self.options.is_none()
    }
}

/// Source and target.
impl<'a, F: AsRef<Key> + ?Sized, T: AsRef<Key> + ?Sized> From<(&'a F, &'a T)> for CopyObject<'a> {
    fn from((from, to): (&'a F, &'a T)) -> Self {
        Self::new(from, to)
    }
}

/// Renames an object inside the backend.
///
/// ```
/// use holdall_plugin_api::Rename;
///
/// let rename: Rename = ("draft.txt", "final.txt").into();
/// assert_eq!(rename.from.text(), "draft.txt");
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Rename<'a> {
    /// The old name.
    pub from: &'a Key,
    /// The new name.
    pub to: &'a Key,
}

impl<'a> Rename<'a> {
    /// Renames `from` to `to`.
    pub fn new<F: AsRef<Key> + ?Sized, T: AsRef<Key> + ?Sized>(from: &'a F, to: &'a T) -> Self {
        Self {
            from: from.as_ref(),
            to: to.as_ref(),
        }
    }
}

/// The old and the new key.
impl<'a, F: AsRef<Key> + ?Sized, T: AsRef<Key> + ?Sized> From<(&'a F, &'a T)> for Rename<'a> {
    fn from((from, to): (&'a F, &'a T)) -> Self {
        Self::new(from, to)
    }
}

/// HTTP method that a signed URL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Method {
    /// Reads.
    Get = 1,
    /// Writes.
    Put = 2,
    /// Reads the facts.
    Head = 3,
    /// Removes.
    Delete = 4,
}

impl Method {
    /// The name in HTTP, such as `GET`.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Head => "HEAD",
            Method::Delete => "DELETE",
        }
    }
}

/// Makes a URL that works without credentials.
///
/// ```
/// use holdall_plugin_api::{Method, SignUrl};
/// use std::time::Duration;
///
/// let sign = SignUrl::new(Method::Put, "inbox/photo.jpg", Duration::from_secs(600))
///     .content_type("image/jpeg")
///     .max_size(5 << 20);
/// assert_eq!(sign.max_size, Some(5 << 20));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignUrl<'a> {
    /// The object; it need not exist.
    pub key: &'a Key,
    /// The only method that the URL allows.
    pub method: Method,
    /// Validity: 1 s to 7 d, or less where the backend says so.
    pub expires_in: Duration,
    /// PUT: the only content type that is accepted.
    pub content_type: Option<&'a str>,
    /// PUT: largest accepted size, in bytes.
    pub max_size: Option<u64>,
    /// PUT: the digests that the body must have.
    pub checksums: Checksums,
    /// GET: the file name that a browser saves as.
    pub download_name: Option<&'a str>,
    /// GET: the content type of the answer.
    pub response_content_type: Option<&'a str>,
    /// A missing key is `FileNotFound` now instead of 404 later. The host checks before it calls a plugin.
    pub must_exist: bool,
}

impl<'a> SignUrl<'a> {
    /// A URL for this method and time.
    pub fn new<K: AsRef<Key> + ?Sized>(method: Method, key: &'a K, expires_in: Duration) -> Self {
        Self {
            key: key.as_ref(),
            method,
            expires_in,
            content_type: None,
            max_size: None,
            checksums: Checksums::NONE,
            download_name: None,
            response_content_type: None,
            must_exist: false,
        }
    }

    /// PUT: the only content type that is accepted.
    #[must_use]
    pub fn content_type(mut self, content_type: &'a str) -> Self {
        self.content_type = Some(content_type);
        self
    }

    /// PUT: largest accepted size, in bytes.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = Some(bytes);
        self
    }

    /// PUT: digests that the body must have.
    #[must_use]
    pub fn checksums(mut self, checksums: Checksums) -> Self {
        self.checksums = checksums;
        self
    }

    /// GET: file name under which a browser saves the object.
    #[must_use]
    pub fn download_name(mut self, name: &'a str) -> Self {
        self.download_name = Some(name);
        self
    }

    /// GET: content type of the answer.
    #[must_use]
    pub fn response_content_type(mut self, content_type: &'a str) -> Self {
        self.response_content_type = Some(content_type);
        self
    }

    /// Makes a missing key an error now.
    #[must_use]
    pub fn must_exist(mut self) -> Self {
        self.must_exist = true;
        self
    }
}

/// Calls an operation that only this kind of plugin has.
///
/// ```
/// use holdall_plugin_api::Custom;
///
/// let call = Custom::new("restore", r#"{"key":"a"}"#);
/// assert_eq!(call.name, "restore");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Custom<'a> {
    /// Name of the call.
    pub name: &'a str,
    /// Argument, as the plugin's documentation says.
    pub payload: Bytes,
}

impl<'a> Custom<'a> {
    /// The call `name` with this argument.
    pub fn new(name: &'a str, payload: impl Into<Bytes>) -> Self {
        Self {
            name,
            payload: payload.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn ranges_follow_rfc_9110() {
        let kind = |range: ByteRange, size| range.within(size).map_err(|error| error.kind());
        assert_eq!(kind(ByteRange::Bounded(0..5), 10), Ok(0..5));
        assert_eq!(kind(ByteRange::Bounded(9..99), 10), Ok(9..10));
        assert_eq!(kind(ByteRange::From(3), 10), Ok(3..10));
        assert_eq!(kind(ByteRange::Last(3), 10), Ok(7..10));
        assert_eq!(kind(ByteRange::Last(99), 10), Ok(0..10));
        assert_eq!(
            kind(ByteRange::Bounded(10..11), 10),
            Err(ErrorKind::InvalidRange)
        );
        assert_eq!(
            kind(ByteRange::From(u64::MAX), 10),
            Err(ErrorKind::InvalidRange)
        );
        assert_eq!(kind(ByteRange::Last(1), 0), Err(ErrorKind::InvalidRange));
        assert_eq!(
            kind(ByteRange::Bounded(4..4), 10),
            Err(ErrorKind::InvalidArgument)
        );
        assert_eq!(
            kind(ByteRange::Last(0), 10),
            Err(ErrorKind::InvalidArgument)
        );
        assert_eq!(
            ByteRange::From(10).within(10).unwrap_err().fact("size"),
            Some("10")
        );
    }

    #[test]
    fn a_plain_upload_owns_no_options() {
        let plain = Upload::new("a", "text");
        assert!(plain.is_plain());
        assert_eq!(plain.length, Some(4));
        let typed = plain.content_type("text/plain").metadata("a", "b");
        assert_eq!(typed.options().content_type, Some("text/plain"));
        assert_eq!(typed.options().metadata, [("a", "b")]);
        assert_eq!(Download::new("a").chunk_hint(1).chunk_hint, MIN_CHUNK);
    }
}
