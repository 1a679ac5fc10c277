//! Errors as problem details (RFC 9457): a stable code, and nothing that a client must not see.
//!
//! A handler answers with a [`Problem`]; it becomes a body in one place ([`Problem::render`]), where the
//! profile and the request's name are known. Of an error of storage only what the request itself
//! caused is in the answer: the text of a fault may quote a provider or name a path, and goes to the log.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use holdall::{Error, ErrorKind, Retry};
use http::StatusCode;
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// RFC 6750, 3.
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"holdall\"");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Which status the faults of storage have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Profile {
    /// 500 for every fault that is not the request's own.
    #[default]
    Contract,
    /// As before, with 503, 504 and 507 where a provider throttles or is unavailable, is too slow, or is full.
    Refined,
}

/// Why a request is not done (RFC 9457). More members belong to single codes: `size`, `limit`, ...
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the schema of what `members` writes")]
pub(crate) struct ProblemDetails {
    /// `urn:holdall:error:` and the code.
    r#type: String,
    title: String,
    status: u16,
    /// Stable: for programs.
    code: String,
    detail: Option<String>,
    family: Option<String>,
    /// Whether trying again makes sense.
    retry: Option<String>,
    key: Option<String>,
    /// The name of the request, as in the header `X-Request-Id` and in logs. Not in a batch.
    request_id: Option<String>,
}

/// Why a request is not done.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    /// Storage says so.
    Storage(Error),
    /// The server says so.
    Request {
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: String,
        retry_after: Option<Duration>,
    },
}

/// More members of a problem, kept beside it in an answer.
#[derive(Clone)]
struct More(Map<String, Value>);

impl Problem {
    fn request(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: String,
    ) -> Self {
        Problem::Request {
            status,
            code,
            title,
            detail,
            retry_after: None,
        }
    }

    fn retry_after(mut self, time: Duration) -> Self {
        if let Problem::Request { retry_after, .. } = &mut self {
            *retry_after = Some(time);
        }
        self
    }

    /// 403: a whole tree at once.
    pub(crate) fn infinite_depth() -> Self {
        Self::request(
            StatusCode::FORBIDDEN,
            "propfind_finite_depth",
            "infinite depth refused",
            "PROPFIND has Depth: 0 or 1; server.webdav.infinite_depth allows infinity".to_owned(),
        )
    }

    /// 502, as RFC 4918 has it: a `Destination` that this request cannot reach.
    pub(crate) fn elsewhere(detail: &'static str) -> Self {
        Self::request(
            StatusCode::BAD_GATEWAY,
            "destination_elsewhere",
            "destination out of reach",
            detail.to_owned(),
        )
    }

    /// 415: a body where none has a meaning.
    pub(crate) fn unexpected_body() -> Self {
        Self::request(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unexpected_body",
            "unexpected body",
            "this request has no body".to_owned(),
        )
    }

    /// 411: a `PUT` without a body is not one with an empty body.
    pub(crate) fn length_required() -> Self {
        Self::request(
            StatusCode::LENGTH_REQUIRED,
            "length_required",
            "length required",
            "an empty object is stored with Content-Length: 0".to_owned(),
        )
    }

    /// 501: a transfer coding other than `chunked`.
    pub(crate) fn unknown_coding() -> Self {
        Self::request(
            StatusCode::NOT_IMPLEMENTED,
            "unknown_transfer_coding",
            "not implemented",
            "a body is sent with Transfer-Encoding: chunked and no other coding".to_owned(),
        )
    }

    /// 429: too many refused credentials.
    pub(crate) fn too_many_failures(wait: Duration) -> Self {
        Self::request(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_failures",
            "too many requests",
            "too many requests of this client had no or wrong credentials".to_owned(),
        )
        .retry_after(wait)
    }

    /// 503: all connections are in use.
    pub(crate) fn busy() -> Self {
        Self::request(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "service unavailable",
            "all connections of this server are in use".to_owned(),
        )
        .retry_after(Duration::from_secs(1))
    }

    /// 500: a handler panicked.
    pub(crate) fn panicked() -> Self {
        Problem::Storage(Error::new(ErrorKind::Other).with_message("a request handler panicked"))
    }

    /// 400: what the request asks for makes no sense.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Problem::Storage(Error::invalid(detail.into()))
    }

    /// 400: the key cannot be one.
    pub(crate) fn invalid_key(detail: &'static str) -> Self {
        Problem::Storage(Error::new(ErrorKind::InvalidKey).with_message(detail))
    }

    /// 412.
    pub(crate) fn precondition_failed() -> Self {
        Problem::Storage(Error::new(ErrorKind::PreconditionFailed))
    }

    /// 401: who wants this must say who they are.
    pub(crate) fn unauthorized(detail: &'static str) -> Self {
        Self::request(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "unauthorized",
            detail.to_owned(),
        )
    }

    /// 403, for strangers: one body whatever the reason.
    pub(crate) fn forbidden(detail: &'static str) -> Self {
        Self::request(
            StatusCode::FORBIDDEN,
            "forbidden",
            "forbidden",
            detail.to_owned(),
        )
    }

    /// 404: the name in the path is not registered.
    ///
    /// The library answers `BackendNotRegistered` as a fault of its program (500). Here the name is
    /// the client's own.
    pub(crate) fn no_backend(name: &str) -> Self {
        let code = ErrorKind::BackendNotRegistered.code();
        let detail = format!("there is no backend {name:?}");
        Self::request(StatusCode::NOT_FOUND, code, "no such backend", detail)
    }

    /// 404: the path leads nowhere.
    pub(crate) fn no_route() -> Self {
        let detail = "objects are at /v1/{backend}/{key}, listings at /v1/{backend}?list";
        Self::request(
            StatusCode::NOT_FOUND,
            "no_route",
            "no such resource",
            detail.to_owned(),
        )
    }

    /// 405; the router adds `Allow`.
    pub(crate) fn method_not_allowed() -> Self {
        Self::request(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "method not allowed",
            "the header Allow names the methods of this resource".to_owned(),
        )
    }

    pub(crate) fn status(&self, profile: Profile) -> StatusCode {
        match self {
            Problem::Storage(error) => {
                let kind = error.kind();
                let is_quota = error.fact("scope").is_some();
                let number = match (kind, profile) {
                    // A full store is a fault of ours, a quota the client's matter.
                    (ErrorKind::QuotaExceeded, Profile::Contract) if !is_quota => 500,
                    (ErrorKind::QuotaExceeded, _) if is_quota => kind.status(),
                    (_, Profile::Contract) => kind.status(),
                    (_, Profile::Refined) => kind.refined_status(),
                };
                StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Problem::Request { status, .. } => *status,
        }
    }

    /// The members of the problem, without the request's name.
    pub(crate) fn members(&self, profile: Profile) -> Map<String, Value> {
        let status = self.status(profile);
        let mut members = Map::new();
        let mut add = |name: &str, value: Value| {
            members.insert(name.to_owned(), value);
        };
        match self {
            Problem::Request {
                code,
                title,
                detail,
                ..
            } => {
                add("type", json!(format!("urn:holdall:error:{code}")));
                add("title", json!(title));
                add("status", json!(status.as_u16()));
                add("detail", json!(detail));
                add("code", json!(code));
            }
            Problem::Storage(error) => {
                let kind = error.kind();
                // A plugin may have a finer code of its own. It is not ours to publish.
                add("type", json!(format!("urn:holdall:error:{}", kind.code())));
                add("title", json!(kind.text()));
                add("status", json!(status.as_u16()));
                if of_the_request(kind) && !error.message().is_empty() {
                    add("detail", json!(error.message()));
                }
                add("code", json!(kind.code()));
                add("family", json!(kind.family().name()));
                add("retry", json!(error.retry().name()));
                if let Some(key) = &error.place().key {
                    add("key", json!(key));
                }
                for name in told(kind) {
                    if let Some(value) = error.fact(name) {
                        let number = value.parse::<u64>().ok().map(Value::from);
                        add(name, number.unwrap_or_else(|| json!(value)));
                    }
                }
            }
        }
        members
    }

    /// Gives the answer to a problem, which no longer has it among its extensions, its body.
    pub(crate) fn render(&self, response: &mut Response, request_id: &str, profile: Profile) {
        let status = self.status(profile);
        if let Problem::Storage(error) = self
            && status.is_server_error()
            && error.kind() != ErrorKind::Unsupported
        {
            let causes = error.cause().into_iter().flat_map(|cause| cause.chain());
            let causes: Vec<_> = causes.map(|cause| cause.text.as_str()).collect();
            tracing::error!(request_id, code = error.code(), %error, ?causes, "a request failed");
        }
        *response.status_mut() = status;
        self.headers(response.headers_mut());
        if status == StatusCode::NOT_MODIFIED {
            return;
        }
        let mut members = self.members(profile);
        members.insert("request_id".to_owned(), json!(request_id));
        if let Some(More(more)) = response.extensions_mut().remove() {
            members.extend(more);
        }
        let text = Value::Object(members).to_string();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(CONTENT_LENGTH, text.len().into());
        *response.body_mut() = Body::from(text);
    }

    fn headers(&self, headers: &mut HeaderMap) {
        let error = match self {
            Problem::Storage(error) => error,
            Problem::Request {
                status,
                retry_after,
                ..
            } => {
                if *status == StatusCode::UNAUTHORIZED {
                    headers.insert(WWW_AUTHENTICATE, BEARER);
                }
                if let Some(time) = retry_after {
                    headers.insert(RETRY_AFTER, seconds(*time).into());
                }
                return;
            }
        };
        if let Retry::After(time) = error.retry() {
            headers.insert(RETRY_AFTER, seconds(time).into());
        }
        if let (ErrorKind::InvalidRange, Some(size)) = (error.kind(), error.fact("size"))
            && let Ok(value) = HeaderValue::try_from(format!("bytes */{size}"))
        {
            headers.insert(CONTENT_RANGE, value);
        }
    }
}

/// As in `Retry-After`: whole seconds, at least one and at most a day.
fn seconds(time: Duration) -> u64 {
    let rounded_up = u64::from(time.subsec_nanos() > 0);
    let seconds = time.as_secs().saturating_add(rounded_up);
    seconds.clamp(1, 24 * 60 * 60)
}

/// Whether it is the request's own doing, so that its text is for the client.
fn of_the_request(kind: ErrorKind) -> bool {
    kind.status() < 500 || kind == ErrorKind::Unsupported
}

/// The facts of a kind that a client may see.
fn told(kind: ErrorKind) -> &'static [&'static str] {
    match kind {
        ErrorKind::InvalidRange => &["size"],
        ErrorKind::TooLarge | ErrorKind::InvalidArgument => &["limit", "requested"],
        ErrorKind::QuotaExceeded => &["scope", "limit", "used", "reserved", "requested"],
        ErrorKind::InvalidFileType => &["provided", "sniffed", "allowed"],
        ErrorKind::ChecksumMismatch => &["algorithm", "expected", "found"],
        ErrorKind::Unsupported => &["capability"],
        _ => &[],
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::Storage(error)
    }
}

/// Not whole yet: [`Problem::render`] writes the body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status(Profile::Contract);
        response.extensions_mut().insert(self);
        response
    }
}

/// The answer to a problem, with more members.
pub(crate) fn with_members(problem: Problem, members: Map<String, Value>) -> Response {
    let mut response = problem.into_response();
    response.extensions_mut().insert(More(members));
    response
}
