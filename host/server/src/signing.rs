//! `POST /v1/{backend}/{key}?sign`: a URL that works without credentials.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use holdall::config::parse_duration;
use holdall::{Method, SignUrl};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body;
use crate::call::{Call, Query, Target};
use crate::objects::answer::{Digests, date, json, read_json};
use crate::problem::Problem;
use crate::rights::Scope;

/// Far more than any request of this kind has.
const MOST_BYTES: usize = 64 << 10;
/// Life of a URL when the request does not state one.
const LIFE: Duration = Duration::from_secs(900);

/// What is asked of the URL; an empty body asks for a GET of 15 minutes.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = UrlToSign)]
pub(crate) struct Asked {
    method: Verb,
    expires_in: Option<Life>,
    content_type: Option<String>,
    max_size: Option<u64>,
    checksums: Digests,
    download_name: Option<String>,
    response_content_type: Option<String>,
    must_exist: bool,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = SignedMethod)]
enum Verb {
    #[default]
    Get,
    Put,
    Head,
    Delete,
}

/// Seconds, or a text such as "15m".
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Lifetime)]
enum Life {
    Seconds(u64),
    Text(String),
}

#[derive(Serialize, ToSchema)]
#[schema(as = SignedUrl)]
pub(crate) struct Answer {
    url: String,
    method: &'static str,
    /// What the request must carry.
    headers: std::collections::BTreeMap<String, String>,
    /// The URL's own truth: RFC 3339, and the same in seconds since 1970.
    expires_at: String,
    expires: u64,
}

impl Verb {
    fn method(self) -> Method {
        match self {
            Verb::Get => Method::Get,
            Verb::Put => Method::Put,
            Verb::Head => Method::Head,
            Verb::Delete => Method::Delete,
        }
    }

    fn scope(self) -> Scope {
        match self {
            Verb::Get | Verb::Head => Scope::Read,
            Verb::Put => Scope::Write,
            Verb::Delete => Scope::Delete,
        }
    }
}

impl Life {
    fn duration(&self) -> Result<Duration, Problem> {
        match self {
            Life::Seconds(seconds) => Ok(Duration::from_secs(*seconds)),
            Life::Text(text) => parse_duration(text).ok_or_else(|| {
                Problem::invalid(format!(
                    "expires_in is a number of seconds or a time such as \"15m\", found {text:?}"
                ))
            }),
        }
    }
}

pub(crate) async fn handle(
    call: Call,
    target: Target,
    mut query: Query,
    body: Body,
) -> Result<Response, Problem> {
    if !query.flag("sign")? {
        return Err(Problem::invalid("a POST to an object has ?sign"));
    }
    query.finish()?;
    let backend = call.backend(Scope::Sign, &target)?;
    let bytes = body::read_small(body, MOST_BYTES).await?;
    let asked: Asked = match bytes.is_empty() {
        true => Asked::default(),
        false => read_json(&bytes)?,
    };
    // A client cannot sign what it may not do itself.
    call.may(asked.method.scope(), &target.backend, &target.key)?;
    let method = asked.method.method();
    let life = asked.expires_in.as_ref().map_or(Ok(LIFE), Life::duration)?;
    let mut sign = SignUrl::new(method, &*target.key, life);
    sign.content_type = asked.content_type.as_deref();
    sign.max_size = asked.max_size;
    sign.checksums = asked.checksums.checksums()?;
    sign.download_name = asked.download_name.as_deref();
    sign.response_content_type = asked.response_content_type.as_deref();
    sign.must_exist = asked.must_exist;
    let signed = backend.signed_url(sign).await?;
    let since_1970 = signed.expires_at.duration_since(std::time::UNIX_EPOCH);
    let answer = Answer {
        url: signed.url,
        method: method.name(),
        headers: signed.headers.into_iter().collect(),
        expires_at: date(signed.expires_at).unwrap_or_default(),
        expires: since_1970.map_or(0, |time| time.as_secs()),
    };
    let mut response = json(StatusCode::OK, &answer);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
