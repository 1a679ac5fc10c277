//! Errors as problem details (RFC 9457): a stable code, and nothing that a client must not see.
//!
//! A handler answers with a [`Problem`]; it becomes a body in one place ([`render`]), where the
//! profile and the request's name are known. Of an error of storage only what the request itself
//! caused is told: the text of a fault may quote a provider or name a path, and goes to the log.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use holdall::{Error, ErrorKind, Retry};
use http::StatusCode;
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use serde_json::{Map, Value, json};

use crate::settings::Profile;

/// RFC 6750, 3.
const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"holdall\"");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

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
    },
}

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
        }
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

    /// 413: more than this server takes, whatever the backend would.
    pub(crate) fn body_too_large(limit: u64) -> Self {
        let error = Error::new(ErrorKind::TooLarge)
            .with_message("the body is larger than this server takes");
        Problem::Storage(error.with_fact("limit", limit))
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

    /// 404: nobody registered the name that stands in the path.
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
                let number = match profile {
                    Profile::Contract => kind.status(),
                    Profile::Refined => kind.refined_status(),
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

    fn headers(&self, headers: &mut HeaderMap) {
        let error = match self {
            Problem::Storage(error) => error,
            Problem::Request { status, .. } => {
                if *status == StatusCode::UNAUTHORIZED {
                    headers.insert(WWW_AUTHENTICATE, BEARER);
                }
                return;
            }
        };
        if let Retry::After(time) = error.retry() {
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, seconds.max(1).into());
        }
        if let (ErrorKind::InvalidRange, Some(size)) = (error.kind(), error.fact("size"))
            && let Ok(value) = HeaderValue::try_from(format!("bytes */{size}"))
        {
            headers.insert(CONTENT_RANGE, value);
        }
    }
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

/// Not whole yet: [`render`] writes the body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status(Profile::Contract);
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives the answer to a problem its body.
pub(crate) fn render(response: &mut Response, request_id: &str, profile: Profile) {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return;
    };
    let status = problem.status(profile);
    if let Problem::Storage(error) = &problem
        && status.is_server_error()
        && error.kind() != ErrorKind::Unsupported
    {
        let causes = error.cause().into_iter().flat_map(|cause| cause.chain());
        let causes: Vec<_> = causes.map(|cause| cause.text.as_str()).collect();
        tracing::error!(request_id, code = error.code(), %error, ?causes, "a request failed");
    }
    *response.status_mut() = status;
    problem.headers(response.headers_mut());
    if status == StatusCode::NOT_MODIFIED {
        return;
    }
    let mut members = problem.members(profile);
    members.insert("request_id".to_owned(), json!(request_id));
    let text = Value::Object(members).to_string();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(CONTENT_LENGTH, text.len().into());
    *response.body_mut() = Body::from(text);
}
