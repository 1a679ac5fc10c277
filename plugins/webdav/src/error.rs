//! The one place where an answer of the server, or none, becomes an error of the contract.

use crate::multistatus::Fault;
use holdall_plugin_api::{Cause, Error, ErrorKind, ProviderReply, Retry};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, HeaderMap, LOCATION, RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// What a refused request was about: the same status means different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Reading an object: a repeat is harmless.
    Reading,
    /// Something in `staging`, which is not visible.
    Staging,
    /// Publishing, removing: what became of it may be unknown.
    Changing,
    /// The root, at the opening and for health.
    Root,
}

/// Longest body of an error that is looked into.
pub(crate) const LOOK: usize = 8 << 10;
/// Longest code or id of a server, in bytes.
const LONGEST_NAME: usize = 256;

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_NAME)].to_owned()
}

/// Scheme, host and port of a redirect. What follows may hold a secret.
fn redirected_to(headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok()?;
    let origin = reqwest::Url::parse(location).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// An answer with a status that is no success.
pub(crate) fn from_status(
    about: About,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Error {
    let code = provider_code(body);
    // RFC 4331, 6: of a quota and of a full disk, which have the same status.
    let is_quota = status.as_u16() == 507 && code.as_deref() == Some("quota-not-exceeded");
    let (kind, message) = match (status.as_u16(), about) {
        (401, _) => (
            ErrorKind::Unauthenticated,
            "the server does not know these credentials",
        ),
        (403, _) => (ErrorKind::PermissionDenied, "the server forbids it"),
        (404 | 410, About::Root) => (
            ErrorKind::ContainerMissing,
            "the folder of `url` does not exist on the server",
        ),
        (404 | 410, _) => (ErrorKind::FileNotFound, ""),
        (405 | 501, About::Root) => (
            ErrorKind::ConfigInvalid,
            "the server has no WebDAV at `url`",
        ),
        (405 | 501, _) => (
            ErrorKind::Unsupported,
            "the server does not have this method",
        ),
        (408 | 504, _) => (ErrorKind::Timeout, "the server says that it took too long"),
        (409, _) => (
            ErrorKind::Conflict,
            "something on the server is in the way of it",
        ),
        (412, _) => (
            ErrorKind::PreconditionFailed,
            "a condition does not hold on the server",
        ),
        (413, _) => (
            ErrorKind::TooLarge,
            "the server takes no object of this size",
        ),
        (416, _) => (ErrorKind::InvalidRange, ""),
        (423, _) => (ErrorKind::Conflict, "another client has locked it"),
        (429, _) => (ErrorKind::RateLimited, "the server throttles"),
        (507, _) if is_quota => (
            ErrorKind::QuotaExceeded,
            "the quota of this folder is used up",
        ),
        (507, _) => (ErrorKind::QuotaExceeded, "the server's storage is full"),
        (300..=399, _) => (
            ErrorKind::ConfigInvalid,
            "the server redirects and does not say where; redirects are not followed",
        ),
        (500..=599, _) => (ErrorKind::Unavailable, "the server has failed"),
        (200..=299, _) => (
            ErrorKind::Unavailable,
            "the server's answer is not what WebDAV has for this request",
        ),
        _ => (ErrorKind::Other, "the server refuses the request"),
    };
    let mut error = Error::new(kind).with_message(message).with_provider(
        ProviderReply::new()
            .status(Some(status.as_u16()))
            .code(code.map(|code| short(&code)))
            .request_id(
                ["x-request-id", "x-amzn-requestid", "x-correlation-id"]
                    .iter()
                    .find_map(|name| headers.get(*name))
                    .and_then(|id| id.to_str().ok())
                    .map(short),
            ),
    );
    if is_quota {
        error = error.with_fact("scope", "provider");
    }
    if status.is_redirection()
        && let Some(location) = redirected_to(headers)
    {
        error = error
            .with_message(format!(
                "the server redirects to {location}; redirects are not followed: `url` must be the address that it redirects to"
            ))
            .with_fact("location", location);
    }
    error = with_retry(error, about);
    if kind == ErrorKind::InvalidRange
        && let Some(size) = headers.get(CONTENT_RANGE).and_then(|text| {
            text.to_str()
                .ok()?
                .strip_prefix("bytes */")?
                .parse::<u64>()
                .ok()
        })
    {
        error = error.with_fact("size", size);
    }
    match retry_after(headers) {
        Some(after) if matches!(kind, ErrorKind::RateLimited | ErrorKind::Unavailable) => {
            error.with_retry(Retry::After(after))
        }
        _ => error,
    }
}

/// Where nothing can have changed, a repeat is safe.
fn with_retry(error: Error, about: About) -> Error {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Timeout
            if matches!(about, About::Reading | About::Root) =>
        {
            error.with_retry(Retry::Safe)
        }
        _ => error,
    }
}

/// Seconds, or a date: [RFC 9110, 10.2.3]. Longer than an hour is cut: no caller waits for years because
/// a server says so.
///
/// [RFC 9110, 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let wait = match text.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(text).ok()?;
            at.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wait.min(Duration::from_secs(3600)))
}

/// The name of the condition, or of SabreDAV's exception (Nextcloud), in a `DAV:error` body.
fn provider_code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = quick_xml::NsReader::from_str(text);
    let mut first = None;
    let mut in_exception = false;
    let mut depth = 0;
    loop {
        use quick_xml::events::Event;
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let name = start.local_name().into_inner().to_owned();
                if depth == 0 && name != "error" {
                    return None;
                }
                in_exception = depth == 1 && name == "exception";
                if depth == 1 && !in_exception && name != "message" {
                    first.get_or_insert(name);
                }
                depth += 1;
            }
            Ok(Event::Empty(start)) if depth == 1 => {
                first.get_or_insert(start.local_name().into_inner().to_owned());
            }
            Ok(Event::Text(name)) if in_exception => {
                let name = name.xml10_content();
                return name.rsplit('\\').next().map(str::to_owned);
            }
            Ok(Event::End(_)) => depth -= 1,
            Ok(Event::Eof) | Err(_) => return first,
            Ok(_) => {}
        }
    }
}

/// No answer: the request, or the body of its answer, did not come through.
pub(crate) fn from_transport(about: About, cause: reqwest::Error) -> Error {
    // The URL has the key, which the host adds itself.
    let cause = cause.without_url();
    let (kind, message) = if cause.is_timeout() {
        (ErrorKind::Timeout, "the server does not answer in time")
    } else if let Some(why) = distrust(&cause) {
        (ErrorKind::Unavailable, why)
    } else if cause.is_connect() {
        (ErrorKind::Unavailable, "no connection to the server")
    } else if cause.is_builder() {
        (ErrorKind::Other, "the request cannot be made")
    } else {
        (ErrorKind::Unavailable, "the connection to the server broke")
    };
    // A connection that never was has changed nothing.
    let about = if cause.is_connect() {
        About::Reading
    } else {
        about
    };
    with_retry(Error::new(kind).with_message(message).because(cause), about)
}

/// Why the certificate of the server is refused, and the cure.
fn distrust(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    use rustls::CertificateError as C;
    let mut link = Some(cause);
    while let Some(cause) = link {
        // Inside of an `io::Error`, whose `source` skips what it holds.
        let inner = cause.downcast_ref::<std::io::Error>();
        if let Some(found) = inner
            .and_then(std::io::Error::get_ref)
            .and_then(|inner| distrust(inner))
        {
            return Some(found);
        }
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return Some(match error {
                rustls::Error::InvalidCertificate(C::UnknownIssuer) => {
                    "the issuer of the server's certificate is not trusted; name the certificate of the issuer in `ca_file`"
                }
                rustls::Error::InvalidCertificate(
                    C::Expired
                    | C::ExpiredContext { .. }
                    | C::NotValidYet
                    | C::NotValidYetContext { .. },
                ) => "the server's certificate has expired or is not valid yet",
                rustls::Error::InvalidCertificate(
                    C::NotValidForName | C::NotValidForNameContext { .. },
                ) => {
                    "the server's certificate is for another host; `url` must name a host of the certificate"
                }
                // webpki's own error, whose type is not exported.
                rustls::Error::InvalidCertificate(C::Other(other))
                    if format!("{other:?}").contains("CaUsedAsEndEntity") =>
                {
                    "the server's certificate is that of a certificate authority; give the server a certificate of its own (`basicConstraints = CA:FALSE`), signed by that authority or by itself"
                }
                _ => "the server's certificate or protocol is refused",
            });
        }
        link = cause.source();
    }
    None
}

/// Nothing came within the time that is allowed.
pub(crate) fn too_slow(about: About) -> Error {
    with_retry(
        Error::new(ErrorKind::Timeout).with_message("the server does not answer in time"),
        about,
    )
}

/// A 207 whose body is not what it should be.
pub(crate) fn from_fault(about: About, fault: Fault) -> Error {
    let (kind, message, cause) = match fault {
        Fault::Io(cause) if cause.kind() == std::io::ErrorKind::TimedOut => {
            return too_slow(about);
        }
        Fault::Io(cause) => (
            ErrorKind::Unavailable,
            "the connection to the server broke",
            Cause::from_error(&cause),
        ),
        Fault::Xml(text) => (
            ErrorKind::Unavailable,
            "the server's answer is not what WebDAV has for this request",
            Cause::new("", text),
        ),
    };
    with_retry(
        Error::new(kind)
            .with_message(message)
            .with_cause(Some(cause)),
        about,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(about: About, status: u16, headers: &[(&'static str, &str)], body: &str) -> Error {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        from_status(about, status, &map, body.as_bytes())
    }

    #[test]
    fn kinds_and_retry_classes() {
        use ErrorKind as K;
        for (status, about, kind, retry) in [
            (401, About::Reading, K::Unauthenticated, Retry::Safe),
            (403, About::Changing, K::PermissionDenied, Retry::Never),
            (404, About::Reading, K::FileNotFound, Retry::Never),
            (404, About::Root, K::ContainerMissing, Retry::Never),
            (409, About::Changing, K::Conflict, Retry::IfIdempotent),
            (412, About::Changing, K::PreconditionFailed, Retry::Never),
            (416, About::Reading, K::InvalidRange, Retry::Never),
            (500, About::Reading, K::Unavailable, Retry::Safe),
            (500, About::Changing, K::Unavailable, Retry::IfIdempotent),
            (507, About::Staging, K::QuotaExceeded, Retry::Never),
            (200, About::Reading, K::Unavailable, Retry::Safe),
            (302, About::Reading, K::ConfigInvalid, Retry::Never),
        ] {
            let error = error(about, status, &[], "");
            assert_eq!((error.kind(), error.retry()), (kind, retry), "{status}");
            assert_eq!(error.provider().status, Some(status));
        }
    }

    #[test]
    fn a_quota_has_a_scope_and_a_full_disk_has_none() {
        let condition = |name| format!(r#"<D:error xmlns:D="DAV:"><D:{name}/></D:error>"#);
        for (body, scope) in [
            (condition("quota-not-exceeded"), Some("provider")),
            (condition("sufficient-disk-space"), None),
            (String::new(), None),
        ] {
            let error = error(About::Staging, 507, &[], &body);
            assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{body}");
            assert_eq!(error.fact("scope"), scope, "{body}");
        }
    }

    #[test]
    fn the_server_s_wish_to_wait_counts() {
        let after =
            |status, value| error(About::Changing, status, &[("retry-after", value)], "").retry();
        assert_eq!(after(429, "7"), Retry::After(Duration::from_secs(7)));
        assert_eq!(after(503, "2"), Retry::After(Duration::from_secs(2)));
        assert_eq!(
            after(503, "Thu, 01 Jan 1970 00:00:00 GMT"),
            Retry::After(Duration::ZERO)
        );
        let hour = Retry::After(Duration::from_secs(3600));
        for long in ["18446744073709551615", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(after(503, long), hour, "{long}");
        }
        assert_eq!(after(503, "soon"), Retry::IfIdempotent);
        assert_eq!(after(403, "7"), Retry::Never);
    }

    #[test]
    fn the_provider_s_own_words() {
        let sabre = r#"<?xml version="1.0"?><d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">
            <s:exception>Sabre\DAV\Exception\Locked</s:exception><s:message>x</s:message></d:error>"#;
        let locked = error(About::Changing, 423, &[("x-request-id", "r7")], sabre);
        assert_eq!(locked.provider().code.as_deref(), Some("Locked"));
        assert_eq!(locked.provider().request_id.as_deref(), Some("r7"));
        let plain = r#"<error xmlns="DAV:"><lock-token-submitted/></error>"#;
        let plain = error(About::Changing, 423, &[], plain);
        assert_eq!(
            plain.provider().code.as_deref(),
            Some("lock-token-submitted")
        );
        let html = error(About::Changing, 500, &[], "<html><h1>No</h1></html>");
        assert_eq!(html.provider().code, None);
    }
}
