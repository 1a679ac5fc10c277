//! Requests of clients, through the router of the server.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use holdall_testing::{BACKEND, TestBackend};
use http::header::{CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use std::convert::Infallible;
use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

/// Length of the object that `ranges` reads.
const LENGTH: usize = 1000;

pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

/// Lives as long as the process, as its objects have to.
pub(crate) static TEST: LazyLock<TestBackend> = LazyLock::new(TestBackend::new);

static ROUTER: LazyLock<Router> = LazyLock::new(|| {
    let router = holdall_server::router(TEST.host().unwrap());
    let put = Request::put(object()).header("content-length", LENGTH);
    let put = put.body(Body::from(content())).unwrap();
    let answer = RUNTIME.block_on(router.clone().oneshot(put)).unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    router
});

fn object() -> String {
    format!("/v1/{BACKEND}/object")
}

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| (at % 251) as u8).collect()
}

/// Lines `NAME:VALUE`; what HTTP cannot carry is left out.
fn header_lines(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(&line[colon + 1..]);
        if let (Ok(name), Ok(value)) = (name, value)
            && headers.len() < 100
        {
            headers.append(name, value);
        }
    }
    headers
}

/// Sends a request. No input is a fault of the server.
fn send(request: Request<Body>) -> (Response<()>, Bytes) {
    let answer = RUNTIME
        .block_on(ROUTER.clone().oneshot(request))
        .unwrap_or_else(|never| match never {});
    let (head, body) = answer.into_parts();
    let body = RUNTIME.block_on(body.collect());
    assert_ne!(head.status, StatusCode::INTERNAL_SERVER_ERROR, "{body:?}");
    let body = body.expect("the body ends without a fault").to_bytes();
    (Response::from_parts(head, ()), body)
}

/// First and last position that `bytes=FIRST-LAST` asks for, of an object of [`LENGTH`] bytes.
fn asked(value: &[u8]) -> Option<(usize, usize)> {
    let text = std::str::from_utf8(value).ok()?;
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<usize>().ok()).flatten()
    };
    let (first, last) = (number(first)?, number(last)?);
    (first <= last && first < LENGTH).then_some((first, last.min(LENGTH - 1)))
}

/// The value of `Range`. The bytes of a 206 are those that its `Content-Range` names, and those that were
/// asked for.
pub(crate) fn ranges(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let get = Request::get(object()).header(RANGE, value);
    let (answer, body) = send(get.body(Body::empty()).unwrap());
    match answer.status() {
        StatusCode::OK => assert_eq!(body, content()),
        StatusCode::PARTIAL_CONTENT => {
            let line = answer.headers()[CONTENT_RANGE].to_str().unwrap();
            let (span, length) = line
                .strip_prefix("bytes ")
                .and_then(|rest| rest.split_once('/'))
                .unwrap();
            let (first, last) = span.split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(length, LENGTH.to_string());
            assert_eq!(body, content()[first..=last]);
            assert!(asked(bytes).is_none_or(|span| span == (first, last)));
        }
        status => assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE),
    }
}

/// First line: method and path below the router; the rest: headers. The body is always three bytes.
pub(crate) fn headers(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let line = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (method, path) = line.split_once(' ').unwrap_or((&line, ""));
    let target = format!("/v1/{BACKEND}/new/{path}");
    let Ok(mut request) = Request::builder()
        .method(method)
        .uri(target)
        .body(Body::from("abc"))
    else {
        return;
    };
    *request.headers_mut() = header_lines(parts.next().unwrap_or_default());
    send(request);
}

/// Trailers of an upload of unknown length: they change nothing.
pub(crate) fn trailers(bytes: &[u8]) {
    let trailers = header_lines(bytes);
    let frames = stream::iter([
        Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(b"abc"))),
        Ok(http_body::Frame::trailers(trailers)),
    ]);
    let body = Body::new(UnsyncBoxBody::new(StreamBody::new(frames)));
    let put = Request::put(format!("/v1/{BACKEND}/trailed"))
        .header("transfer-encoding", "chunked")
        .header("trailer", "content-digest");
    let (answer, _) = send(put.body(body).unwrap());
    assert!(answer.status().is_success(), "{answer:?}");
}
