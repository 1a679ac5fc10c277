//! The target of a request: the object or backend that its path names, and the parameters of its query.
//! Percent-decoded exactly once, never normalised.

use axum::extract::FromRequestParts;
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::call::Call;
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
    pub(crate) fn of(path: &str) -> Result<Self, Problem> {
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
        let mut target = Self::of(parts.uri.path())?;
        // Rights are those of the backend, under whichever of its names.
        let host = parts.extensions.get::<Call>().map(|call| call.app.host());
        if let Some(name) = host.and_then(|host| host.resolve_name(&target.backend)) {
            target.backend = name;
        }
        Ok(target)
    }
}

/// Parameters that were not taken yet. [`Query::finish`] refuses the rest: a misspelt
/// `must_exist` that is dropped in silence would change what the request means.
#[derive(Debug, Default)]
pub(crate) struct Query {
    parameters: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl Query {
    /// Reads `a=b&c`. A `+` is a space, as forms and most clients write it.
    pub(crate) fn of(query: &str) -> Result<Self, Problem> {
        let text = |text: &str| decode(&text.replace('+', " ")).map_err(Problem::invalid);
        let mut parameters: Vec<(String, String)> = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let (name, value) = (text(name)?, text(value)?);
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(Problem::invalid(format!(
                    "the parameter {name:?} stands twice"
                )));
            }
            parameters.push((name, value));
        }
        Ok(Self {
            parameters,
            known: Vec::new(),
        })
    }

    /// Takes a parameter; `None` when it is absent.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let at = self.parameters.iter().position(|(it, _)| it == name)?;
        Some(self.parameters.swap_remove(at).1)
    }

    /// Takes a parameter that is there or not; `=true` and `=false` say it in full.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(Problem::invalid(format!(
                "{name} is \"true\", \"false\" or nothing, found {other:?}"
            ))),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Whether this parameter is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|(it, _)| it == name)
    }

    /// # Errors
    ///
    /// 400: a parameter that the request does not have.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.parameters.first() else {
            return Ok(());
        };
        let known = match self.known.as_slice() {
            [] => "none".to_owned(),
            known => known.join(", "),
        };
        Err(Problem::invalid(format!(
            "unknown parameter {name:?}; this request has: {known}"
        )))
    }
}

fn decoded(text: &str) -> Result<String, Problem> {
    decode(text).map_err(Problem::invalid_key)
}

/// Everything but what stands for itself in a path (RFC 3986, 2.3), and `/`.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A key, or a part of one, as it stands in a path.
pub(crate) fn encoded(key: &str) -> String {
    utf8_percent_encode(key, IN_PATH).to_string()
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

    #[test]
    fn parameters_are_decoded_once_and_counted() {
        let mut query = Query::of("list&prefix=a%2Bb+c%252F&limit=&&x=1=2").unwrap();
        assert_eq!(query.take("prefix").as_deref(), Some("a+b c%2F"));
        assert!(query.flag("list").unwrap());
        assert!(!query.flag("deep").unwrap());
        assert_eq!(query.take("limit").as_deref(), Some(""));
        assert_eq!(query.take("x").as_deref(), Some("1=2"));
        query.finish().unwrap();
    }

    #[test]
    fn slips_are_reported() {
        let mut query = Query::of("must_exists=true").unwrap();
        assert!(!query.flag("must_exist").unwrap());
        let Problem::Storage(error) = query.finish().unwrap_err() else {
            panic!("another problem");
        };
        assert!(
            error
                .message()
                .contains("\"must_exists\"; this request has: must_exist")
        );
        assert!(Query::of("a=1&a=2").is_err());
        assert!(Query::of("a=%").is_err());
        assert!(Query::of("a=%ff").is_err());
        assert!(Query::of("list=yes").unwrap().flag("list").is_err());
    }
}
