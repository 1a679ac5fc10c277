//! Changes what is kept beside the bytes of an object. Since ABI 1.1.

use crate::Key;

/// Replaces content type, headers, metadata, tags or class of an object, without its bytes. What is not named stays.
///
/// ```
/// use holdall_plugin_api::Update;
///
/// let update = Update::new("report.pdf")
///     .content_type("application/pdf")
///     .cache_control(None)
///     .metadata([("author", "Ada")]);
/// assert_eq!(update.cache_control, Some(None));
/// assert!(update.tags.is_none());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Update<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// `PreconditionFailed` unless the object has this etag.
    pub if_match: Option<&'a str>,
    /// Another version than the current one.
    pub version: Option<&'a str>,
    /// MIME type; `Some(None)` removes it.
    pub content_type: Option<Option<&'a str>>,
    /// `Cache-Control`; `Some(None)` removes it.
    pub cache_control: Option<Option<&'a str>>,
    /// `Content-Disposition`; `Some(None)` removes it.
    pub content_disposition: Option<Option<&'a str>>,
    /// `Content-Encoding`; `Some(None)` removes it.
    pub content_encoding: Option<Option<&'a str>>,
    /// `Content-Language`; `Some(None)` removes it.
    pub content_language: Option<Option<&'a str>>,
    /// User metadata, as a whole.
    pub metadata: Option<Vec<(&'a str, &'a str)>>,
    /// Tags, as a whole.
    pub tags: Option<Vec<(&'a str, &'a str)>>,
    /// Class of storage.
    pub storage_class: Option<&'a str>,
}

impl<'a> Update<'a> {
    /// Changes nothing yet.
    pub fn new<K: AsRef<Key> + ?Sized>(key: &'a K) -> Self {
        Self {
            key: key.as_ref(),
            if_match: None,
            version: None,
            content_type: None,
            cache_control: None,
            content_disposition: None,
            content_encoding: None,
            content_language: None,
            metadata: None,
            tags: None,
            storage_class: None,
        }
    }

    /// Requires this etag.
    #[must_use]
    pub fn if_match(mut self, etag: &'a str) -> Self {
        self.if_match = Some(etag);
        self
    }

    /// Selects another version than the current one.
    #[must_use]
    pub fn version(mut self, version: &'a str) -> Self {
        self.version = Some(version);
        self
    }

    /// Replaces the MIME type.
    #[must_use]
    pub fn content_type(mut self, value: impl Into<Option<&'a str>>) -> Self {
        self.content_type = Some(value.into());
        self
    }

    /// Replaces `Cache-Control`.
    #[must_use]
    pub fn cache_control(mut self, value: impl Into<Option<&'a str>>) -> Self {
        self.cache_control = Some(value.into());
        self
    }

    /// Replaces `Content-Disposition`.
    #[must_use]
    pub fn content_disposition(mut self, value: impl Into<Option<&'a str>>) -> Self {
        self.content_disposition = Some(value.into());
        self
    }

    /// Replaces `Content-Encoding`.
    #[must_use]
    pub fn content_encoding(mut self, value: impl Into<Option<&'a str>>) -> Self {
        self.content_encoding = Some(value.into());
        self
    }

    /// Replaces `Content-Language`.
    #[must_use]
    pub fn content_language(mut self, value: impl Into<Option<&'a str>>) -> Self {
        self.content_language = Some(value.into());
        self
    }

    /// Replaces the user metadata as a whole.
    #[must_use]
    pub fn metadata(mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.metadata = Some(pairs.into_iter().collect());
        self
    }

    /// Replaces the tags as a whole.
    #[must_use]
    pub fn tags(mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.tags = Some(pairs.into_iter().collect());
        self
    }

    /// Moves the object to another class of storage.
    #[must_use]
    pub fn storage_class(mut self, class: &'a str) -> Self {
        self.storage_class = Some(class);
        self
    }

    /// Whether a header or the content type changes.
    pub fn changes_headers(&self) -> bool {
        let headers = [
            self.content_type,
            self.cache_control,
            self.content_disposition,
            self.content_encoding,
            self.content_language,
        ];
        headers.iter().any(Option::is_some)
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        !self.changes_headers()
            && self.metadata.is_none()
            && self.tags.is_none()
            && self.storage_class.is_none()
    }
}
