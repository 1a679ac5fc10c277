//! Facts and options, from one side's words into the other's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use holdall_plugin_api::{Error, ObjectInfo, ReadOptions, Result, UploadOptions};
use opendal_core::Metadata;
use opendal_core::options::WriteOptions;
use opendal_core::raw::Timestamp;
use std::time::SystemTime;

/// The facts of an object. `beside`: user metadata that the operator has left out.
pub(crate) fn info(metadata: &Metadata, beside: &[(String, String)]) -> ObjectInfo {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let mut info = ObjectInfo::new(metadata.content_length());
    info.etag = owned(metadata.etag());
    info.version = owned(metadata.version());
    info.last_modified = metadata.last_modified().map(SystemTime::from);
    info.content_type = owned(metadata.content_type());
    info.cache_control = owned(metadata.cache_control());
    info.content_disposition = owned(metadata.content_disposition());
    info.content_encoding = owned(metadata.content_encoding());
    info.metadata = metadata
        .user_metadata()
        .into_iter()
        .flatten()
        .chain(beside.iter().map(|(name, value)| (&**name, &**value)))
        .map(|(name, value)| (name.to_ascii_lowercase(), decoded(value)))
        .collect();
    info.checksums.md5 = metadata
        .content_md5()
        .and_then(|md5| BASE64.decode(md5).ok()?.try_into().ok());
    info
}

/// An etag of a listing, or of another document, as it stands in a header: some services leave the
/// quotes out there, and an etag has to be equal wherever it is met.
pub(crate) fn listed_etag(etag: &str, quotes: bool) -> String {
    if !quotes || etag.ends_with('"') {
        etag.to_owned()
    } else {
        format!("\"{etag}\"")
    }
}

/// Longest texts of a request together. OpenDAL panics beyond 64 KiB, and no service takes as much.
const MAX_TEXTS: usize = 32 << 10;

/// Refuses what is longer than any service takes.
pub(crate) fn bounded<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> Result<()> {
    let size: usize = texts.into_iter().flatten().map(str::len).sum();
    if size <= MAX_TEXTS {
        return Ok(());
    }
    let error = Error::invalid("conditions, headers and metadata are too long");
    Err(error
        .with_fact("limit", MAX_TEXTS)
        .with_fact("requested", size))
}

/// What the conditions of a read say, to be [`bounded`].
pub(crate) fn read_texts<'a>(options: &ReadOptions<'a>) -> [Option<&'a str>; 3] {
    [options.if_match, options.if_none_match, options.version]
}

pub(crate) fn timestamp(time: SystemTime) -> Result<Timestamp> {
    Timestamp::try_from(time)
        .map_err(|error| Error::invalid("a time that no HTTP date can say").because(error))
}

/// What an upload asks to be kept, and under which condition.
///
/// # Errors
///
/// `InvalidArgument`: more text than any service takes.
pub(crate) fn write_options(options: &UploadOptions<'_>) -> Result<WriteOptions> {
    let headers = &options.headers;
    let pairs = options.metadata.iter();
    bounded(
        [
            options.content_type,
            headers.cache_control,
            headers.content_disposition,
            headers.content_encoding,
            options.if_match,
        ]
        .into_iter()
        .chain(pairs.flat_map(|(name, value)| [Some(*name), Some(*value)])),
    )?;
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Ok(WriteOptions {
        content_type: owned(options.content_type),
        cache_control: owned(headers.cache_control),
        content_disposition: owned(headers.content_disposition),
        content_encoding: owned(headers.content_encoding),
        user_metadata: (!options.metadata.is_empty()).then(|| {
            options
                .metadata
                .iter()
                .map(|(name, value)| ((*name).to_owned(), encoded(value)))
                .collect()
        }),
        if_match: owned(options.if_match),
        if_not_exists: options.create_only,
        ..WriteOptions::default()
    })
}

const OPEN: &str = "=?UTF-8?B?";
const CLOSE: &str = "?=";

/// A value as a header can carry it: as it is when a header carries it exactly, else as one encoded
/// word ([RFC 2047]), which is the form in which S3 itself gives out what is not ASCII.
///
/// [RFC 2047]: https://www.rfc-editor.org/rfc/rfc2047
fn encoded(value: &str) -> String {
    let exact = !value.is_empty()
        && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && value.trim() == value
        && !value.starts_with(OPEN);
    if exact {
        value.to_owned()
    } else {
        format!("{OPEN}{}{CLOSE}", BASE64.encode(value))
    }
}

fn decoded(value: &str) -> String {
    let word = || {
        let inside = value.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
        String::from_utf8(BASE64.decode(inside).ok()?).ok()
    };
    word().unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_survives_a_header() {
        for value in [
            "",
            "plain",
            "a b",
            " outer ",
            "grün",
            "=?UTF-8?B?eA==?=",
            "emoji 🦀",
        ] {
            let header = encoded(value);
            assert!(
                header
                    .bytes()
                    .all(|byte| matches!(byte, b'!'..=b'~' | b' '))
                    && header.trim() == header,
                "{header:?}"
            );
            assert_eq!(decoded(&header), value);
        }
        assert_eq!(encoded("plain"), "plain");
        assert_eq!(decoded("=?UTF-8?B?not base64?="), "=?UTF-8?B?not base64?=");
    }

    #[test]
    fn an_etag_of_a_listing_has_quotes_where_they_were_left_out() {
        assert_eq!(listed_etag("0x8D", true), "\"0x8D\"");
        assert_eq!(listed_etag("\"a\"", true), "\"a\"");
        assert_eq!(listed_etag("17", false), "17");
    }

    #[test]
    fn texts_are_bounded_together() {
        let half = "x".repeat(MAX_TEXTS / 2);
        assert!(bounded([Some(half.as_str()), None, Some(&half)]).is_ok());
        assert!(bounded([Some(half.as_str()), Some(&half), Some("x")]).is_err());
    }
}
