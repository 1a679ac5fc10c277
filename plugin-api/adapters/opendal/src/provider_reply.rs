//! Records the HTTP exchanges of one operation: what the provider answered, and whether it answered what was
//! asked.
//!
//! OpenDAL keeps status and headers of a refused request as text; callers act on them, so they are
//! taken where they are still typed. One capture belongs to one operation and keeps its last
//! answer.

use crate::asked::Asked;
use futures_util::StreamExt;
use holdall_plugin_api::ProviderReply;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use opendal_core::raw::Operation;
use opendal_core::raw::oio::ReadStream;
use opendal_core::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, HttpTransporter, Result};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Bytes of a refusal that are read: all that anybody reads of it.
const REFUSAL: usize = 8 << 10;
/// Longest answer that is no object, in bytes. A page of 1000 entries of the longest keys, escaped, is 4 MiB;
/// a `PROPFIND`, which has no pages, takes some 400 bytes a member.
const DOCUMENT: u64 = 16 << 20;
/// Longest code, id or address of a provider, in bytes.
const NAME: usize = 256;

/// Names under which providers give the id of a request.
const REQUEST_IDS: [&str; 10] = [
    "x-amz-request-id",
    "x-oss-request-id",
    "x-cos-request-id",
    "x-obs-request-id",
    "x-tos-request-id",
    "x-ms-request-id",
    "x-bz-request-id",
    "x-trans-id",
    "x-guploader-uploadid",
    "x-request-id",
];

/// What the provider answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct CapturedReply {
    pub(crate) reply: ProviderReply,
    pub(crate) retry_after: Option<Duration>,
    /// The whole size, from the refusal of a range.
    pub(crate) size: Option<u64>,
    /// User metadata, where it stands in headers of a known prefix.
    pub(crate) metadata: Vec<(String, String)>,
    /// Where a redirect leads: scheme, host and port. What follows them may hold a secret.
    pub(crate) location: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct ReplyCapture {
    inner: HttpTransporter,
    metadata_headers: Option<&'static str>,
    captured: Arc<Mutex<CapturedReply>>,
}

impl ReplyCapture {
    pub(crate) fn new(inner: HttpTransporter, metadata_headers: Option<&'static str>) -> Self {
        Self {
            inner,
            metadata_headers,
            captured: Arc::default(),
        }
    }

    pub(crate) fn transporter(&self) -> HttpTransporter {
        HttpTransporter::new(self.clone())
    }

    pub(crate) fn captured(&self) -> CapturedReply {
        self.lock().clone()
    }

    fn metadata(&self, headers: &HeaderMap) -> Vec<(String, String)> {
        let Some(prefix) = self.metadata_headers else {
            return Vec::new();
        };
        let pairs = headers.iter().filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix(prefix)?;
            Some((name.to_owned(), value.to_str().ok()?.to_owned()))
        });
        pairs.collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, CapturedReply> {
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpTransport for ReplyCapture {
    async fn fetch(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        let asked = Asked::of(&request);
        let operation = request.extensions().get::<Operation>().copied();
        // A request without an answer must not be explained by the answer before it.
        *self.lock() = CapturedReply::default();
        let response = self.inner.fetch(request).await?;
        let status = response.status();
        let mut captured =
            CapturedReply {
                reply: ProviderReply::new()
                    .status(Some(status.as_u16()))
                    .request_id(REQUEST_IDS.iter().find_map(|name| {
                        Some(short(response.headers().get(*name)?.to_str().ok()?))
                    })),
                retry_after: retry_after(response.headers()),
                size: text(response.headers(), "content-range")
                    .and_then(|range| range.rsplit_once('/')?.1.parse().ok()),
                metadata: self.metadata(response.headers()),
                location: text(response.headers(), header::LOCATION.as_str())
                    .and_then(|location| origin(&location)),
            };
        if status.is_success() {
            let checked = asked.check(&response);
            *self.lock() = captured;
            checked?;
            return match operation {
                Some(Operation::Read) => Ok(response),
                Some(Operation::List | Operation::Copy) => {
                    self.document(response.map(bounded)).await
                }
                _ => Ok(response.map(bounded)),
            };
        }
        captured.reply.code = text(response.headers(), "x-ms-error-code").map(|code| short(&code));
        *self.lock() = captured;
        if status.is_redirection() {
            return Ok(response);
        }
        let (parts, mut body) = response.into_parts();
        let start = beginning(&mut body).await?;
        if self.lock().reply.code.is_none() {
            let code = provider_code(&start.to_bytes());
            self.lock().reply.code = code;
        }
        let start = Buffer::from(start.to_bytes().slice(..start.len().min(REFUSAL)));
        let size = Some(start.len() as u64);
        let body = HttpBody::new(futures_util::stream::iter([Ok(start)]), size);
        Ok(Response::from_parts(parts, body))
    }
}

/// The body, with an error in place of what exceeds [`DOCUMENT`].
fn bounded(body: HttpBody) -> HttpBody {
    body.map_inner(|chunks| {
        let mut left = DOCUMENT;
        let chunks = chunks.map(move |chunk| {
            let chunk = chunk?;
            left = left.checked_sub(chunk.len() as u64).ok_or_else(|| {
                Error::new(
                    ErrorKind::Unexpected,
                    "the answer is longer than any that is read",
                )
                .with_context("limit_bytes", DOCUMENT)
            })?;
            Ok(chunk)
        });
        Box::new(chunks)
    })
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(NAME)].to_owned()
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    let (scheme, host) = (url.scheme_str()?, url.host()?);
    let port = url.port().map(|port| format!(":{port}"));
    Some(short(&format!(
        "{scheme}://{host}{}",
        port.unwrap_or_default()
    )))
}

impl ReplyCapture {
    /// An answer that is a document. Services send the head of it before they know how it ends, so
    /// an error may stand in a 200; OpenDAL reads what it does not know as an empty answer.
    async fn document(&self, response: Response<HttpBody>) -> Result<Response<HttpBody>> {
        let (parts, mut body) = response.into_parts();
        let whole = body.read_all().await?;
        let bytes = whole.to_bytes();
        let wrong = if root_name(&bytes).as_deref() == Some("Error") {
            self.lock().reply.code = provider_code(&bytes);
            Some("an error in a good answer")
        } else if root_name(&bytes).is_some_and(|name| name.eq_ignore_ascii_case("html")) {
            Some("a page of HTML, which is no answer of a service")
        } else if bytes.is_empty() && parts.status == StatusCode::OK {
            Some("an answer without its document")
        } else {
            None
        };
        if let Some(what) = wrong {
            return Err(Error::new(ErrorKind::Unexpected, what).set_temporary());
        }
        let size = Some(whole.len() as u64);
        let body = HttpBody::new(futures_util::stream::iter([Ok(whole)]), size);
        Ok(Response::from_parts(parts, body))
    }
}

/// The name of the outermost element of an XML document.
fn root_name(body: &[u8]) -> Option<String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(body);
    let mut buffer = Vec::new();
    loop {
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(start) | Event::Empty(start)) => {
                return Some(start.local_name().as_ref().to_owned());
            }
            Ok(Event::Eof) | Err(_) => return None,
            Ok(_) => buffer.clear(),
        }
    }
}

/// The beginning of a refusal.
async fn beginning(body: &mut HttpBody) -> Result<Buffer> {
    let mut chunks = Vec::new();
    let mut size = 0;
    while size < REFUSAL {
        let chunk = body.read().await?;
        if chunk.is_empty() {
            break;
        }
        size += chunk.len();
        chunks.push(chunk.to_bytes());
    }
    Ok(Buffer::from(chunks))
}

pub(crate) fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// `Retry-After` in seconds, or as a date ([RFC 9110, 10.2.3]). Longer than an hour is cut.
///
/// [RFC 9110, 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, header::RETRY_AFTER.as_str())?;
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = opendal_core::raw::Timestamp::parse_rfc2822(value.trim()).ok()?;
            let date = SystemTime::from(date);
            date.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wait.min(Duration::from_secs(3600)))
}

/// The provider's own code, as XML services (`<Error><Code>`) and JSON services (`code`, or
/// `error.code`) give it.
fn provider_code(body: &[u8]) -> Option<String> {
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) {
        let inner = json.get("error").filter(|inner| inner.is_object());
        let object = inner.unwrap_or(&json);
        let code = ["code", "Code", "errorCode", "status"]
            .iter()
            .find_map(|name| object.get(*name))?;
        return match code {
            serde_json::Value::String(text) => Some(short(text)),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
    }
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(body);
    let (mut inside, mut buffer) = (false, Vec::new());
    loop {
        match reader.read_event_into(&mut buffer) {
            Ok(Event::Start(start)) => inside = start.local_name().as_ref() == "Code",
            Ok(Event::Text(text)) if inside => {
                return Some(short(text.trim()));
            }
            Ok(Event::Eof) | Err(_) => return None,
            Ok(_) => inside = false,
        }
        buffer.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_s_code_is_found_in_its_document() {
        for (body, code) in [
            (
                "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>",
                Some("NoSuchKey"),
            ),
            ("{\"error\":{\"code\":404,\"message\":\"no\"}}", Some("404")),
            (
                "{\"code\":\"bad_auth_token\",\"status\":401}",
                Some("bad_auth_token"),
            ),
            ("<!DOCTYPE html><html><body>no</body></html>", None),
            ("", None),
        ] {
            assert_eq!(provider_code(body.as_bytes()).as_deref(), code, "{body}");
        }
    }

    #[test]
    fn an_error_document_is_known_by_its_root() {
        let root = |body: &str| root_name(body.as_bytes());
        let error = "<?xml version=\"1.0\"?><Error><Code>a</Code></Error>";
        assert_eq!(root(error).as_deref(), Some("Error"));
        assert_eq!(
            root("<ListBucketResult/>").as_deref(),
            Some("ListBucketResult")
        );
        assert_eq!(root("{\"files\":[]}"), None);
    }

    #[test]
    fn a_wait_of_years_that_a_server_states_is_cut() {
        let after = |value: &'static str| {
            let name = header::RETRY_AFTER;
            retry_after(&HeaderMap::from_iter([(name, value.parse().unwrap())]))
        };
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("18446744073709551615"), hour);
        assert_eq!(after("Tue, 31 Dec 2999 00:00:00 GMT"), hour);
        assert_eq!(after("soon"), None);
    }

    #[test]
    fn of_a_redirect_only_the_server_is_named() {
        for (location, found) in [
            (
                "https://elsewhere.example/b/k?sig=1",
                Some("https://elsewhere.example"),
            ),
            ("http://u:p@[::1]:8080/", Some("http://[::1]:8080")),
            ("/b/k", None),
            ("::", None),
        ] {
            assert_eq!(origin(location).as_deref(), found, "{location}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_no_object_has_an_end() {
        let chunk = Buffer::from(vec![b'x'; 1 << 20]);
        let endless = futures_util::stream::repeat_with(move || Ok(chunk.clone()));
        let mut body = bounded(HttpBody::new(endless, None));
        let mut read = 0;
        let error = loop {
            match body.read().await {
                Ok(chunk) => read += chunk.len() as u64,
                Err(error) => break error,
            }
        };
        assert_eq!(read, DOCUMENT);
        assert!(error.to_string().contains("longer than any"), "{error}");
    }
}
