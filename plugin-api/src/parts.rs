//! Uploads in parts: a large object in pieces, in parallel, across processes. Since ABI 1.1.
//!
//! An upload is begun, its parts are stored in any order, and the object appears when the upload is completed; what is
//! neither completed nor aborted is in [`ListUploads`]. The same types serve authors and embedders.

use crate::{Body, Checksums, Key, UploadOptions};
use std::time::SystemTime;

/// Largest number of a part.
pub const MAX_PARTS: u32 = 10_000;

/// Begins an upload in parts.
///
/// ```
/// use holdall_plugin_api::CreateUpload;
///
/// let create = CreateUpload::new("disk.img").content_type("application/octet-stream");
/// assert_eq!(create.options().content_type, Some("application/octet-stream"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreateUpload<'a> {
    /// Key of the object.
    pub key: &'a Key,
    options: Option<Box<UploadOptions<'a>>>,
}

impl<'a> CreateUpload<'a> {
    /// An object of this key.
    pub fn new<K: AsRef<Key> + ?Sized>(key: &'a K) -> Self {
        Self {
            key: key.as_ref(),
            options: None,
        }
    }

    /// Sets the MIME type.
    #[must_use]
    pub fn content_type(mut self, content_type: &'a str) -> Self {
        self.options_mut().content_type = Some(content_type);
        self
    }

    /// Adds a pair of user metadata.
    #[must_use]
    pub fn metadata(mut self, name: &'a str, value: &'a str) -> Self {
        self.options_mut().metadata.push((name, value));
        self
    }

    /// Replaces all options. Conditions and checksums stay empty: they belong to [`CompleteUpload`].
    #[must_use]
    pub fn with_options(mut self, options: Option<UploadOptions<'a>>) -> Self {
        self.options = options.map(Box::new);
        self
    }

    /// The options.
    pub fn options(&self) -> &UploadOptions<'a> {
        self.options
            .as_deref()
            .unwrap_or(&crate::request::NO_UPLOAD_OPTIONS)
    }

    /// The options, to change them in place.
    pub fn options_mut(&mut self) -> &mut UploadOptions<'a> {
        self.options.get_or_insert_default()
    }

    /// Whether no option was set.
    pub fn is_plain(&self) -> bool {
        self.options.is_none()
    }
}

impl<'a, K: AsRef<Key> + ?Sized> From<&'a K> for CreateUpload<'a> {
    fn from(key: &'a K) -> Self {
        Self::new(key)
    }
}

/// Stores a part; one of the same number is replaced.
///
/// ```
/// use holdall_plugin_api::PutPart;
///
/// let part = PutPart::new("disk.img", "upload-7", 1, vec![0; 1024]);
/// assert_eq!(part.length, Some(1024));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct PutPart<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// What `create_upload` answered.
    pub upload_id: &'a str,
    /// 1 to [`MAX_PARTS`]: the place of the part. Gaps are allowed.
    pub number: u32,
    /// Content.
    pub body: Body,
    /// Size in bytes, if known. The host compares it with what the body yields.
    pub length: Option<u64>,
    /// Digests of the part, which the host verifies.
    pub checksums: Checksums,
}

impl<'a> PutPart<'a> {
    /// The part `number` of an upload.
    pub fn new<K: AsRef<Key> + ?Sized>(
        key: &'a K,
        upload_id: &'a str,
        number: u32,
        body: impl Into<Body>,
    ) -> Self {
        let body = body.into();
        Self {
            key: key.as_ref(),
            upload_id,
            number,
            length: body.known_length(),
            body,
            checksums: Checksums::NONE,
        }
    }

    /// States the size, in bytes.
    #[must_use]
    pub fn length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// States digests of the part.
    #[must_use]
    pub fn checksums(mut self, checksums: Checksums) -> Self {
        self.checksums = checksums;
        self
    }
}

/// A stored part.
///
/// ```
/// use holdall_plugin_api::Part;
///
/// let part = Part::new(1, "\"9a0364b9e99bb480dd25e1f0284c8555\"", 1024);
/// assert_eq!((part.number, part.size), (1, 1024));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Part {
    /// Its place.
    pub number: u32,
    /// Names its bytes when the upload is completed.
    pub etag: String,
    /// Size, in bytes.
    pub size: u64,
    /// When it was stored.
    pub last_modified: Option<SystemTime>,
    /// Digests; the host adds CRC-32C. A list has CRC-32C at most.
    pub checksums: Checksums,
}

impl Part {
    /// A part of this place, name and size.
    pub fn new(number: u32, etag: impl Into<String>, size: u64) -> Self {
        Self {
            number,
            etag: etag.into(),
            size,
            ..Self::default()
        }
    }

    /// Sets when it was stored.
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
}

/// A page of the parts of an upload, by number.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ListParts<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// What `create_upload` answered.
    pub upload_id: &'a str,
    /// What an earlier page of this instance called `next`.
    pub page_token: Option<&'a str>,
    /// Most parts of the page, 1 to 1000.
    pub limit: u32,
}

impl<'a> ListParts<'a> {
    /// The first page of an upload's parts.
    pub fn new<K: AsRef<Key> + ?Sized>(key: &'a K, upload_id: &'a str) -> Self {
        Self {
            key: key.as_ref(),
            upload_id,
            page_token: None,
            limit: 1000,
        }
    }

    /// Sets the most parts of the page.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Goes on where an earlier page ended.
    #[must_use]
    pub fn page_token(mut self, token: Option<&'a str>) -> Self {
        self.page_token = token;
        self
    }
}

/// A page of parts.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PartPage {
    /// The parts, by number.
    pub parts: Vec<Part>,
    /// Token of the next page; `None` ends the listing.
    pub next: Option<String>,
}

impl PartPage {
    /// A page of these parts, the last one.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self {
            parts: parts.into_iter().collect(),
            next: None,
        }
    }

    /// Sets the token of the next page.
    #[must_use]
    pub fn next(mut self, next: impl Into<Option<String>>) -> Self {
        self.next = next.into();
        self
    }
}

/// A page of the uploads in parts that are neither completed nor aborted, by key.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ListUploads<'a> {
    /// Beginning of the keys; may be empty.
    pub prefix: &'a str,
    /// What an earlier page of this instance called `next`.
    pub page_token: Option<&'a str>,
    /// Most uploads of the page, 1 to 1000.
    pub limit: u32,
}

impl<'a> ListUploads<'a> {
    /// The first page of the uploads below a prefix.
    pub fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            page_token: None,
            limit: 1000,
        }
    }

    /// Sets the most uploads of the page.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Goes on where an earlier page ended.
    #[must_use]
    pub fn page_token(mut self, token: Option<&'a str>) -> Self {
        self.page_token = token;
        self
    }
}

/// An upload in parts that is neither completed nor aborted.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PendingUpload {
    /// Key of the object.
    pub key: String,
    /// Names it, also in another process.
    pub upload_id: String,
    /// When it was begun.
    pub created: Option<SystemTime>,
}

impl PendingUpload {
    /// An upload of this key and name.
    pub fn new(key: impl Into<String>, upload_id: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            upload_id: upload_id.into(),
            created: None,
        }
    }

    /// Sets when it was begun.
    #[must_use]
    pub fn created(mut self, created: impl Into<Option<SystemTime>>) -> Self {
        self.created = created.into();
        self
    }
}

/// A page of uploads in parts.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UploadPage {
    /// The uploads, by key.
    pub uploads: Vec<PendingUpload>,
    /// Token of the next page; `None` ends the listing.
    pub next: Option<String>,
}

impl UploadPage {
    /// A page of these uploads, the last one.
    pub fn new(uploads: impl IntoIterator<Item = PendingUpload>) -> Self {
        Self {
            uploads: uploads.into_iter().collect(),
            next: None,
        }
    }

    /// Sets the token of the next page.
    #[must_use]
    pub fn next(mut self, next: impl Into<Option<String>>) -> Self {
        self.next = next.into();
        self
    }
}

/// Makes the object of its parts, in the order of their numbers, in one step.
///
/// ```
/// use holdall_plugin_api::{CompleteUpload, Part};
///
/// let parts = [Part::new(1, "\"a\"", 5), Part::new(2, "\"b\"", 1)];
/// let complete = CompleteUpload::new("disk.img", "upload-7", &parts).create_only();
/// assert_eq!(complete.parts, [(1, "\"a\""), (2, "\"b\"")]);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompleteUpload<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// What `create_upload` answered.
    pub upload_id: &'a str,
    /// Number and etag of each part of the object; numbers ascend. Parts that are not named are discarded.
    pub parts: Vec<(u32, &'a str)>,
    /// `PreconditionFailed` when the key exists.
    pub create_only: bool,
    /// `PreconditionFailed` unless the object has this etag.
    pub if_match: Option<&'a str>,
    /// Digests of the whole object, where the caller knows them; a store that cannot verify them leaves them alone.
    pub checksums: Checksums,
}

impl<'a> CompleteUpload<'a> {
    /// An object of these parts.
    pub fn new<K: AsRef<Key> + ?Sized>(
        key: &'a K,
        upload_id: &'a str,
        parts: impl IntoIterator<Item = &'a Part>,
    ) -> Self {
        let parts = parts.into_iter();
        Self {
            key: key.as_ref(),
            upload_id,
            parts: parts
                .map(|part| (part.number, part.etag.as_str()))
                .collect(),
            create_only: false,
            if_match: None,
            checksums: Checksums::NONE,
        }
    }

    /// Refuses to replace an object.
    #[must_use]
    pub fn create_only(mut self) -> Self {
        self.create_only = true;
        self
    }

    /// Requires this etag of the object that is replaced.
    #[must_use]
    pub fn if_match(mut self, etag: &'a str) -> Self {
        self.if_match = Some(etag);
        self
    }

    /// States digests of the whole object.
    #[must_use]
    pub fn checksums(mut self, checksums: Checksums) -> Self {
        self.checksums = checksums;
        self
    }
}

/// Ends an upload in parts without an object.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AbortUpload<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// What `create_upload` answered.
    pub upload_id: &'a str,
}

impl<'a> AbortUpload<'a> {
    /// Ends this upload.
    pub fn new<K: AsRef<Key> + ?Sized>(key: &'a K, upload_id: &'a str) -> Self {
        Self {
            key: key.as_ref(),
            upload_id,
        }
    }
}
