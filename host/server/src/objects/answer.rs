//! The JSON of answers.

use std::time::SystemTime;

use axum::body::Body;
use axum::response::Response;
use holdall::{Checksums, Copied, Entry, Page, Uploaded};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(value).expect("answers are plain data, which JSON can hold");
    let length = bytes.len();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, length.into());
    response
}

/// Reads the JSON of a request, whatever its `Content-Type` says: `curl -d` claims a form.
///
/// # Errors
///
/// 400, with what is wrong and where.
pub(crate) fn read_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    // Of a list serde would take the elements for the members.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::invalid("the body is a JSON object"));
    }
    serde_json::from_slice(bytes)
        .map_err(|why| Problem::invalid(format!("the body is no such JSON: {why}")))
}

/// An object was stored or copied.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Stored {
    /// Its key.
    pub(crate) key: String,
    /// Its size in bytes, where the store tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// As in the header: in quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    /// In hexadecimal digits.
    #[serde(skip_serializing_if = "Digests::is_empty")]
    checksums: Digests,
    /// Where it can be read without a signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl Stored {
    pub(crate) fn uploaded(key: &str, uploaded: Uploaded) -> Self {
        Self {
            key: key.to_owned(),
            size: Some(uploaded.size),
            etag: uploaded.etag.clone(),
            version: uploaded.version,
            last_modified: uploaded.last_modified.and_then(date),
            checksums: Digests::of(&uploaded.checksums),
            url: uploaded.url,
        }
    }

    pub(crate) fn copied(key: &str, copied: Copied) -> Self {
        Self {
            key: key.to_owned(),
            size: copied.size,
            etag: copied.etag.clone(),
            last_modified: copied.last_modified.and_then(date),
            ..Self::default()
        }
    }
}

/// The answer for a stored object, with its etag as a header too.
pub(crate) fn stored(status: StatusCode, stored: Stored) -> Response {
    let etag = stored
        .etag
        .as_deref()
        .and_then(|etag| HeaderValue::from_str(etag).ok());
    let mut response = json(status, &stored);
    if let Some(etag) = etag {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

/// Digests in hexadecimal digits.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Digests {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crc32c: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    md5: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl Digests {
    fn of(checksums: &Checksums) -> Self {
        Self {
            crc32c: checksums.crc32c.map(|digest| hex(&digest.to_be_bytes())),
            md5: checksums.md5.map(|digest| hex(&digest)),
            sha256: checksums.sha256.map(|digest| hex(&digest)),
        }
    }

    fn is_empty(&self) -> bool {
        self.crc32c.is_none() && self.md5.is_none() && self.sha256.is_none()
    }

    /// # Errors
    ///
    /// 400: not so many digits.
    pub(crate) fn checksums(&self) -> Result<Checksums, Problem> {
        let mut checksums = Checksums::NONE;
        checksums.crc32c = unhex(&self.crc32c, "crc32c")?.map(u32::from_be_bytes);
        checksums.md5 = unhex(&self.md5, "md5")?;
        checksums.sha256 = unhex(&self.sha256, "sha256")?;
        Ok(checksums)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &Option<String>, name: &str) -> Result<Option<[u8; N]>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let wrong = || Problem::invalid(format!("{name} is {} hexadecimal digits", 2 * N));
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let mut bytes = [0; N];
    for (byte, at) in bytes.iter_mut().zip((0..2 * N).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(Some(bytes))
}

/// A page of a listing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listing {
    entries: Vec<Listed>,
    common_prefixes: Vec<String>,
    /// Asks for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
    /// Objects that were left out because their names are not portable.
    skipped: u64,
}

/// One object of a listing.
#[derive(Debug, Serialize, ToSchema)]
struct Listed {
    key: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
}

impl From<Page> for Listing {
    fn from(page: Page) -> Self {
        Self {
            entries: page.entries.into_iter().map(Listed::from).collect(),
            common_prefixes: page.common_prefixes,
            next_page_token: page.next,
            skipped: page.skipped,
        }
    }
}

impl From<Entry> for Listed {
    fn from(entry: Entry) -> Self {
        Self {
            key: entry.key,
            size: entry.size,
            etag: entry.etag.clone(),
            last_modified: entry.last_modified.and_then(date),
        }
    }
}

/// RFC 3339, in milliseconds; none for a time outside the years -9999 to 9999.
pub(crate) fn date(at: SystemTime) -> Option<String> {
    let at = jiff::Timestamp::try_from(at).ok()?;
    Some(format!("{at:.3}"))
}
