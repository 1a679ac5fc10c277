//! Which content types may be uploaded: by what the request says and by what the bytes show.

use super::Guards;
use super::idle_timeout::Patience;
use holdall_plugin_api::{Body, Bytes, Error, ErrorKind, Key, Result, Source};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Bytes at the beginning of an object that are looked at.
const SNIFFED: usize = 8 << 10;
/// The type of bytes of which nothing is known (RFC 2046, 4.5.1).
const UNKNOWN: &str = "application/octet-stream";

/// Returns the content type that the extension of a key implies, such as `image/jpeg` for
/// `a/photo.jpg`.
///
/// The one rule of command and server for objects without a content type of their own.
///
/// ```
/// assert_eq!(holdall::implied_content_type("a/photo.jpg"), Some("image/jpeg"));
/// assert_eq!(holdall::implied_content_type("a/photo"), None);
/// ```
pub fn implied_content_type<K: AsRef<Key> + ?Sized>(key: &K) -> Option<&'static str> {
    mime_guess::from_path(Key::new(key).file_name()).first_raw()
}

/// Content types that may be uploaded.
///
/// ```
/// use holdall::policy::FileTypes;
///
/// let types = FileTypes::new(["image/*", "application/pdf"]);
/// assert!(types.allows("Image/PNG; q=1"));
/// assert!(!types.allows("text/html"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileTypes {
    allowed: Vec<String>,
    mismatch: Mismatch,
}

/// What becomes of an upload whose bytes contradict its declared type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// It is refused.
    #[default]
    Reject,
    /// It is stored with the type that the bytes show, if that is allowed.
    Correct,
}

impl FileTypes {
    /// Allows these: types such as `image/png`, and families such as `image/*`. A contradiction is refused.
    pub fn new<T: AsRef<str>>(allowed: impl IntoIterator<Item = T>) -> Self {
        let lower = |text: T| text.as_ref().to_ascii_lowercase();
        Self {
            allowed: allowed.into_iter().map(lower).collect(),
            mismatch: Mismatch::default(),
        }
    }

    /// Chooses what becomes of a contradiction.
    #[must_use]
    pub fn mismatch(mut self, mismatch: Mismatch) -> Self {
        self.mismatch = mismatch;
        self
    }

    /// Whether a content type is allowed. Parameters and case do not count.
    pub fn allows(&self, content_type: &str) -> bool {
        let essence = essence(content_type);
        self.allowed.iter().any(|allowed| {
            allowed == "*/*"
                || *allowed == essence
                || allowed
                    .strip_suffix('*')
                    .is_some_and(|family| essence.starts_with(family))
        })
    }

    /// Judges an upload by its first bytes.
    ///
    /// # Errors
    ///
    /// `InvalidFileType`, with what was provided, what the bytes show, and what is allowed.
    fn judge(&self, key: &Key, declared: Option<&str>, head: &[u8]) -> Result<Accepted> {
        let sniffed = infer::get(head).map(|found| found.mime_type());
        let provided = declared
            .or_else(|| implied_content_type(key))
            .or(sniffed)
            .unwrap_or(UNKNOWN);
        let refused = |why: &'static str| {
            Err(Error::new(ErrorKind::InvalidFileType)
                .with_message(why)
                .with_fact("provided", provided)
                .with_fact("sniffed", sniffed.unwrap_or("unknown"))
                .with_fact("allowed", self.allowed.join(", ")))
        };
        let declared = essence(provided);
        if agree(&declared, sniffed) {
            // Called anything, it is what it shows.
            let shown = sniffed.filter(|_| declared == UNKNOWN).unwrap_or(provided);
            return match self.allows(provided) && self.allows(shown) {
                true => Ok(Accepted::AsItIs),
                false => refused("this type is not allowed here"),
            };
        }
        match (self.mismatch, sniffed) {
            (Mismatch::Correct, Some(sniffed)) if self.allows(sniffed) => {
                Ok(Accepted::Corrected(sniffed))
            }
            _ => refused("the bytes are not of the declared type"),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Accepted {
    AsItIs,
    Corrected(&'static str),
}

/// The type without its parameters, in lower case.
fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Whether bytes of this type may be called that. Formats share containers, and some have several names.
fn agree(declared: &str, sniffed: Option<&str>) -> bool {
    let Some(sniffed) = sniffed else {
        // What has a signature and does not show it is something else. Texts may begin with anything.
        return declared == UNKNOWN
            || declared.starts_with("text/")
            || !infer::is_mime_supported(declared);
    };
    let office = declared.starts_with("application/vnd.")
        || declared.starts_with("application/ms")
        || declared.starts_with("application/x-ole");
    declared == sniffed
        || declared == UNKNOWN
        || match sniffed {
            "application/zip" => {
                office
                    || declared.ends_with("+zip")
                    || declared == "application/java-archive"
                    || declared == "application/x-zip-compressed"
            }
            "application/x-ole-storage" | "application/msword" => office,
            "text/xml" => declared == "application/xml" || declared.ends_with("+xml"),
            "application/gzip" => {
                declared == "application/x-gzip" || declared == "application/x-tgz"
            }
            "audio/mpeg" => declared == "audio/mp3",
            "audio/x-wav" => matches!(declared, "audio/wav" | "audio/wave" | "audio/vnd.wave"),
            "audio/m4a" => matches!(declared, "audio/mp4" | "audio/x-m4a"),
            "audio/ogg" => matches!(declared, "video/ogg" | "application/ogg"),
            "video/mp4" => matches!(declared, "audio/mp4" | "video/quicktime" | "video/x-m4v"),
            "video/webm" => declared == "audio/webm",
            "image/vnd.microsoft.icon" => declared == "image/x-icon",
            "image/heif" => declared == "image/heic",
            "text/html" => declared == "application/xhtml+xml",
            "text/x-shellscript" => declared == "application/x-sh",
            _ => false,
        }
}

impl Guards {
    /// Reads the beginning of a body and judges it: the same body again, and the type that it gets instead
    /// of the declared one.
    ///
    /// # Errors
    ///
    /// `InvalidFileType`, or the body's own.
    pub(crate) async fn sniff(
        &self,
        key: &Key,
        declared: Option<&str>,
        body: Body,
        patience: Patience<'_>,
    ) -> Result<(Body, Option<&'static str>)> {
        let Some(types) = &self.types else {
            return Ok((body, None));
        };
        let (verdict, body) = match body.as_once() {
            Some(bytes) => {
                let head = &bytes[..bytes.len().min(SNIFFED)];
                (types.judge(key, declared, head)?, body)
            }
            None => {
                let peeked = Peeked::of(body, patience).await?;
                let head = peeked.head();
                let verdict = types.judge(key, declared, &head)?;
                (verdict, Body::source(peeked))
            }
        };
        let corrected = match verdict {
            Accepted::AsItIs => None,
            Accepted::Corrected(content_type) => Some(content_type),
        };
        Ok((body, corrected))
    }

    /// Judges a declared type alone, for a URL that is signed before there are bytes.
    ///
    /// # Errors
    ///
    /// `InvalidFileType`.
    pub(crate) fn may_declare(&self, content_type: Option<&str>) -> Result<()> {
        match (&self.types, content_type) {
            (Some(types), Some(declared)) if !types.allows(declared) => {
                Err(Error::new(ErrorKind::InvalidFileType)
                    .with_message("this type is not allowed here")
                    .with_fact("provided", declared)
                    .with_fact("sniffed", "unknown")
                    .with_fact("allowed", types.allowed.join(", ")))
            }
            _ => Ok(()),
        }
    }
}

/// A body whose first chunks were read already.
struct Peeked {
    first: VecDeque<Bytes>,
    rest: Body,
}

impl Peeked {
    async fn of(mut body: Body, patience: Patience<'_>) -> Result<Self> {
        let (mut first, mut length) = (VecDeque::new(), 0);
        while length < SNIFFED
            && let Some(chunk) = patience.next(&mut body).await
        {
            let chunk = Bytes::from(chunk?);
            length += chunk.len();
            first.push_back(chunk);
        }
        Ok(Self { first, rest: body })
    }

    fn head(&self) -> Vec<u8> {
        let bytes = self.first.iter().flat_map(|chunk| chunk.iter());
        bytes.take(SNIFFED).copied().collect()
    }
}

impl Source for Peeked {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        match self.first.pop_front() {
            Some(chunk) => Poll::Ready(Some(Ok(chunk))),
            None => self
                .rest
                .poll_chunk(cx)
                .map(|next| next.map(|chunk| chunk.map(Bytes::from))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
    const HTML: &[u8] = b"<!DOCTYPE html><html></html>";
    const ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\x08\0";

    fn judge(types: &FileTypes, declared: Option<&str>, head: &[u8]) -> Option<Accepted> {
        match types.judge(Key::new("k"), declared, head) {
            Ok(verdict) => Some(verdict),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidFileType);
                assert!(error.fact("provided").is_some() && error.fact("allowed").is_some());
                None
            }
        }
    }

    /// P-13.
    #[test]
    fn lists_name_types_and_families_in_any_case_and_without_parameters() {
        let types = FileTypes::new(["Image/*", "text/plain", "application/json"]);
        for (content_type, allowed) in [
            ("image/png", true),
            ("IMAGE/svg+xml; charset=utf-8", true),
            ("text/plain;charset=utf-8", true),
            ("text/plain ; charset=utf-8", true),
            ("text/html", false),
            ("text/plainer", false),
            ("imagex/png", false),
            ("image", false),
            ("", false),
        ] {
            assert_eq!(types.allows(content_type), allowed, "{content_type}");
        }
        assert!(FileTypes::new(["*/*"]).allows("x/y"));
        assert!(!FileTypes::new([""; 0]).allows("x/y"));
    }

    #[test]
    fn both_types_must_be_allowed() {
        let images = FileTypes::new(["image/*"]);
        let all = FileTypes::new(["*/*"]);
        let unknown = FileTypes::new([UNKNOWN]);
        for (types, declared, head, stored) in [
            (&images, Some("image/png"), PNG, true),
            (&images, Some("image/png"), HTML, false),
            (&images, Some("image/png"), &b"plain text"[..], false),
            (&images, Some("image/png"), b"", false),
            (&images, Some("text/html"), PNG, false),
            (&images, None, PNG, true),
            (&images, None, HTML, false),
            (&images, None, b"plain text", false),
            // No signature to show.
            (&images, Some("image/svg+xml"), b"<svg/>", true),
            (&images, Some("image/svg+xml"), HTML, false),
            (&all, Some("text/plain"), HTML, false),
            (&all, Some("text/csv"), b"a,b", true),
            (&all, Some("application/epub+zip"), ZIP, true),
            (&all, Some("image/png"), ZIP, false),
            (&all, None, b"plain text", true),
            (&all, Some("text/html"), b"plain text", true),
            (&all, Some("application/octet-stream"), HTML, true),
            (&unknown, Some(UNKNOWN), HTML, false),
            (&unknown, Some(UNKNOWN), b"\x01\x02", true),
        ] {
            let verdict = judge(types, declared, head);
            assert_eq!(verdict.is_some(), stored, "{declared:?} {head:?}");
        }
    }

    #[test]
    fn a_contradiction_is_corrected_where_that_is_allowed() {
        let images = FileTypes::new(["image/*"]).mismatch(Mismatch::Correct);
        let corrected = Some(Accepted::Corrected("image/png"));
        assert_eq!(judge(&images, Some("image/gif"), PNG), corrected);
        assert_eq!(judge(&images, Some("text/plain"), PNG), corrected);
        assert_eq!(judge(&images, Some("image/gif"), HTML), None);
        assert_eq!(judge(&images, Some("image/gif"), b"plain"), None);
    }
}
