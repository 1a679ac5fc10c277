//! What is said about an object: from and to headers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdall::{ObjectInfo, Upload, implied_content_type};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::call::decode;
use crate::digests::{self, REPR_DIGEST};
use crate::problem::Problem;

/// How the headers of user metadata begin. Their values are percent-encoded UTF-8, decoded once.
const METADATA: &str = "holdall-meta-";
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');
const ENCODED_WITH_SPACES: &AsciiSet = &ENCODED.add(b' ');

/// What a request says about the object that it stores.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) content_type: Option<String>,
    cache_control: Option<String>,
    content_disposition: Option<String>,
    content_encoding: Option<String>,
    content_language: Option<String>,
    metadata: Vec<(String, String)>,
}

impl Facts {
    /// # Errors
    ///
    /// 400: a value that is not ASCII, or badly encoded.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name: HeaderName| text(headers, &name);
        let mut facts = Self {
            content_type: text(CONTENT_TYPE)?,
            cache_control: text(CACHE_CONTROL)?,
            content_disposition: text(CONTENT_DISPOSITION)?,
            content_encoding: text(CONTENT_ENCODING)?,
            content_language: text(CONTENT_LANGUAGE)?,
            metadata: Vec::new(),
        };
        for (name, value) in headers {
            let Some(short) = name.as_str().strip_prefix(METADATA) else {
                continue;
            };
            // Bytes beyond ASCII are what a client sends that does not encode.
            let value =
                std::str::from_utf8(value.as_bytes()).map_err(|_| "the bytes are not UTF-8");
            let value = value.and_then(decode);
            let value = value.map_err(|why| Problem::invalid(format!("{name}: {why}")))?;
            facts.metadata.push((short.to_owned(), value));
        }
        Ok(facts)
    }

    pub(crate) fn apply<'a>(&'a self, mut upload: Upload<'a>) -> Upload<'a> {
        let options = upload.options_mut();
        options.content_type = self.content_type.as_deref();
        options.headers.cache_control = self.cache_control.as_deref();
        options.headers.content_disposition = self.content_disposition.as_deref();
        options.headers.content_encoding = self.content_encoding.as_deref();
        options.headers.content_language = self.content_language.as_deref();
        let pairs = self.metadata.iter();
        options.metadata = pairs.map(|(name, value)| (&**name, &**value)).collect();
        upload
    }

    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        self.content_type.is_none()
            && self.cache_control.is_none()
            && self.content_disposition.is_none()
            && self.content_encoding.is_none()
            && self.content_language.is_none()
            && self.metadata.is_empty()
    }
}

/// The value of a header that stands once. Several lines are one, joined as lists are.
fn text(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let lines: Result<Vec<_>, _> = headers
        .get_all(name)
        .iter()
        .map(HeaderValue::to_str)
        .collect();
    let lines = lines.map_err(|_| Problem::invalid(format!("{name} is not ASCII")))?;
    if *name == CONTENT_TYPE && lines.len() > 1 {
        return Err(Problem::invalid(format!("{name} stands twice")));
    }
    Ok((!lines.is_empty()).then(|| lines.join(", ")))
}

/// Writes everything that is known of an object, but its size. An object without a content type has
/// the one that its key implies.
pub(crate) fn write(headers: &mut HeaderMap, key: &str, info: &ObjectInfo) {
    validators(headers, info);
    let stored = info.content_type.as_deref();
    let content_type = match stored {
        Some(stored) => value(stored),
        None => implied_content_type(key).map(HeaderValue::from_static),
    };
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, content_type.unwrap_or(octets));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(text) = info.content_disposition.as_deref() {
        // Never left out: "attachment" keeps a page of a stranger from being shown.
        let ascii = text.replace(|c: char| !matches!(c, ' '..='~'), "_");
        if let Some(value) = value(&ascii) {
            headers.insert(CONTENT_DISPOSITION, value);
        }
    }
    for (name, text) in [
        (CONTENT_ENCODING, &info.content_encoding),
        (CONTENT_LANGUAGE, &info.content_language),
    ] {
        if let Some(value) = text.as_deref().and_then(value) {
            headers.insert(name, value);
        }
    }
    if let Some(digest) = digests::header(&info.checksums) {
        headers.insert(REPR_DIGEST, digest);
    }
    for (name, text) in &info.metadata {
        let name = HeaderName::try_from(format!("{METADATA}{name}"));
        let set = if text.trim() == text {
            ENCODED
        } else {
            ENCODED_WITH_SPACES
        };
        if let (Ok(name), Some(value)) = (name, value(&utf8_percent_encode(text, set).to_string()))
        {
            headers.append(name, value);
        }
    }
}

/// Writes what a cache needs, which is all that stands in a 304 (RFC 9110, 15.4.5).
pub(crate) fn validators(headers: &mut HeaderMap, info: &ObjectInfo) {
    if let Some(etag) = info.etag.as_deref().and_then(etag) {
        headers.insert(ETAG, etag);
    }
    if let Some(date) = modified(info)
        .map(httpdate::fmt_http_date)
        .as_deref()
        .and_then(value)
    {
        headers.insert(LAST_MODIFIED, date);
    }
    if let Some(value) = info.cache_control.as_deref().and_then(value) {
        headers.insert(CACHE_CONTROL, value);
    }
}

/// An etag, which the library has in the form of a header.
pub(crate) fn etag(etag: &str) -> Option<HeaderValue> {
    value(etag)
}

/// Seconds from 1970 to the year 10000.
const END_OF_9999: u64 = 253_402_300_800;

/// When the object changed, in whole seconds as headers have it; none for a time that no header can
/// have.
pub(crate) fn modified(info: &ObjectInfo) -> Option<SystemTime> {
    info.last_modified.and_then(date)
}

/// A time in whole seconds; none for one that no header can have.
pub(crate) fn date(at: SystemTime) -> Option<SystemTime> {
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    // The format of headers has years of four digits.
    (since.as_secs() < END_OF_9999).then(|| UNIX_EPOCH + Duration::from_secs(since.as_secs()))
}

/// What a header can carry, which is printable ASCII. A store may hold what other programs put there.
fn value(text: &str) -> Option<HeaderValue> {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    HeaderValue::from_str(text).ok().filter(|_| printable)
}

/// Whether a browser runs scripts of a document of this type.
pub(crate) fn is_active(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "text/html" || essence == "text/xml" || essence.ends_with("xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survives_whatever_its_text() {
        let texts = ["plain", "é 😀", "50%", " spaces ", "a, b; c=\"d\"", ""];
        let mut info = ObjectInfo::new(0);
        info.metadata = texts
            .iter()
            .enumerate()
            .map(|(index, text)| (format!("n-{index}"), (*text).to_owned()))
            .collect();
        let mut headers = HeaderMap::new();
        write(&mut headers, "key", &info);
        for value in headers.values() {
            assert!(value.to_str().is_ok(), "ASCII: {value:?}");
        }
        headers.remove(CONTENT_TYPE);
        headers.remove(ACCEPT_RANGES);
        let mut facts = Facts::of(&headers).unwrap();
        facts.metadata.sort();
        assert_eq!(facts.metadata, info.metadata);
    }

    #[test]
    fn what_no_header_can_carry_is_an_error_or_left_out() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "holdall-meta-a",
            HeaderValue::from_bytes("é".as_bytes()).unwrap(),
        );
        assert_eq!(Facts::of(&headers).unwrap().metadata[0].1, "é");
        headers.insert("holdall-meta-a", HeaderValue::from_bytes(&[0xff]).unwrap());
        assert!(Facts::of(&headers).is_err());
        headers.insert("holdall-meta-a", HeaderValue::from_static("%zz"));
        assert!(Facts::of(&headers).is_err());
        let mut info = ObjectInfo::new(0);
        info.content_type = Some("a\r\nb".to_owned());
        let mut headers = HeaderMap::new();
        write(&mut headers, "key", &info);
        assert_eq!(headers[CONTENT_TYPE], "application/octet-stream");
    }
}
