//! Keys as paths of URLs, and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Url;

/// Everything but what [RFC 3986, 2.3] calls unreserved, so that no server can mistake a character
/// of a key for one of its own.
///
/// [RFC 3986, 2.3]: https://www.rfc-editor.org/rfc/rfc3986#section-2.3
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The segments, each percent-encoded.
pub(crate) fn encoded(key: &str) -> String {
    let segments: Vec<String> = key
        .split('/')
        .map(|segment| utf8_percent_encode(segment, RESERVED).to_string())
        .collect();
    segments.join("/")
}

/// The URL of a key (or a folder, with a `/` at its end) below a folder.
pub(crate) fn below(folder: &Url, key: &str) -> Url {
    let mut url = folder.clone();
    // Not `join`: it would resolve `..`, and take a colon for a scheme.
    url.set_path(&format!("{}{}", folder.path(), encoded(key)));
    url
}

/// The path of an `href` of a multistatus, decoded, without the slashes at its ends. `None` when it
/// is not UTF-8.
pub(crate) fn path_of(href: &str) -> Option<String> {
    let path = match href.find("://") {
        // An absolute URL is as good as a path: RFC 4918, 8.3.
        Some(at) => {
            let rest = &href[at + 3..];
            &rest[rest.find('/').unwrap_or(rest.len())..]
        }
        None => href,
    };
    let path = percent_decode_str(path).decode_utf8().ok()?;
    Some(path.trim_matches('/').to_owned())
}

/// The names of a key on a server that does not list names which begin with a dot (nginx): there a
/// leading `.` is written `%2E`, and what looks like that gets one more `25`.
pub(crate) fn undotted(key: &str) -> String {
    let segments: Vec<_> = key
        .split('/')
        .map(
            |segment| match (segment.strip_prefix('.'), escapes(segment)) {
                (Some(rest), _) => format!("%2E{rest}"),
                (None, Some(_)) => format!("%25{}", &segment[1..]),
                (None, None) => segment.to_owned(),
            },
        )
        .collect();
    segments.join("/")
}

/// The way back, for one segment.
pub(crate) fn dotted(segment: &str) -> String {
    match escapes(segment) {
        Some(0) => format!(".{}", &segment[3..]),
        Some(_) => format!("%{}", &segment[3..]),
        None => segment.to_owned(),
    }
}

/// How many `25` stand between the `%` and the `2E` at the beginning.
fn escapes(segment: &str) -> Option<usize> {
    let mut rest = segment.strip_prefix('%')?;
    let mut count = 0;
    while let Some(shorter) = rest.strip_prefix("25") {
        rest = shorter;
        count += 1;
    }
    rest.starts_with("2E").then_some(count)
}

/// Credentials of [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617).
pub(crate) fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{name}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_exactly_and_come_back() {
        let folder = Url::parse("https://h:8/dav/x%20y/").unwrap();
        for (key, path) in [
            ("a/b", "/dav/x%20y/a/b"),
            ("a%2Fb", "/dav/x%20y/a%252Fb"),
            ("a?b#c;d", "/dav/x%20y/a%3Fb%23c%3Bd"),
            ("...", "/dav/x%20y/..."),
            ("é:@+ ~", "/dav/x%20y/%C3%A9%3A%40%2B%20~"),
            ("f/", "/dav/x%20y/f/"),
        ] {
            let url = below(&folder, key);
            assert_eq!(url.path(), path);
            let expected = format!("dav/x y/{}", key.trim_end_matches('/'));
            assert_eq!(path_of(url.path()).unwrap(), expected);
            assert_eq!(path_of(url.as_str()).unwrap(), expected);
        }
        assert_eq!(path_of("/a%FF"), None);
    }

    #[test]
    fn a_leading_dot_is_written_otherwise_and_read_back() {
        for (key, name) in [
            (".hidden", "%2Ehidden"),
            ("...", "%2E.."),
            ("%2Ex", "%252Ex"),
            ("%252Ex", "%25252Ex"),
            ("%25", "%25"),
            ("a.b", "a.b"),
            ("%2e", "%2e"),
        ] {
            assert_eq!(undotted(key), name);
            assert_eq!(dotted(name), key);
        }
        assert_eq!(undotted("a/.b/.c"), "a/%2Eb/%2Ec");
    }

    #[test]
    fn credentials() {
        assert_eq!(
            basic("Aladdin", "open sesame"),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(basic("test", "123\u{a3}"), "Basic dGVzdDoxMjPCow==");
        assert_eq!(basic("a", "bc"), "Basic YTpiYw==");
    }
}
