//! Versions of objects: every one that a store keeps. Since ABI 1.1.

use std::time::SystemTime;

/// A page of versions: by key, and within a key from the newest to the oldest.
///
/// ```
/// use holdall_plugin_api::ListVersions;
///
/// let list = ListVersions::new("logs/").delimiter("/").limit(100);
/// assert_eq!(list.delimiter, Some("/"));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ListVersions<'a> {
    /// Beginning of the keys; may be empty.
    pub prefix: &'a str,
    /// Groups keys up to it; `/` unless `any_delimiter` is claimed.
    pub delimiter: Option<&'a str>,
    /// What an earlier page of this instance called `next`.
    pub page_token: Option<&'a str>,
    /// Most versions and groups of the page, 1 to 1000.
    pub limit: u32,
}

impl<'a> ListVersions<'a> {
    /// The first page of the versions below a prefix.
    pub fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            delimiter: None,
            page_token: None,
            limit: 1000,
        }
    }

    /// Groups keys up to this delimiter.
    #[must_use]
    pub fn delimiter(mut self, delimiter: &'a str) -> Self {
        self.delimiter = Some(delimiter);
        self
    }

    /// Sets the most versions and groups of the page.
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

/// One version of an object, or a delete marker.
///
/// ```
/// use holdall_plugin_api::ObjectVersion;
///
/// let version = ObjectVersion::new("a.txt", "3", 5).latest(true);
/// assert!(version.is_latest && !version.is_delete_marker);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ObjectVersion {
    /// Key of the object.
    pub key: String,
    /// Opaque name of the version.
    pub version: String,
    /// Size, in bytes; 0 for a delete marker.
    pub size: u64,
    /// Name of its content, as in [`Uploaded::etag`](crate::Uploaded::etag).
    pub etag: Option<String>,
    /// When it became visible.
    pub last_modified: Option<SystemTime>,
    /// Whether it is what a read without a version finds.
    pub is_latest: bool,
    /// Whether it says that the object was deleted.
    pub is_delete_marker: bool,
}

impl ObjectVersion {
    /// A version of this name and size.
    pub fn new(key: impl Into<String>, version: impl Into<String>, size: u64) -> Self {
        Self {
            key: key.into(),
            version: version.into(),
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

    /// Sets when it became visible.
    #[must_use]
    pub fn last_modified(mut self, last_modified: impl Into<Option<SystemTime>>) -> Self {
        self.last_modified = last_modified.into();
        self
    }

    /// Sets whether it is the current one.
    #[must_use]
    pub fn latest(mut self, is_latest: bool) -> Self {
        self.is_latest = is_latest;
        self
    }

    /// Sets whether it is a delete marker.
    #[must_use]
    pub fn delete_marker(mut self, is_delete_marker: bool) -> Self {
        self.is_delete_marker = is_delete_marker;
        self
    }
}

/// A page of versions.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct VersionPage {
    /// The versions.
    pub versions: Vec<ObjectVersion>,
    /// Groups of keys, each with the delimiter at its end.
    pub common_prefixes: Vec<String>,
    /// Token of the next page; `None` ends the listing.
    pub next: Option<String>,
}

impl VersionPage {
    /// A page of these versions, the last one.
    pub fn new(versions: impl IntoIterator<Item = ObjectVersion>) -> Self {
        Self {
            versions: versions.into_iter().collect(),
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
}
