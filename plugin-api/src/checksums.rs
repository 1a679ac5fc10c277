//! Digests of bytes, as requests, answers and bodies carry them.

/// Digests of an object's bytes, as far as they are known.
///
/// ```
/// use holdall_plugin_api::Checksums;
///
/// let sums = Checksums::NONE.crc32c(0xe306_9283).md5([7; 16]);
/// assert_eq!(sums.crc32c, Some(0xe306_9283));
/// assert!(sums.sha256.is_none());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checksums {
    /// CRC-32C (Castagnoli).
    pub crc32c: Option<u32>,
    /// MD5.
    pub md5: Option<[u8; 16]>,
    /// SHA-256.
    pub sha256: Option<[u8; 32]>,
}

impl Checksums {
    /// None known.
    pub const NONE: Checksums = Checksums {
        crc32c: None,
        md5: None,
        sha256: None,
    };

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// Sets CRC-32C.
    #[must_use]
    pub fn crc32c(mut self, crc32c: u32) -> Self {
        self.crc32c = Some(crc32c);
        self
    }

    /// Sets MD5.
    #[must_use]
    pub fn md5(mut self, md5: [u8; 16]) -> Self {
        self.md5 = Some(md5);
        self
    }

    /// Sets SHA-256.
    #[must_use]
    pub fn sha256(mut self, sha256: [u8; 32]) -> Self {
        self.sha256 = Some(sha256);
        self
    }
}
