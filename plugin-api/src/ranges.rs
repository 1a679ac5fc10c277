//! Many ranges of one object in one operation, into memory of the caller. Since ABI 1.1.

use crate::abi::ranges::OwnedRanges;
use crate::{Error, Key, ObjectInfo, ReadOptions, Result};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Most ranges of one request.
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
    /// The ranges, in any order; they may overlap, none is empty, and none ends behind the object.
    pub ranges: Vec<Range<u64>>,
    /// Ranges with at most that many bytes between them may be read as one; `None`: as the store likes.
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

    /// Sets how many bytes between two ranges may be read with them.
    #[must_use]
    pub fn coalesce(mut self, bytes: u64) -> Self {
        self.coalesce = Some(bytes);
        self
    }

    /// Requires this etag; `*` is any.
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

    /// Bytes of all ranges together.
    pub fn bytes(&self) -> u64 {
        let lengths = self.ranges.iter().map(|range| range.end - range.start);
        lengths.fold(0, u64::saturating_add)
    }

    /// Checks every range against the size of the object, for an author.
    ///
    /// # Errors
    ///
    /// `InvalidRange` for the first that ends behind it.
    pub fn within(&self, size: u64) -> Result<()> {
        match self.ranges.iter().find(|range| range.end > size) {
            None => Ok(()),
            Some(range) => Err(Error::new(crate::ErrorKind::InvalidRange)
                .with_fact("size", size)
                .with_fact("range", format!("{}..{}", range.start, range.end))),
        }
    }
}

/// Memory of the caller, one piece for each range, exactly as long as the range.
#[derive(Debug)]
pub struct RangeBuffers<'a> {
    pub(crate) raw: &'a [crate::abi::tables::FfiBuffer],
}

impl RangeBuffers<'_> {
    /// Number of ranges.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}

/// Where the ranges of a [`RangeReader`] come from.
pub trait RangeSource: Send {
    /// Fills what it can. Each range that has become complete is pushed to `done` by its index; at least one is when
    /// this answers `Ready(Some(Ok(())))`. `Ready(None)`: all were, before this call.
    fn poll_ranges(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut RangeBuffers<'_>,
        done: &mut Vec<usize>,
    ) -> Poll<Option<Result<()>>>;
}

/// Reads the ranges of one version of an object, into memory that its caller lends.
pub struct RangeReader {
    pub(crate) stream: OwnedRanges,
}

impl std::fmt::Debug for RangeReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RangeReader").finish_non_exhaustive()
    }
}

/// Answer of a read of many ranges: facts of the version that is read, and its reader.
#[derive(Debug)]
#[non_exhaustive]
pub struct DownloadedRanges {
    /// Facts about the object.
    pub info: ObjectInfo,
    /// Fills the ranges.
    pub reader: RangeReader,
}

impl DownloadedRanges {
    /// Facts and reader.
    pub fn new(info: ObjectInfo, reader: RangeReader) -> Self {
        Self { info, reader }
    }
}
