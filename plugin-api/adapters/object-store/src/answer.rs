//! What a provider's document says: its code, or that it is none.

use bytes::Bytes;
use holdall_plugin_api::ErrorKind;
use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use quick_xml::Reader;
use quick_xml::events::Event;

/// Longest document that is read: a page of 1000 entries of the longest keys, escaped, is 4 MiB.
pub(crate) const MAX_DOCUMENT: usize = 16 << 20;

/// Longest document of an error that is read, and longest text of a provider that is passed on.
pub(crate) const LONGEST_ERROR: usize = 8 << 10;
/// Longest code, id or address of a provider, in bytes.
const LONGEST_NAME: usize = 256;

/// A name of a provider: a code, an id, an address.
pub(crate) fn short(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_NAME)].to_owned()
}

/// What a document says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Looked {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    /// The right address, where the request went to another.
    pub(crate) endpoint: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) foreign: bool,
    /// An error that came with a good status.
    pub(crate) status_instead: Option<StatusCode>,
}

/// Whether the document is the result of a copy: a success without it proves nothing.
pub(crate) fn is_copied(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    [&b"CopyObjectResult"[..], b"CopyPartResult"]
        .iter()
        .any(|root| head.windows(root.len()).any(|window| window == *root))
}

/// Looks into a document. `failed`: its status is not a success.
pub(crate) fn look(headers: &HeaderMap, bytes: &Bytes, failed: bool) -> Looked {
    let mut looked = Looked::default();
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let text = bytes.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    match text.first() {
        None => return looked,
        Some(b'{') => json(text, &mut looked),
        // The root and an error are in the first kilobytes. A tag of megabytes, which no store sends, would
        // keep the thread busy.
        Some(b'<') => xml(&text[..text.len().min(LONGEST_ERROR)], &mut looked),
        Some(_) => looked.foreign = true,
    }
    looked.foreign |= kind.is_some_and(|kind| kind.starts_with("text/html"));
    // Some gateways of providers say it in HTML and yet in a header of theirs.
    let known = [
        "x-amz-request-id",
        "x-ms-request-id",
        "x-guploader-uploadid",
    ];
    let theirs = known.iter().any(|name| headers.contains_key(*name));
    looked.foreign &= looked.code.is_none() && !theirs;
    if !failed {
        looked.status_instead = match &looked.code {
            Some(code) => Some(status_of(code)),
            None if looked.foreign => Some(StatusCode::BAD_GATEWAY),
            None => None,
        };
    }
    looked
}

/// The status that should have come with this code. 5xx are repeated by the store's client.
fn status_of(code: &str) -> StatusCode {
    match crate::of_code(code) {
        Some(ErrorKind::Unavailable) => StatusCode::INTERNAL_SERVER_ERROR,
        Some(ErrorKind::RateLimited) => StatusCode::SERVICE_UNAVAILABLE,
        Some(ErrorKind::FileNotFound | ErrorKind::ContainerMissing) => StatusCode::NOT_FOUND,
        Some(ErrorKind::PermissionDenied | ErrorKind::Unauthenticated) => StatusCode::FORBIDDEN,
        Some(ErrorKind::PreconditionFailed) => StatusCode::PRECONDITION_FAILED,
        Some(ErrorKind::Conflict) => StatusCode::CONFLICT,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// `<Error><Code>..</Code><RequestId>..</RequestId></Error>`; anything else at the root says nothing.
fn xml(text: &[u8], looked: &mut Looked) {
    let mut reader = Reader::from_reader(text);
    let mut depth = 0;
    let mut field = Vec::new();
    // Bounded: an error has a handful of elements, and a page is not read to its end.
    for _ in 0..64 {
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let name = start.local_name();
                let name = name.as_ref();
                if depth == 0 && name != b"Error" {
                    looked.foreign = name.eq_ignore_ascii_case(b"html");
                    return;
                }
                depth += 1;
                field = name.to_vec();
            }
            Ok(Event::Text(value)) if depth == 2 => {
                let value = String::from_utf8_lossy(&value);
                let value = value.trim();
                match field.as_slice() {
                    b"Code" => looked.code = Some(short(value)),
                    b"Message" => looked.message = Some(value.to_owned()),
                    b"Endpoint" => looked.endpoint = Some(short(value)),
                    b"RequestId" => looked.request_id = Some(short(value)),
                    _ => {}
                }
            }
            Ok(Event::End(_)) => {
                depth -= 1;
                field.clear();
                if depth == 0 {
                    return;
                }
            }
            Ok(Event::DocType(_)) => looked.foreign = true,
            Ok(Event::Eof) | Err(_) => {
                looked.foreign |= depth == 0;
                return;
            }
            Ok(_) => {}
        }
    }
}

/// Google's: `{"error":{"code":404,"errors":[{"reason":"notFound"}]}}`, or OAuth's
/// `{"error":"invalid_grant"}`.
fn json(text: &[u8], looked: &mut Looked) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(text) else {
        looked.foreign = true;
        return;
    };
    let error = &value["error"];
    let code = [
        &error["errors"][0]["reason"],
        &error["status"],
        &error["code"],
        error,
    ];
    looked.code = code.into_iter().find_map(|code| code.as_str()).map(short);
    looked.message = error["message"].as_str().map(str::to_owned);
}

/// Makes headers readable for the store's client, which refuses a whole answer for one that is not
/// ASCII (user metadata that another program has put there): such a value becomes an encoded word.
pub(crate) fn only_ascii(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        if value.to_str().is_ok() {
            continue;
        }
        let text = String::from_utf8_lossy(value.as_bytes());
        let word = crate::metadata::encode(&text);
        if let Ok(word) = HeaderValue::from_str(&word) {
            *value = word;
        }
    }
}

/// Refuses a range that no object has, which the store's client takes for one. Some stores answer so where
/// they should refuse, when what was asked for begins at the end: Garage says
/// `bytes 0-18446744073709551615/0` of an empty object (the client counts one further), Azurite
/// `bytes 5-4/5`. Anything else like it is no answer.
pub(crate) fn only_possible_ranges(parts: &mut Parts) {
    if parts.status != StatusCode::PARTIAL_CONTENT {
        return;
    }
    let value = parts.headers.get(CONTENT_RANGE);
    let Some((first, last, size)) = value.and_then(|value| range(value.to_str().ok()?)) else {
        // The client says itself that it cannot read it.
        return;
    };
    if first >= size {
        parts.status = StatusCode::RANGE_NOT_SATISFIABLE;
        if let Ok(none) = HeaderValue::try_from(format!("bytes */{size}")) {
            parts.headers.insert(CONTENT_RANGE, none);
        }
    } else if first > last || last >= size {
        parts.status = StatusCode::BAD_GATEWAY;
    }
}

fn range(value: &str) -> Option<(u64, u64, u64)> {
    let (range, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?, size.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(text: &'static str, failed: bool) -> Looked {
        look(&HeaderMap::new(), &Bytes::from(text), failed)
    }

    #[test]
    fn a_range_that_no_object_has_is_none() {
        let judged = |value: &'static str| {
            let answer = http::Response::builder().status(206);
            let answer = answer.header(CONTENT_RANGE, value).body(()).unwrap();
            let mut parts = answer.into_parts().0;
            only_possible_ranges(&mut parts);
            (parts.status.as_u16(), parts.headers[CONTENT_RANGE].clone())
        };
        for (past, size) in [
            ("bytes 0-18446744073709551615/0", "bytes */0"),
            ("bytes 5-4/5", "bytes */5"),
            ("bytes 7-4/5", "bytes */5"),
        ] {
            assert_eq!(
                judged(past),
                (416, HeaderValue::from_static(size)),
                "{past}"
            );
        }
        for (value, status) in [
            ("bytes 0-0/1", 206),
            ("bytes 1-1/2", 206),
            ("bytes 0-1/1", 502),
            ("bytes 2-1/3", 502),
            ("bytes 0-18446744073709551615/7", 502),
            ("bytes 0-0/*", 206),
        ] {
            assert_eq!(judged(value).0, status, "{value}");
        }
    }

    #[test]
    fn the_code_of_each_provider() {
        let s3 = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>m</Message><RequestId>r1</RequestId></Error>";
        assert_eq!(looked(s3, true).code.as_deref(), Some("NoSuchKey"));
        assert_eq!(looked(s3, true).request_id.as_deref(), Some("r1"));
        let azure = "\u{feff}<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code></Error>";
        assert_eq!(looked(azure, true).code.as_deref(), Some("BlobNotFound"));
        let google = r#"{"error":{"code":404,"errors":[{"reason":"notFound"}]}}"#;
        assert_eq!(looked(google, true).code.as_deref(), Some("notFound"));
        let oauth = r#"{"error":"invalid_grant"}"#;
        assert_eq!(looked(oauth, true).code.as_deref(), Some("invalid_grant"));
    }

    #[test]
    fn an_error_with_a_good_status_is_an_error() {
        let late = "<Error><Code>InternalError</Code></Error>";
        assert_eq!(
            looked(late, false).status_instead,
            Some(StatusCode::INTERNAL_SERVER_ERROR)
        );
        let good = "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>";
        assert_eq!(looked(good, false), Looked::default());
        assert_eq!(looked("", false), Looked::default());
    }

    #[test]
    fn pages_of_others_are_foreign() {
        for page in [
            "<!DOCTYPE html><html><body>log in</body></html>",
            "<html>busy</html>",
            "Bad gateway",
            "<Error><Code",
        ] {
            assert!(
                looked(page, true).foreign || page.starts_with("<Error"),
                "{page}"
            );
        }
        assert_eq!(
            looked("<html>busy</html>", false).status_instead,
            Some(StatusCode::BAD_GATEWAY)
        );
    }

    #[test]
    fn a_tag_longer_than_an_error_is_foreign() {
        let tag = |count| Bytes::from(format!("<ListBucketResult{}>", " a='b'".repeat(count)));
        let looked = |count| look(&HeaderMap::new(), &tag(count), false).status_instead;
        assert_eq!(looked(10), None);
        assert_eq!(looked(10_000), Some(StatusCode::BAD_GATEWAY));
    }

    #[test]
    fn a_header_of_another_program_does_not_end_the_read() {
        let mut headers = HeaderMap::new();
        let raw = HeaderValue::from_bytes("caf\u{e9}".as_bytes()).unwrap();
        headers.insert("x-amz-meta-a", raw);
        only_ascii(&mut headers);
        let value = headers["x-amz-meta-a"].to_str().unwrap();
        assert_eq!(crate::metadata::decode(value), "caf\u{e9}");
    }
}
