//! What an operation is asked. One set of types for authors and embedders.
//!
//! A request borrows its texts and owns its body, so that making one costs nothing. Options that
//! most requests leave out sit behind one optional box: a plain upload is three words and a body.

use std::ops::Range;
use std::time::{Duration, SystemTime};

use crate::{Body, Checksums, Key};

/// Stores an object, data and metadata in one step.
#[derive(Debug)]
#[non_exhaustive]
pub struct Upload<'a> {
    /// Its name.
    pub key: &'a Key,
    /// Its content.
    pub body: Body,
    /// Its size in bytes, when known. The host compares it with what the body yields.
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
    /// Fails with `PreconditionFailed` unless the object has this etag.
    pub if_match: Option<&'a str>,
    /// Digests that the caller vouches for; the host verifies them.
    pub checksums: Checksums,
    /// How sure the bytes must be before the answer; `None` is the backend's own setting.
    pub durability: Option<Durability>,
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
#[repr(u8)]
pub enum Durability {
    /// When readers see it; a power cut may lose it.
    None = 1,
    /// When the data is on the medium.
    Data = 2,
    /// When data and name are on the medium.
    Full = 3,
}

static NO_UPLOAD_OPTIONS: UploadOptions<'static> = UploadOptions {
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
};

impl<'a> Upload<'a> {
    /// Stores `body` as `key`. A body made of bytes knows its length.
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
    pub fn content_type(self, content_type: &'a str) -> Self {
        self.option(|options| options.content_type = Some(content_type))
    }

    /// Adds user metadata.
    #[must_use]
    pub fn metadata(self, name: &'a str, value: &'a str) -> Self {
        self.option(|options| options.metadata.push((name, value)))
    }

    /// Refuses to replace an object.
    #[must_use]
    pub fn create_only(self) -> Self {
        self.option(|options| options.create_only = true)
    }

    /// Replaces only the object with this etag.
    #[must_use]
    pub fn if_match(self, etag: &'a str) -> Self {
        self.option(|options| options.if_match = Some(etag))
    }

    /// Changes any option.
    #[must_use]
    pub fn option(mut self, change: impl FnOnce(&mut UploadOptions<'a>)) -> Self {
        change(self.options.get_or_insert_default());
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

    /// Whether no option was set.
    pub fn is_plain(&self) -> bool {
        self.options.is_none()
    }

    /// Key, body and length, with the options apart.
    pub fn into_parts(self) -> (&'a Key, Body, Option<u64>, Option<Box<UploadOptions<'a>>>) {
        (self.key, self.body, self.length, self.options)
    }
}

/// Which bytes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Reads an object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Download<'a> {
    /// Its name.
    pub key: &'a Key,
    /// A part of it; `None` is the whole.
    pub range: Option<ByteRange>,
    /// The size of chunks that suits the caller: 64 KiB to 1 MiB. No chunk is larger than 1 MiB.
    pub chunk_hint: u32,
    options: Option<Box<ReadOptions<'a>>>,
}

/// Facts about an object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Head<'a> {
    /// Its name.
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
    /// Another version than the current one.
    pub version: Option<&'a str>,
}

static NO_READ_OPTIONS: ReadOptions<'static> = ReadOptions {
    if_match: None,
    if_none_match: None,
    if_modified_since: None,
    if_unmodified_since: None,
    version: None,
};

/// Smallest useful chunk, in bytes.
pub const MIN_CHUNK: u32 = 64 << 10;
/// Largest chunk, in bytes.
pub const MAX_CHUNK: u32 = 1 << 20;

macro_rules! read_options {
    ($request:ident) => {
        impl<'a> $request<'a> {
            /// Changes any condition.
            #[must_use]
            pub fn option(mut self, change: impl FnOnce(&mut ReadOptions<'a>)) -> Self {
                change(self.options.get_or_insert_default());
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

            /// Whether no condition was set.
            pub fn is_plain(&self) -> bool {
                self.options.is_none()
            }
        }
    };
}
read_options!(Download);
read_options!(Head);

impl<'a> Download<'a> {
    /// Reads the whole object.
    pub fn new<K: AsRef<Key> + ?Sized>(key: &'a K) -> Self {
        Self {
            key: key.as_ref(),
            range: None,
            chunk_hint: MAX_CHUNK,
            options: None,
        }
    }

    /// Reads a part.
    #[must_use]
    pub fn range(mut self, range: ByteRange) -> Self {
        self.range = Some(range);
        self
    }

    /// Asks for chunks of about this many bytes; brought into 64 KiB to 1 MiB.
    #[must_use]
    pub fn chunk_hint(mut self, bytes: u32) -> Self {
        self.chunk_hint = bytes.clamp(MIN_CHUNK, MAX_CHUNK);
        self
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
}

/// Removes an object.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Delete<'a> {
    /// Its name.
    pub key: &'a Key,
    /// A missing key is `FileNotFound` instead of success. A plugin sees it if it claims `exact_delete`;
    /// for others the host looks first.
    pub must_exist: bool,
    /// `PreconditionFailed` unless the object has this etag.
    pub if_match: Option<&'a str>,
    /// Another version than the current one.
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
}

/// Removes many objects; one answer for each, in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeleteMany<'a> {
    /// Their names.
    pub keys: Vec<&'a Key>,
}

impl<'a> DeleteMany<'a> {
    /// Removes these objects; missing ones are fine.
    pub fn new<K: AsRef<Key> + ?Sized + 'a>(keys: impl IntoIterator<Item = &'a K>) -> Self {
        Self {
            keys: keys.into_iter().map(AsRef::as_ref).collect(),
        }
    }
}

/// A page of keys.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct List<'a> {
    /// String prefix, not a folder: `foo` also matches `foobar`.
    pub prefix: &'a str,
    /// Keys that have this after the prefix are grouped into common prefixes.
    pub delimiter: Option<&'a str>,
    /// Most entries and common prefixes together, 1 to 1000.
    pub limit: u32,
    /// Where the page before ended: what it said.
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

    /// Goes on after an earlier page.
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

/// Copies an object inside the backend, with content type and metadata.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Copy<'a> {
    /// The source.
    pub from: &'a Key,
    /// The target.
    pub to: &'a Key,
    /// Refuses to replace an object.
    pub create_only: bool,
}

impl<'a> Copy<'a> {
    /// Copies `from` to `to`.
    pub fn new<F: AsRef<Key> + ?Sized, T: AsRef<Key> + ?Sized>(from: &'a F, to: &'a T) -> Self {
        Self {
            from: from.as_ref(),
            to: to.as_ref(),
            create_only: false,
        }
    }

    /// Refuses to replace an object.
    #[must_use]
    pub fn create_only(mut self) -> Self {
        self.create_only = true;
        self
    }
}

/// Renames an object inside the backend.
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

/// What a signed URL allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// As on the wire.
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
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignUrl<'a> {
    /// The object; it need not exist.
    pub key: &'a Key,
    /// The only method that the URL allows.
    pub method: Method,
    /// Its life: 1 s to 7 d, or less where the backend says so.
    pub expires_in: Duration,
    /// PUT: the only content type that is taken.
    pub content_type: Option<&'a str>,
    /// PUT: most bytes that are taken.
    pub max_size: Option<u64>,
    /// PUT: the digests that the body must have.
    pub checksums: Checksums,
    /// GET: the file name that a browser saves as.
    pub download_name: Option<&'a str>,
    /// GET: the content type of the answer.
    pub response_content_type: Option<&'a str>,
    /// A missing key is `FileNotFound` now instead of 404 later. The host looks, before it asks a plugin.
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
}

/// A vendor's own call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Custom<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its argument, as the plugin's documentation says.
    pub payload: crate::Bytes,
}

impl<'a> Custom<'a> {
    /// The call `name` with this argument.
    pub fn new(name: &'a str, payload: impl Into<crate::Bytes>) -> Self {
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
            ByteRange::From(10)
                .within(10)
                .unwrap_err()
                .fact_value("size"),
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
