//! Which pages may use a backend from a browser (CORS, as the Fetch standard has it).
//!
//! Tokens travel in a header and signed URLs in themselves, so no answer here ever depends on
//! cookies: credentials in the sense of CORS are never allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Uri};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// The pages that may use one backend.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cors {
    /// Their origins, such as `https://app.example.org`; `*` is every page.
    pub origins: BTreeSet<String>,
    /// How long a browser may remember the answer.
    pub max_age: Duration,
}

impl Cors {
    /// These origins; browsers may remember the answer for ten minutes.
    pub fn new(origins: impl IntoIterator<Item = String>) -> Self {
        Self {
            origins: origins.into_iter().collect(),
            max_age: Duration::from_secs(600),
        }
    }

    /// Whether the text is an origin: scheme, host and port if it is not the usual one.
    pub(crate) fn is_origin(text: &str) -> bool {
        let Ok(uri) = text.parse::<Uri>() else {
            return false;
        };
        let http = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        // The parser turns an empty path into "/", which an origin has not.
        http && !authority.is_empty()
            && text.len() == uri.scheme_str().map_or(0, str::len) + 3 + authority.len()
            && !authority.contains('@')
    }

    fn admits(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str().unwrap_or_default();
        self.origins.contains("*") || self.origins.contains(origin)
    }
}

/// What a page may read of an answer beside what it always may: everything, which includes the user's
/// metadata. The names are for browsers that do not know `*`.
const EXPOSED: [HeaderName; 10] = [
    HeaderName::from_static("*"),
    header::ACCEPT_RANGES,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("x-request-id"),
];

/// Answers preflights, and marks answers, of backends that some page may use. Others have no need of
/// either, nor of the headers that caches would have to look at.
pub(crate) async fn around<F: Future<Output = Response>>(
    pages: &BTreeMap<String, Cors>,
    request: Request,
    respond: impl FnOnce(Request) -> F,
) -> Response {
    let Some(cors) = of(pages, request.uri()) else {
        return respond(request).await;
    };
    let layer = layer(cors, request.headers().get(header::ORIGIN));
    let mut respond = Some(respond);
    let inner = service_fn(move |request| {
        let answer = respond.take().map(|respond| respond(request));
        async move {
            match answer {
                Some(answer) => Ok::<_, Infallible>(answer.await),
                None => unreachable!("one request is one call"),
            }
        }
    });
    match layer.layer(inner).oneshot(request).await {
        Ok(response) => response,
    }
}

fn layer(cors: &Cors, origin: Option<&HeaderValue>) -> CorsLayer {
    let admitted = origin.is_some_and(|origin| cors.admits(origin));
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |_, _| admitted))
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::POST,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(cors.max_age)
}

fn of<'a>(pages: &'a BTreeMap<String, Cors>, uri: &Uri) -> Option<&'a Cors> {
    let backend = uri.path().strip_prefix("/v1/")?.split('/').next()?;
    pages.get(backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_host_and_port() {
        for good in [
            "https://app.example.org",
            "http://localhost:3000",
            "https://[::1]:8443",
        ] {
            assert!(Cors::is_origin(good), "{good}");
        }
        for bad in [
            "",
            "app.example.org",
            "https://",
            "https://a/",
            "https://a/b",
            "ftp://a",
            "https://a?b",
            "https://u@a",
            "null",
        ] {
            assert!(!Cors::is_origin(bad), "{bad}");
        }
    }
}
