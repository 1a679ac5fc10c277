//! Which pages may use a backend from a browser (CORS, as the Fetch standard has it).
//!
//! Tokens travel in a header and signed URLs in themselves, so no answer here ever depends on
//! cookies: credentials in the sense of CORS are never allowed.

use std::collections::BTreeSet;
use std::time::Duration;

use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Uri};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, MaxAge};

use crate::state::App;

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

/// What a page may read of an answer beside what it always may.
const EXPOSED: [HeaderName; 8] = [
    header::ACCEPT_RANGES,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
    header::ETAG,
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static("x-request-id"),
];

pub(crate) fn layer(app: &App) -> CorsLayer {
    let (asked, aged) = (app.clone(), app.clone());
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, parts| {
            of_path(&asked, parts).is_some_and(|cors| cors.admits(origin))
        }))
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::POST,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(MaxAge::dynamic(move |_, parts| {
            of_path(&aged, parts).map_or(Duration::ZERO, |cors| cors.max_age)
        }))
}

fn of_path(app: &App, parts: &Parts) -> Option<Cors> {
    let rest = parts.uri.path().strip_prefix("/v1/")?;
    let backend = rest.split('/').next()?;
    app.settings().cors.get(backend).cloned()
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
