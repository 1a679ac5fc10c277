//! Reads many ranges of one object in one operation, into memory of the caller. Since ABI 1.1.

use crate::abi::ranges::OwnedRanges;
use crate::{Error, Key, ObjectInfo, ReadOptions, Result};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Largest number of ranges in one request.
pub const MAX_RANGES: usize = 4096;

/// Reads many ranges of one version of an object.
///
/// ```
/// use holdall_plugin_api::DownloadRanges;
///
/// let read = DownloadRanges::new("points.zarr", [0..100, 4096..4196]);
/// assert_eq!(read.bytes(), 200);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DownloadRanges<'a> {
    /// Key of the object.
    pub key: &'a Key,
    /// The ranges, in bytes from the start, end excluded; in any order. They may overlap. An empty range is
    /// `InvalidArgument`; a range that ends after the end of the object is `InvalidRange`.
    pub ranges: Vec<Range<u64>>,
    /// Ranges with at most so many bytes between them may be read as one range; `None`: the backend decides.
    pub coalesce: Option<u64>,
    options: Option<Box<ReadOptions<'a>>>,
}

impl<'a> DownloadRanges<'a> {
    /// Reads these ranges.
    pub fn new<K: AsRef<Key> + ?Sized>(
        key: &'a K,
        ranges: impl IntoIterator<Item = Range<u64>>,
    ) -> Self {
        Self {
            key: key.as_ref(),
            ranges: ranges.into_iter().collect(),
            coalesce: None,
            options: None,
        }
    }

    /// Sets the largest gap, in bytes, between two ranges that are read as one.
    #[must_use]
    pub fn coalesce(mut self, bytes: u64) -> Self {
        self.coalesce = Some(bytes);
        self
    }

    /// Requires this etag; `*` stands for any etag.
    #[must_use]
    pub fn if_match(mut self, etag: &'a str) -> Self {
        self.options_mut().if_match = Some(etag);
        self
    }

    /// Selects another version than the current one.
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
        self.options
            .as_deref()
            .unwrap_or(&crate::request::NO_READ_OPTIONS)
    }

    /// The conditions, to change them in place.
    pub fn options_mut(&mut self) -> &mut ReadOptions<'a> {
        self.options.get_or_insert_default()
    }

    /// Whether no condition was set.
    pub fn is_plain(&self) -> bool {
        self.options.is_none()
    }

    /// Sum of the lengths of all ranges, in bytes. A range that ends before it begins, which is refused, has none.
    ///
    /// ```
    /// use holdall_plugin_api::DownloadRanges;
    ///
    /// let read = DownloadRanges::new("k", [(5..2), (0..u64::MAX), (0..u64::MAX)]);
    /// assert_eq!(read.bytes(), u64::MAX);
    /// ```
    pub fn bytes(&self) -> u64 {
        let length = |range: &Range<u64>| range.end.saturating_sub(range.start);
        let lengths = self.ranges.iter().map(length);
        lengths.fold(0, u64::saturating_add)
    }

    /// Checks every range against the size of the object, in bytes. Plugins call it before they read.
    ///
    /// # Errors
    ///
    /// `InvalidRange`, with the size and the first range that ends after the end of the object.
    pub fn within(&self, size: u64) -> Result<()> {
        match self.ranges.iter().find(|range| range.end > size) {
            None => Ok(()),
            Some(range) => Err(Error::new(crate::ErrorKind::InvalidRange)
                .with_fact("size", size)
                .with_fact("range", format!("{}..{}", range.start, range.end))),
        }
    }
}

/// Memory of the caller: one buffer for each range, exactly as long as the range.
#[derive(Debug)]
pub struct RangeBuffers<'a> {
    pub(crate) raw: &'a [crate::abi::tables::FfiBuffer],
}

impl RangeBuffers<'_> {
    /// Number of ranges.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there are no ranges.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}

/// Fills the ranges of a [`RangeReader`]. A plugin implements it.
pub trait RangeSource: Send {
    /// Writes bytes into the buffers and pushes the index of each range that has become complete to `done`.
    ///
    /// `Ready(Some(Ok(())))`: at least one range was pushed. `Ready(None)`: all ranges were complete before this call.
    fn poll_ranges(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut RangeBuffers<'_>,
        done: &mut Vec<usize>,
    ) -> Poll<Option<Result<()>>>;
}

/// Reader of the ranges of one version of an object. Its caller lends the memory.
pub struct RangeReader {
    pub(crate) stream: OwnedRanges,
}

impl std::fmt::Debug for RangeReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RangeReader").finish_non_exhaustive()
    }
}

/// Answer of `download_ranges`: facts about the version that is read, and the reader of its ranges.
#[derive(Debug)]
#[non_exhaustive]
pub struct DownloadedRanges {
    /// Facts about the object.
    pub info: ObjectInfo,
    /// Reads the ranges.
    pub reader: RangeReader,
}

impl DownloadedRanges {
    /// Facts and reader.
    pub fn new(info: ObjectInfo, reader: RangeReader) -> Self {
        Self { info, reader }
    }
}
