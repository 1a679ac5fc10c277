//! Use of a signed URL by a client that has nothing else.

use crate::case::{Outcome, Stop};
use crate::trial::{Trial, not_applicable};
use bytes::Bytes;
use holdall_plugin_api::{Method, SignUrl, SignedUrl, Signing};
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A use of a URL that is still to be made.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    method: String,
    url: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Use {
    /// As the signature means it: this method, and the headers that the URL asks for.
    pub(crate) fn of(signed: &SignedUrl, method: &str) -> Outcome<Self> {
        let mut it = Self {
            method: method.to_owned(),
            url: signed.url.clone(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        for (name, value) in &signed.headers {
            it = it.header(name, value)?;
        }
        Ok(it)
    }

    /// With this header instead of the one that it has.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Outcome<Self> {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        match (name, value) {
            (Ok(name), Ok(value)) => {
                self.headers.insert(name, value);
                Ok(self)
            }
            _ => Err(Stop::Failed(
                "the URL asks for a header that no request can carry".into(),
            )),
        }
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// With another URL.
    pub(crate) fn at(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// With this body and its length.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.headers.insert(CONTENT_LENGTH, self.body.len().into());
        self
    }

    /// With this body, without its length.
    pub(crate) fn chunked(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.headers.remove(CONTENT_LENGTH);
        self
    }

    pub(crate) async fn send(self, t: &Trial) -> Outcome<Answer> {
        let what = format!("{} of {}", self.method, shown(&self.url));
        let mut request = Request::builder().method(&*self.method).uri(&*self.url);
        if let Some(headers) = request.headers_mut() {
            *headers = self.headers;
        }
        let request = match request.body(self.body) {
            Ok(request) => request,
            Err(why) => return Err(Stop::Failed(format!("{what} is no request: {why}"))),
        };
        let Some(following) = t.stage().follow(request) else {
            return not_applicable("the stage cannot use URLs");
        };
        let (head, body) = following.await.map_err(Stop::Failed)?.into_parts();
        Ok(Answer {
            what,
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

/// The URL as it may stand in a report.
fn shown(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    what: String,
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A header, empty where there is none or where it is no text.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    fn failed(&self, expected: &str) -> Stop {
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(200)]);
        Stop::Failed(format!(
            "{}: expected {expected}, found {} {start:?}",
            self.what, self.status
        ))
    }

    pub(crate) fn status_is(self, status: u16) -> Outcome<Self> {
        match self.status.as_u16() == status {
            true => Ok(self),
            false => Err(self.failed(&status.to_string())),
        }
    }

    /// 200, 201 or 204: stores differ in what they answer to a PUT.
    pub(crate) fn success(self) -> Outcome<Self> {
        match self.status.is_success() {
            true => Ok(self),
            false => Err(self.failed("success")),
        }
    }

    pub(crate) fn refused(self) -> Outcome<Self> {
        match self.status.is_client_error() {
            true => Ok(self),
            false => Err(self.failed("a refusal (4xx)")),
        }
    }

    /// What a stranger may learn from it: status, type and body, without what differs in any two
    /// answers.
    pub(crate) fn told(&self) -> (StatusCode, String, String) {
        let body = match serde_json::from_slice::<serde_json::Value>(&self.body) {
            Ok(serde_json::Value::Object(mut problem)) => {
                problem.remove("request_id");
                problem.remove("instance");
                serde_json::Value::Object(problem).to_string()
            }
            _ => String::from_utf8_lossy(&self.body).into_owned(),
        };
        (self.status, self.header("content-type").to_owned(), body)
    }
}

impl Trial {
    /// A URL of the store or of its gateway; ends the case where neither signs.
    pub(crate) async fn signed(&self, sign: SignUrl<'_>) -> Outcome<SignedUrl> {
        match self.signed_url(sign).await? {
            Signing::Url(url) => Ok(url),
            _ => not_applicable("it signs at the gateway, and there is none at this level"),
        }
    }

    /// A GET URL of the usual life, as a use.
    pub(crate) async fn getting(&self, key: &str) -> Outcome<Use> {
        let signed = self.signed(SignUrl::new(Method::Get, key, LIFE)).await?;
        Use::of(&signed, "GET")
    }
}

/// The usual life of a URL here.
pub(crate) const LIFE: Duration = Duration::from_secs(300);

/// Whether the host's gateway made it: then it is judged byte for byte.
pub(crate) fn is_of_gateway(url: &str) -> bool {
    url.contains("&hd-sig=")
}

/// Whether every parameter of the query is under the signature.
pub(crate) fn signs_whole_query(url: &str) -> bool {
    is_of_gateway(url)
        || ["X-Amz-Signature=", "X-Goog-Signature="]
            .iter()
            .any(|name| url.contains(name))
}

/// Name and value of each parameter of the query, as they stand there.
pub(crate) fn parameters(url: &str) -> Vec<(&str, &str)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect()
}

/// When the URL says that it ends, where that is known to be readable.
pub(crate) fn end_of(url: &str) -> Option<SystemTime> {
    let parameters = parameters(url);
    let value = |wanted: &str| {
        let found = parameters.iter().find(|(name, _)| *name == wanted)?;
        percent_encoding::percent_decode_str(found.1)
            .decode_utf8()
            .ok()
    };
    let seconds = |wanted: &str| Some(Duration::from_secs(value(wanted)?.parse().ok()?));
    if let Some(end) = seconds("hd-exp") {
        return Some(UNIX_EPOCH + end);
    }
    for (begin, life) in [
        ("X-Amz-Date", "X-Amz-Expires"),
        ("X-Goog-Date", "X-Goog-Expires"),
    ] {
        if let (Some(begin), Some(life)) = (value(begin), seconds(life)) {
            return Some(basic_time(&begin)? + life);
        }
    }
    // Azure: RFC 3339.
    humantime::parse_rfc3339(&value("se")?).ok()
}

/// `20261126T074615Z`, the basic format of ISO 8601.
fn basic_time(text: &str) -> Option<SystemTime> {
    let part = |range| text.get(range);
    let extended = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(9..11)?,
        part(11..13)?,
        part(13..15)?
    );
    humantime::parse_rfc3339(&extended).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_read_where_they_are_known() {
        let end = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        for url in [
            "https://h/v1/b/k?hd-v=1&hd-m=GET&hd-exp=1767225600&hd-sig=x",
            "https://h/b/k?X-Amz-Date=20251231T235500Z&X-Amz-Expires=300&X-Amz-Signature=x",
            "https://h/b/k?X-Goog-Date=20251231T235500Z&X-Goog-Expires=300",
            "https://h/c/k?sv=2021&se=2026-01-01T00%3A00%3A00Z&sig=x",
        ] {
            assert_eq!(end_of(url), Some(end), "{url}");
        }
        assert_eq!(end_of("https://h/k?expires=7"), None);
        assert_eq!(end_of("https://h/k"), None);
    }
}
