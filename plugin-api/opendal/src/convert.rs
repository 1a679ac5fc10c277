//! Facts and options, from one side's words into the other's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use holdall_plugin_api::{ObjectInfo, Result, UploadOptions};
use opendal_core::Metadata;
use opendal_core::options::WriteOptions;
use opendal_core::raw::Timestamp;
use std::time::SystemTime;

pub(crate) fn info(metadata: &Metadata) -> ObjectInfo {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let mut info = ObjectInfo::new(metadata.content_length());
    info.etag = metadata.etag().map(etag);
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
        .map(|(name, value)| (name.to_ascii_lowercase(), decoded(value)))
        .collect();
    info.checksums.md5 = metadata
        .content_md5()
        .and_then(|md5| BASE64.decode(md5).ok()?.try_into().ok());
    info
}

/// An etag as it stands in a header. Some services leave the quotes out in listings, and an etag
/// has to be equal wherever it is met.
pub(crate) fn etag(etag: &str) -> String {
    if etag.ends_with('"') {
        etag.to_owned()
    } else {
        format!("\"{etag}\"")
    }
}

pub(crate) fn timestamp(time: SystemTime) -> Result<Timestamp> {
    Timestamp::try_from(time).map_err(|error| {
        holdall_plugin_api::Error::invalid("a time that no HTTP date can say").because(error)
    })
}

/// What an upload asks to be kept, and under which condition.
pub(crate) fn write_options(options: &UploadOptions<'_>) -> WriteOptions {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    WriteOptions {
        content_type: owned(options.content_type),
        cache_control: owned(options.headers.cache_control),
        content_disposition: owned(options.headers.content_disposition),
        content_encoding: owned(options.headers.content_encoding),
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
    }
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
    fn an_etag_has_quotes() {
        assert_eq!(etag("0x8D"), "\"0x8D\"");
        assert_eq!(etag("\"a\""), "\"a\"");
        assert_eq!(etag("W/\"a\""), "W/\"a\"");
    }
}
