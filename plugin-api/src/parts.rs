//! Uploads in parts: a large object is stored in pieces, also in parallel and by several processes. Since ABI 1.1.
//!
//! `create_upload` begins an upload and returns its id. `put_part` stores the parts, in any order. `complete_upload`
//! makes the object of them; nothing is visible before. `abort_upload` ends the upload without an object.
//! [`ListUploads`] finds uploads that were neither completed nor aborted. Authors and embedders use the same types.

use crate::{Body, Checksums, Key, UploadOptions};
use std::time::SystemTime;

/// Default of [`Limits::max_parts`](crate::Limits::max_parts): the largest number of a part.
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
    /// Begins an upload of this object.
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

    /// Replaces all options. Conditions and checksums are refused here: they belong to [`CompleteUpload`].
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

/// Stores a part. It replaces an earlier part of the same number.
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
    /// Id of the upload, as `create_upload` returned it.
    pub upload_id: &'a str,
    /// Place of the part in the object: 1 to [`Limits::max_parts`](crate::Limits::max_parts) of the instance. Numbers
    /// may be left out.
    pub number: u32,
    /// Content.
    pub body: Body,
    /// Size in bytes, if known. The host compares it with the size of the body.
    pub length: Option<u64>,
    /// Digests of the part. The host verifies them.
    pub checksums: Checksums,
}

impl<'a> PutPart<'a> {
    /// Stores `body` as the part `number` of an upload.
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
    /// Number: its place in the object.
    pub number: u32,
    /// Identifies the stored bytes. [`CompleteUpload`] states it.
    pub etag: String,
    /// Size, in bytes.
    pub size: u64,
    /// When it was stored.
    pub last_modified: Option<SystemTime>,
    /// Digests. The answer of `put_part` always has the CRC-32C, which the host computes; a listing has no other
    /// digest than the CRC-32C.
    pub checksums: Checksums,
}

impl Part {
    /// A part of this number, etag and size in bytes.
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

/// Asks for a page of the parts of an upload, in the order of their numbers.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ListParts<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// Id of the upload, as `create_upload` returned it.
    pub upload_id: &'a str,
    /// `next` of the page before.
    pub page_token: Option<&'a str>,
    /// Largest number of parts in the page, 1 to 1000.
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

    /// Sets the largest number of parts in the page.
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
}

/// A page of parts.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PartPage {
    /// The parts, in the order of their numbers.
    pub parts: Vec<Part>,
    /// Token of the next page; `None` ends the listing.
    pub next: Option<String>,
}

impl PartPage {
    /// The last page, of these parts.
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

/// Asks for a page of the uploads in parts that are neither completed nor aborted, in the order of their keys.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ListUploads<'a> {
    /// Text that the keys begin with; may be empty.
    pub prefix: &'a str,
    /// `next` of the page before.
    pub page_token: Option<&'a str>,
    /// Largest number of uploads in the page, 1 to 1000.
    pub limit: u32,
}

impl<'a> ListUploads<'a> {
    /// The first page of the uploads whose keys begin with this text.
    pub fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            page_token: None,
            limit: 1000,
        }
    }

    /// Sets the largest number of uploads in the page.
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
}

/// An upload in parts that is neither completed nor aborted.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PendingUpload {
    /// Key of the object.
    pub key: String,
    /// Id of the upload, valid in every process.
    pub upload_id: String,
    /// When it was begun.
    pub created: Option<SystemTime>,
}

impl PendingUpload {
    /// An upload of this key and id.
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
    /// The uploads, in the order of their keys.
    pub uploads: Vec<PendingUpload>,
    /// Token of the next page; `None` ends the listing.
    pub next: Option<String>,
}

impl UploadPage {
    /// The last page, of these uploads.
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

/// Makes the object of its parts, in the order of their numbers and in one step, and ends the upload.
///
/// A part that was not stored, or that has another etag, gives `InvalidArgument` with the code `invalid_part`
/// ([`Error::invalid_part`](crate::Error::invalid_part)). A second `complete_upload` of the same id gives `FileNotFound`
/// with the code `upload_not_found` ([`Error::upload_not_found`](crate::Error::upload_not_found)).
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
    /// Id of the upload, as `create_upload` returned it.
    pub upload_id: &'a str,
    /// Number and etag of each part of the object, by ascending number. Stored parts that are not in this list are
    /// discarded; a store that wants all of them answers [`Error::invalid_part`](crate::Error::invalid_part).
    pub parts: Vec<(u32, &'a str)>,
    /// `PreconditionFailed` when the key exists.
    pub create_only: bool,
    /// `PreconditionFailed` unless the key has an object with this etag.
    pub if_match: Option<&'a str>,
    /// Digests of the whole object, if the caller knows them. A store that cannot verify them ignores them.
    pub checksums: Checksums,
}

impl<'a> CompleteUpload<'a> {
    /// Makes an object of these parts.
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

    /// Replaces only the object with this etag.
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

/// Ends an upload in parts without an object and discards its parts.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AbortUpload<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// Id of the upload, as `create_upload` returned it.
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
