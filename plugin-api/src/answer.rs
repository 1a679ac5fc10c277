//! What an operation answers.

use std::ops::Range;
use std::time::SystemTime;

use crate::{Body, Capabilities, Limits, Operations};

/// Digests of an object's bytes, as far as they are known.
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
}

/// An object was stored.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Uploaded {
    /// Its size, in bytes.
    pub size: u64,
    /// Opaque name of this content; equal only for equal bytes and metadata.
    pub etag: Option<String>,
    /// Opaque name of this version, where the store keeps versions.
    pub version: Option<String>,
    /// When it became visible.
    pub last_modified: Option<SystemTime>,
    /// Its digests; the host adds CRC-32C.
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
}

/// Facts about an object.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ObjectInfo {
    /// Its size, in bytes.
    pub size: u64,
    /// Opaque name of this content.
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
}

impl ObjectInfo {
    /// An object of this size, nothing else known.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }
}

/// An object's bytes, with facts of the same version.
#[derive(Debug)]
#[non_exhaustive]
pub struct Downloaded {
    /// The facts.
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
}

/// An object is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// Whether it was there, when the store tells.
    pub existed: Option<bool>,
    /// The version that was removed.
    pub version: Option<String>,
}

impl Deleted {
    /// What is known of the object's former life.
    pub fn new(existed: Option<bool>) -> Self {
        Self {
            existed,
            version: None,
        }
    }
}

/// One object of a listing.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Opaque name of its content.
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
}

/// A page of a listing.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The objects.
    pub entries: Vec<Entry>,
    /// Groups of keys, each with the delimiter at its end.
    pub common_prefixes: Vec<String>,
    /// Asks for the next page; `None` ends the listing.
    pub next: Option<String>,
    /// Objects that were left out because their names are not portable.
    pub skipped: u64,
}

/// A copy was made.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Copied {
    /// Size of the target, in bytes.
    pub size: Option<u64>,
    /// Opaque name of the target's content.
    pub etag: Option<String>,
    /// When it became visible.
    pub last_modified: Option<SystemTime>,
}

/// An object has another name.
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
}

/// A URL that works without credentials. Its `Debug` does not show the signature.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SignedUrl {
    /// The URL, percent-encoded.
    pub url: String,
    /// Headers that the request must carry.
    pub headers: Vec<(String, String)>,
    /// When it stops working: the URL's own truth, not the wish.
    pub expires_at: SystemTime,
}

impl SignedUrl {
    /// A URL and its true end.
    pub fn new(url: impl Into<String>, expires_at: SystemTime) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            expires_at,
        }
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

/// How a backend signs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Signing {
    /// Here is the URL.
    Url(SignedUrl),
    /// The backend has no URLs of its own: the host's gateway signs and serves.
    AtGateway,
}

/// State of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether operations can be expected to work.
    pub healthy: bool,
    /// One line for operators; no secret.
    pub message: String,
}

impl Health {
    /// All is well.
    pub fn up() -> Self {
        Self {
            healthy: true,
            message: String::new(),
        }
    }

    /// Something is wrong.
    pub fn down(message: impl Into<String>) -> Self {
        Self {
            healthy: false,
            message: message.into(),
        }
    }
}

/// Space of a store, in bytes, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Taken.
    pub used: Option<u64>,
    /// Left.
    pub free: Option<u64>,
    /// Both.
    pub total: Option<u64>,
    /// Number of objects.
    pub objects: Option<u64>,
}

/// What an opened instance can do: at most what the descriptor says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Instance {
    /// What it serves beside the required ones, as far as the plugin declares it:
    /// `Operations::ALL.without(Operations::copy)` for a store that cannot copy. `None`: all of it.
    pub operations: Option<Operations>,
    /// What it promises about them. `None`: all that the plugin declares.
    pub capabilities: Option<Capabilities>,
    /// Its numbers.
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
