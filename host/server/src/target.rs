//! The object or backend that a path names. Percent-decoded exactly once, never normalised.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::problem::Problem;

/// Backend and key of `/v1/{backend}/{key}`. The key is empty for the backend itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) backend: String,
    pub(crate) key: String,
}

impl Target {
    /// Reads a path, as on the wire. Not by the router's own parameters: those forgive a `%` that
    /// begins no escape.
    fn of(path: &str) -> Result<Self, Problem> {
        let rest = path.strip_prefix("/v1/").ok_or_else(Problem::no_route)?;
        let (backend, key) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self {
            backend: decoded(backend)?,
            key: decoded(key)?,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts.uri.path())
    }
}

fn decoded(text: &str) -> Result<String, Problem> {
    decode(text).map_err(Problem::invalid_key)
}

/// Percent-decodes once.
///
/// # Errors
///
/// Why the text has no one meaning.
pub(crate) fn decode(text: &str) -> Result<String, &'static str> {
    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('%') {
        let digits = bytes.get(at + 1..at + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(
                "a \"%\" is followed by two hexadecimal digits; one that means itself is \"%25\"",
            );
        }
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| "the percent-decoded bytes are not UTF-8")?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_once_and_stay_as_they_are() {
        for (path, backend, key) in [
            ("/v1/local/a/b.png", "local", "a/b.png"),
            ("/v1/local/a%2Fb", "local", "a/b"),
            ("/v1/local/a%252Fb", "local", "a%2Fb"),
            ("/v1/local//a/../b/", "local", "/a/../b/"),
            ("/v1/local/%C3%A9+%20", "local", "é+ "),
            ("/v1/local", "local", ""),
            ("/v1/local/", "local", ""),
            ("/v1//x", "", "x"),
        ] {
            let target = Target::of(path).unwrap();
            assert_eq!((&*target.backend, &*target.key), (backend, key), "{path}");
        }
        for path in [
            "/v1/local/%",
            "/v1/local/%4",
            "/v1/local/%zz",
            "/v1/local/%+1",
            "/v1/%ff/a",
            "/v2/a",
        ] {
            assert!(Target::of(path).is_err(), "{path}");
        }
    }
}
