//! The OpenAPI document, served at `/v1/openapi.json` and kept in `openapi.json` beside the manifest.
//!
//! The functions below are never called: they carry the description of a path. Several requests share
//! one path and method where only the query tells them apart (a copy is a `PUT`, a batch and a form
//! are both a `POST`); OpenAPI has one operation for those.

#![allow(
    dead_code,
    reason = "functions of this module exist for what the macros read of them"
)]

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

use crate::objects::{answer, batch, form, quota};
use crate::problem::ProblemDetails;
use crate::{signing, watch};

const KEPT: &str = include_str!("../openapi.json");

/// The document, as JSON: OpenAPI 3.1.
pub fn openapi() -> &'static str {
    KEPT
}

/// Served as it is kept; a test holds it against the code.
pub(crate) async fn document() -> Response {
    let mut response = Response::new(KEPT.into());
    *response.status_mut() = StatusCode::OK;
    let json = http::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    response
}

/// What every request of an object may come to.
#[derive(IntoResponses)]
enum ProblemAnswers {
    #[response(
        status = 400,
        description = "A key, an option or a header that makes no sense",
        content_type = "application/problem+json"
    )]
    Invalid(ProblemDetails),
    #[response(
        status = 401,
        description = "This needs a token, or the token is refused",
        content_type = "application/problem+json"
    )]
    Unauthorized(ProblemDetails),
    #[response(
        status = 403,
        description = "The token or the signed URL does not allow this, or a quota is full",
        content_type = "application/problem+json"
    )]
    Forbidden(ProblemDetails),
    #[response(
        status = 404,
        description = "No such object or backend",
        content_type = "application/problem+json"
    )]
    NotFound(ProblemDetails),
    #[response(
        status = 405,
        description = "The header Allow names the methods",
        content_type = "application/problem+json"
    )]
    MethodNotAllowed(ProblemDetails),
    #[response(
        status = 409,
        description = "Another request is changing it, or it stands in the way of another key",
        content_type = "application/problem+json"
    )]
    Conflict(ProblemDetails),
    #[response(
        status = 411,
        description = "A PUT without a length and a body",
        content_type = "application/problem+json"
    )]
    LengthRequired(ProblemDetails),
    #[response(
        status = 412,
        description = "The object is not the one that the request expects",
        content_type = "application/problem+json"
    )]
    PreconditionFailed(ProblemDetails),
    #[response(
        status = 413,
        description = "Larger than the server or the backend takes",
        content_type = "application/problem+json"
    )]
    TooLarge(ProblemDetails),
    #[response(
        status = 416,
        description = "The range starts past the end",
        content_type = "application/problem+json"
    )]
    RangeNotSatisfiable(ProblemDetails),
    #[response(
        status = 429,
        description = "Too many requests of this client without good credentials",
        content_type = "application/problem+json"
    )]
    TooManyFailures(ProblemDetails),
    #[response(
        status = 499,
        description = "The body did not come to its end",
        content_type = "application/problem+json"
    )]
    Cancelled(ProblemDetails),
    #[response(
        status = 500,
        description = "A fault of ours, of the backend or of its configuration",
        content_type = "application/problem+json"
    )]
    Fault(ProblemDetails),
    #[response(
        status = 501,
        description = "The backend cannot do this",
        content_type = "application/problem+json"
    )]
    Unsupported(ProblemDetails),
    #[response(
        status = 503,
        description = "All connections are in use; with the refined profile also: the backend cannot be \
            reached, or throttles",
        content_type = "application/problem+json"
    )]
    Unavailable(ProblemDetails),
    #[response(
        status = 504,
        description = "The backend did not answer in time; with the refined profile",
        content_type = "application/problem+json"
    )]
    Late(ProblemDetails),
    #[response(
        status = 507,
        description = "The store is full; with the refined profile",
        content_type = "application/problem+json"
    )]
    Full(ProblemDetails),
}

/// What a request of an operator may come to.
#[derive(IntoResponses)]
enum Strangers {
    #[response(
        status = 400,
        description = "A key, an option or a header that makes no sense",
        content_type = "application/problem+json"
    )]
    Invalid(ProblemDetails),
    #[response(
        status = 401,
        description = "This needs a token, or the token is refused",
        content_type = "application/problem+json"
    )]
    Unauthorized(ProblemDetails),
    #[response(
        status = 403,
        description = "The token or the signed URL does not allow this, or a quota is full",
        content_type = "application/problem+json"
    )]
    Forbidden(ProblemDetails),
    #[response(
        status = 405,
        description = "The header Allow names the methods",
        content_type = "application/problem+json"
    )]
    MethodNotAllowed(ProblemDetails),
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Holdall",
        description = "Objects in any storage backend. Keys are percent-decoded exactly once: \"%2F\" \
            in a path is the \"/\" of a key. Objects also answer PROPFIND, COPY, MOVE and MKCOL (RFC 4918), \
            and a path that ends in \"/\" answers GET with an index where the configuration says so; \
            neither fits OpenAPI 3.1."
    ),
    paths(read, facts, store, remove, sign, list, change, alive, ready, metrics, status, this),
    components(schemas(ProblemDetails)),
    security(("token" = []), ("signed_url" = []), ()),
    modifiers(&Schemes)
)]
struct Document;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", token);
        let in_query = utoipa::openapi::security::ApiKeyValue::with_description(
            "hd-sig",
            "A URL that the gateway has signed: all of its parameters, and no other.",
        );
        let signed = SecurityScheme::ApiKey(utoipa::openapi::security::ApiKey::Query(in_query));
        components.add_security_scheme("signed_url", signed);
    }
}

/// Reads an object, or a part of it.
#[utoipa::path(get, path = "/v1/{backend}/{key}", tag = "objects", operation_id = "read",
    params(
        ("backend" = String, Path, description = "Name of the backend"),
        ("key" = String, Path, description = "Key of the object"),
        ("download" = Option<String>, Query, description = "File name that a browser saves as"),
        ("Range" = Option<String>, Header, description = "One range of bytes"),
        ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header),
        ("If-Modified-Since" = Option<String>, Header),
        ("If-Unmodified-Since" = Option<String>, Header), ("If-Range" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "The object", content_type = "*/*", body = Vec<u8>),
        (status = 206, description = "The part", content_type = "*/*", body = Vec<u8>),
        (status = 304, description = "It is the one that the client has"),
        ProblemAnswers,
    )
)]
fn read() {}

/// Facts about an object: the headers of a read without the body.
#[utoipa::path(head, path = "/v1/{backend}/{key}", tag = "objects", operation_id = "facts",
    params(
        ("backend" = String, Path, description = "Name of the backend"),
        ("key" = String, Path, description = "Key of the object"),
        ("download" = Option<String>, Query),
        ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header),
        ("If-Modified-Since" = Option<String>, Header),
        ("If-Unmodified-Since" = Option<String>, Header),
    ),
    responses(
        (status = 200, description = "It is there"),
        (status = 304, description = "It is the one that the client has"),
        ProblemAnswers,
    )
)]
fn facts() {}

/// Stores an object, or with `copy_from` copies one inside the backend.
#[utoipa::path(put, path = "/v1/{backend}/{key}", tag = "objects", operation_id = "store",
    params(
        ("backend" = String, Path, description = "Name of the backend"),
        ("key" = String, Path, description = "Key of the object"),
        ("copy_from" = Option<String>, Query, description = "Key of the source; no body then"),
        ("If-Match" = Option<String>, Header),
        ("If-None-Match" = Option<String>, Header, description = "\"*\": only when there is none yet"),
        ("Content-MD5" = Option<String>, Header), ("Repr-Digest" = Option<String>, Header),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "Stored", body = answer::Stored),
        (status = 201, description = "Stored, where there was none", body = answer::Stored),
        ProblemAnswers,
    )
)]
fn store() {}

/// Deletes an object. One that is not there is as gone as a deleted one.
#[utoipa::path(delete, path = "/v1/{backend}/{key}", tag = "objects", operation_id = "remove",
    params(
        ("backend" = String, Path, description = "Name of the backend"),
        ("key" = String, Path, description = "Key of the object"),
        ("must_exist" = Option<bool>, Query, description = "404 when there is none"),
        ("If-Match" = Option<String>, Header),
    ),
    responses(
        (status = 204, description = "Gone"),
        ProblemAnswers,
    )
)]
fn remove() {}

/// Makes a URL that works without credentials, for one method and a bounded time.
#[utoipa::path(post, path = "/v1/{backend}/{key}", tag = "objects", operation_id = "sign",
    params(
        ("backend" = String, Path, description = "Name of the backend"),
        ("key" = String, Path, description = "Key of the object"),
        ("sign" = bool, Query, description = "Always true"),
    ),
    request_body(content = Option<signing::Asked>, description = "Nothing: a GET of 15 minutes"),
    responses(
        (status = 200, description = "The URL", body = signing::Answer),
        ProblemAnswers,
    )
)]
fn sign() {}

/// What a listing, or a request for usage, comes to.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Shown {
    Page(answer::Listing),
    Quota(quota::Answer),
}

/// A page of keys, or with `quota` the usage of the backend's quota.
#[utoipa::path(get, path = "/v1/{backend}", tag = "objects", operation_id = "list",
    params(
        ("backend" = String, Path, description = "Name of the backend"),
        ("list" = Option<bool>, Query, description = "A page of keys"),
        ("quota" = Option<bool>, Query, description = "Usage by owner and group; needs the right to read"),
        ("prefix" = Option<String>, Query, description = "Keys that begin so"),
        ("delimiter" = Option<String>, Query, description = "Folds keys that go on behind it"),
        ("limit" = Option<u16>, Query, description = "1 to 1000"),
        ("page_token" = Option<String>, Query, description = "Of the page before"),
        ("start_after" = Option<String>, Query, description = "Keys behind this one"),
    ),
    responses(
        (status = 200, description = "The page, or the usage", body = Shown),
        ProblemAnswers,
    )
)]
fn list() {}

/// What a batch, or a form, comes to.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Changed {
    Deleted(batch::Answer),
    Stored(form::Answer),
}

/// With `delete` deletes many objects; otherwise stores the files of a form. When one of them fails,
/// the problem has those before it in `stored`.
#[utoipa::path(post, path = "/v1/{backend}", tag = "objects", operation_id = "change",
    params(
        ("backend" = String, Path, description = "Name of the backend"),
        ("delete" = Option<bool>, Query),
        ("If-None-Match" = Option<String>, Header, description = "\"*\" on a form: only new objects"),
    ),
    request_body(content(
        (batch::Asked = "application/json"),
        (Vec<u8> = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "One answer for each key, in their order; or the files that \
            were stored", body = Changed),
        ProblemAnswers,
    )
)]
fn change() {}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "operations", operation_id = "alive",
    responses((status = 200, description = "It does", body = watch::Alive), Strangers))]
fn alive() {}

/// Whether every backend does. Which backends there are needs the scope `admin`.
#[utoipa::path(get, path = "/readyz", tag = "operations", operation_id = "ready",
    params(("backend" = Option<String>, Query, description = "Only this backend")),
    responses(
        (status = 200, description = "All of them", body = watch::Readiness),
        (status = 503, description = "Some do not, or the server is stopping", body = watch::Readiness),
        Strangers,
    ))]
fn ready() {}

/// What the server counts, for Prometheus. Scope `admin`.
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "metrics",
    responses(
        (status = 200, description = "OpenMetrics", content_type = "application/openmetrics-text", body = String),
        Strangers,
    ))]
fn metrics() {}

/// Every plugin file with its verdict, every backend with its counters. Scope `admin`.
#[utoipa::path(get, path = "/v1/status", tag = "operations", operation_id = "status",
    responses(
        (status = 200, description = "The host", body = serde_json::Value),
        Strangers,
    ))]
fn status() {}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "operations", operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value), Strangers))]
fn this() {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::Router;
    use axum::body::Body;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;
    use crate::router;
    use crate::settings::Settings;
    use crate::state::App;

    #[test]
    fn the_kept_document_is_current() {
        let made = Document::openapi();
        let made = serde_json::to_string_pretty(&made).unwrap() + "\n";
        if made != KEPT {
            if std::env::var_os("HOLDALL_UPDATE").is_some() {
                let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
                std::fs::write(file, made).unwrap();
            }
            panic!("openapi.json is not what the code says: run this test with HOLDALL_UPDATE=1");
        }
    }

    fn document() -> Value {
        serde_json::from_str(KEPT).unwrap()
    }

    #[test]
    fn it_is_of_version_3_1() {
        assert!(document()["openapi"].as_str().unwrap().starts_with("3.1."));
    }

    /// What a path answers to, as its 405 says.
    async fn methods_of(router: &Router, path: &str) -> BTreeSet<String> {
        let path = path.replace("{backend}", "b").replace("{key}", "k");
        let request = http::Request::patch(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        let allow = response.headers()[http::header::ALLOW].to_str().unwrap();
        allow.split(',').map(str::to_lowercase).collect()
    }

    #[tokio::test]
    async fn the_router_and_the_document_name_the_same_paths_and_methods() {
        let document = document();
        let documented = document["paths"].as_object().unwrap();
        let routed: BTreeSet<_> = router::objects()
            .into_iter()
            .chain(router::operations())
            // With a `/` behind it a backend is the same.
            .filter(|(path, _)| !path.ends_with('/'))
            .map(|(path, _)| path.replace("{*key}", "{key}"))
            .collect();
        assert_eq!(routed, documented.keys().cloned().collect());
        let host = holdall::Host::builder().build().unwrap();
        let router = router::whole(&App::new(host, Settings::default()));
        for (path, operations) in documented {
            let mut answered = methods_of(&router, path).await;
            let operations = operations.as_object().unwrap();
            let methods: BTreeSet<_> = operations.keys().cloned().collect();
            // HTTP has HEAD wherever GET is; the document has it where a client would ask.
            if !methods.contains("head") {
                answered.remove("head");
            }
            // OpenAPI 3.1 has no operation for the methods of WebDAV.
            answered.retain(|it| !["propfind", "copy", "move", "mkcol"].contains(&&**it));
            // A backend may be called `status`; its own path describes what a POST does.
            if path == "/v1/status" {
                assert!(answered.remove("post"));
            }
            assert_eq!(answered, methods, "{path}");
        }
    }
}
