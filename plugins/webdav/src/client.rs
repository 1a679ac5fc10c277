//! Requests and answers: one method for each method of WebDAV that is used.

use crate::config::CheckedConfig;
use crate::error::{self, About};
use crate::metadata_record::{NAMESPACE, PROPERTY};
use crate::multistatus::{self, Resource};
use futures_util::TryStreamExt;
use holdall_plugin_api::{ByteRange, Bytes, Error, ErrorKind, Result};
use reqwest::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, ETAG, HeaderMap,
    HeaderValue, RANGE,
};
use reqwest::{Body, Client, Method, Response, StatusCode, Url};
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, error::Elapsed, timeout, timeout_at};
use tokio_util::io::StreamReader;

/// A connection pool to one server.
#[derive(Clone, Debug)]
pub(crate) struct Dav {
    http: Client,
    authorization: Option<HeaderValue>,
    /// Longest wait for an answer, and longest pause within one.
    pub(crate) patience: Duration,
}

/// Which properties are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Kind, size, etag and time.
    Facts,
    /// These, and our own.
    Record,
    /// Space.
    Space,
}

impl Dav {
    pub(crate) fn new(settings: &CheckedConfig, certificates: &[u8]) -> Result<Self> {
        // This library's own copy of rustls, or the program's, which then has one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = |why: &'static str, cause: reqwest::Error| {
            Error::new(ErrorKind::ConfigInvalid)
                .with_message(why)
                .because(cause)
        };
        let more = reqwest::Certificate::from_pem_bundle(certificates)
            .map_err(|cause| config("`ca_file` does not hold certificates in PEM", cause))?;
        let http = Client::builder()
            .user_agent(concat!("holdall-webdav/", env!("CARGO_PKG_VERSION")))
            // A PUT that follows a redirect would need its body twice, and credentials would go
            // to the host that the server names.
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .tls_certs_merge(more)
            .connect_timeout(settings.connect_timeout)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(16)
            .pool_idle_timeout(Duration::from_secs(15))
            .build()
            .map_err(|cause| config("no HTTP client with this configuration", cause))?;
        Ok(Self {
            http,
            authorization: settings.authorization.clone(),
            patience: settings.timeout,
        })
    }

    /// Sends a request with a small body or none, and waits for the head of its answer.
    async fn send(
        &self,
        about: About,
        method: &str,
        url: &Url,
        headers: HeaderMap,
        body: Option<Body>,
    ) -> Result<Response> {
        let answer = self.begin(method, url, headers, body);
        timeout(self.patience, answer)
            .await
            .map_err(|_: Elapsed| error::too_slow(about))?
            .map_err(|cause| error::from_transport(about, cause))
    }

    /// Sends a request, without a limit in time.
    fn begin(
        &self,
        method: &str,
        url: &Url,
        mut headers: HeaderMap,
        body: Option<Body>,
    ) -> impl Future<Output = reqwest::Result<Response>> + use<> {
        // The bytes as they are stored, whatever the server would like.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(value) = &self.authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::OPTIONS);
        let mut request = self.http.request(method, url.clone()).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        request.send()
    }

    /// The error of an answer that is none of the expected ones; reads a little of its body.
    pub(crate) async fn refusal(&self, about: About, answer: Response) -> Error {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        let mut pieces = answer.bytes_stream();
        let reading = async {
            while let Ok(Some(piece)) = pieces.try_next().await {
                body.extend_from_slice(&piece);
                if body.len() > error::LOOK {
                    break;
                }
            }
        };
        let _ = timeout(self.patience, reading).await;
        error::from_status(about, status, &headers, &body)
    }

    /// A request whose answer is its status.
    async fn done(&self, about: About, answer: Response, good: &[u16]) -> Result<StatusCode> {
        let status = answer.status();
        if good.contains(&status.as_u16()) {
            // Read to its end, so that the connection can be used again; a long one is given up.
            let mut pieces = answer.bytes_stream();
            let reading = async {
                let mut read = 0;
                while let Ok(Some(piece)) = pieces.try_next().await
                    && read < error::LOOK
                {
                    read += piece.len();
                }
            };
            let _ = timeout(self.patience, reading).await;
            return Ok(status);
        }
        Err(self.refusal(about, answer).await)
    }

    /// Hands each resource of a folder (`depth` 1), or the one itself (0), to `found`.
    pub(crate) async fn each(
        &self,
        about: About,
        url: &Url,
        depth: u8,
        ask: Ask,
        found: impl FnMut(Resource),
    ) -> Result<Option<SystemTime>> {
        let mut headers = HeaderMap::new();
        headers.insert("depth", HeaderValue::from(u16::from(depth)));
        headers.insert(CONTENT_TYPE, XML);
        let body = Body::from(propfind(ask));
        let answer = self
            .send(about, "PROPFIND", url, headers, Some(body))
            .await?;
        if answer.status() != StatusCode::MULTI_STATUS {
            return Err(self.refusal(about, answer).await);
        }
        let now = date(answer.headers());
        let patience = self.patience;
        let pieces = answer.bytes_stream().map_err(std::io::Error::other);
        let pieces = impatient(pieces, patience);
        multistatus::read(StreamReader::new(Box::pin(pieces)), found)
            .await
            .map_err(|fault| error::from_fault(about, fault))?;
        Ok(now)
    }

    /// What is at this URL itself.
    pub(crate) async fn facts(
        &self,
        about: About,
        url: &Url,
        ask: Ask,
    ) -> Result<(Resource, Option<SystemTime>)> {
        let mut own = None;
        let now = self
            .each(about, url, 0, ask, |resource| {
                own.get_or_insert(resource);
            })
            .await?;
        match own {
            Some(resource) if resource.status == Some(404) => Err(error::from_status(
                about,
                StatusCode::NOT_FOUND,
                &HeaderMap::new(),
                b"",
            )),
            Some(resource) => Ok((resource, now)),
            None => Err(error::from_fault(
                about,
                multistatus::Fault::Xml("a multistatus about nothing".to_owned()),
            )),
        }
    }

    /// The answer to a GET: 200 or 206.
    pub(crate) async fn get(&self, url: &Url, range: Option<&ByteRange>) -> Result<Response> {
        let mut headers = HeaderMap::new();
        let text = match range {
            None => None,
            Some(ByteRange::Bounded(range)) => {
                let last = range.end.saturating_sub(1);
                Some(format!("bytes={}-{last}", range.start))
            }
            Some(ByteRange::From(start)) => Some(format!("bytes={start}-")),
            Some(ByteRange::Last(count)) => Some(format!("bytes=-{count}")),
            Some(_) => return Err(Error::unsupported("this kind of range")),
        };
        if let Some(text) = text
            && let Ok(value) = HeaderValue::from_str(&text)
        {
            headers.insert(RANGE, value);
        }
        let answer = self.send(About::Reading, "GET", url, headers, None).await?;
        match answer.status().as_u16() {
            200 | 206 => Ok(answer),
            _ => Err(self.refusal(About::Reading, answer).await),
        }
    }

    /// Begins a PUT; its answer has the etag, where the server tells.
    pub(crate) fn put(
        &self,
        url: &Url,
        body: Body,
        length: Option<u64>,
    ) -> impl Future<Output = reqwest::Result<Response>> + use<> {
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        if let Some(length) = length {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        self.begin("PUT", url, headers, Some(body))
    }

    /// The etag in the answer to a PUT.
    pub(crate) async fn put_answer(&self, answer: Response) -> Result<Option<String>> {
        let etag = answer
            .headers()
            .get(ETAG)
            .and_then(|etag| etag.to_str().ok())
            .and_then(multistatus::etag);
        // RFC 9110, 9.3.4. A 200 is what a captive portal or a login page answers to everything.
        self.done(About::Staging, answer, &[201, 204]).await?;
        Ok(etag)
    }

    /// Sets our property; `false` where the server does not keep it.
    pub(crate) async fn set_record(&self, url: &Url, record: &str) -> Result<bool> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, XML);
        let value = quick_xml::escape::escape(record);
        let body = format!(
            r#"<?xml version="1.0" encoding="utf-8"?><D:propertyupdate xmlns:D="DAV:" xmlns:H="{NAMESPACE}"><D:set><D:prop><H:{PROPERTY}>{value}</H:{PROPERTY}></D:prop></D:set></D:propertyupdate>"#
        );
        let answer = self
            .send(About::Staging, "PROPPATCH", url, headers, Some(body.into()))
            .await?;
        match answer.status().as_u16() {
            207 => {
                let (mut answered, mut refused) = (0, 0);
                let pieces = answer.bytes_stream().map_err(std::io::Error::other);
                let pieces = impatient(pieces, self.patience);
                multistatus::read(StreamReader::new(Box::pin(pieces)), |resource| {
                    answered += 1;
                    refused += resource.refused
                        + usize::from(resource.status.is_some_and(|status| status > 299));
                })
                .await
                .map_err(|fault| error::from_fault(About::Staging, fault))?;
                Ok(answered > 0 && refused == 0)
            }
            400 | 403 | 405 | 409 | 415 | 501 => {
                self.refusal(About::Staging, answer).await;
                Ok(false)
            }
            _ => Err(self.refusal(About::Staging, answer).await),
        }
    }

    /// `MOVE` or `COPY`. A target that exists and may not be replaced is `PreconditionFailed`.
    pub(crate) async fn transfer(
        &self,
        method: &'static str,
        about: About,
        from: &Url,
        to: &Url,
        overwrite: bool,
    ) -> Result<()> {
        let mut headers = HeaderMap::new();
        let destination = HeaderValue::from_str(to.as_str()).map_err(|cause| {
            Error::new(ErrorKind::Other)
                .with_message("no header for this key")
                .because(cause)
        })?;
        headers.insert("destination", destination);
        let overwrite = if overwrite { "T" } else { "F" };
        headers.insert("overwrite", HeaderValue::from_static(overwrite));
        if method == "COPY" {
            headers.insert("depth", HeaderValue::from_static("0"));
        }
        let answer = self.send(about, method, from, headers, None).await?;
        // RFC 4918, 9.8.5 and 9.9.4.
        self.done(about, answer, &[201, 204]).await.map(drop)
    }

    /// Makes a folder; `false` when something of this name is there.
    pub(crate) async fn make_folder(&self, about: About, url: &Url) -> Result<bool> {
        let answer = self
            .send(about, "MKCOL", url, HeaderMap::new(), None)
            .await?;
        let made = self.done(about, answer, &[201, 405]).await;
        match made {
            Ok(status) => Ok(status != StatusCode::METHOD_NOT_ALLOWED),
            // Forbidden to make what is there, or two at once: all the same if it is there.
            Err(error) if matches!(error.provider().status, Some(403 | 500)) => {
                match self.facts(about, url, Ask::Facts).await {
                    Ok((there, _)) if there.folder => Ok(false),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a file (or a folder and all that is in it); `false` when it was not there.
    pub(crate) async fn remove(&self, about: About, url: &Url) -> Result<bool> {
        let answer = self
            .send(about, "DELETE", url, HeaderMap::new(), None)
            .await?;
        match self.done(about, answer, &[200, 202, 204, 404]).await? {
            StatusCode::NO_CONTENT => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            // 200 comes from a login page too, and 202 only announces a removal.
            status => match self.facts(about, url, Ask::Facts).await {
                Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(true),
                Err(error) => Err(error),
                Ok(_) => Err(error::from_status(about, status, &HeaderMap::new(), b"")),
            },
        }
    }

    /// Locks a file that may not be there yet; `None` while another client has it locked.
    pub(crate) async fn lock(&self, url: &Url, lifetime: Duration) -> Result<Option<HeaderValue>> {
        let mut headers = HeaderMap::new();
        headers.insert("depth", HeaderValue::from_static("0"));
        headers.insert(CONTENT_TYPE, XML);
        if let Ok(seconds) = HeaderValue::from_str(&format!("Second-{}", lifetime.as_secs())) {
            headers.insert("timeout", seconds);
        }
        const BODY: &str = r#"<?xml version="1.0" encoding="utf-8"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner>holdall</D:owner></D:lockinfo>"#;
        let answer = self
            .send(About::Staging, "LOCK", url, headers, Some(BODY.into()))
            .await?;
        match answer.status().as_u16() {
            200 | 201 => {
                let token = answer.headers().get("lock-token").cloned();
                self.done(About::Staging, answer, &[200, 201]).await?;
                match token {
                    Some(token) => Ok(Some(token)),
                    None => Err(Error::new(ErrorKind::Unsupported)
                        .with_message("the server locks without telling a token")),
                }
            }
            423 => {
                self.refusal(About::Staging, answer).await;
                Ok(None)
            }
            _ => Err(self.refusal(About::Staging, answer).await),
        }
    }

    /// Gives a lock back.
    pub(crate) async fn unlock(&self, url: &Url, token: HeaderValue) -> Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert("lock-token", token);
        let answer = self
            .send(About::Staging, "UNLOCK", url, headers, None)
            .await?;
        self.done(About::Staging, answer, &[204]).await.map(drop)
    }
}

const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");

fn propfind(ask: Ask) -> String {
    let facts = "<D:resourcetype/><D:getcontentlength/><D:getlastmodified/><D:getetag/>";
    let wanted = match ask {
        Ask::Facts => facts.to_owned(),
        Ask::Record => format!(r#"{facts}<H:{PROPERTY} xmlns:H="{NAMESPACE}"/>"#),
        Ask::Space => "<D:resourcetype/><D:quota-used-bytes/><D:quota-available-bytes/>".to_owned(),
    };
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop>{wanted}</D:prop></D:propfind>"#
    )
}

/// The clock of the server.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// Least that arrives of a document within the time that one answer may take, in bytes.
const PACE: usize = 1 << 10;
/// Longest time for a whole document, as a multiple of the time that one answer may take.
const DOCUMENT: u32 = 10;

/// Ends a document that arrives too slowly, or does not end.
fn impatient<S>(
    pieces: S,
    patience: Duration,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>>
where
    S: futures_util::Stream<Item = std::io::Result<Bytes>>,
{
    let now = Instant::now();
    let state = (Box::pin(pieces), now + patience, 0);
    let ends = now + DOCUMENT * patience;
    futures_util::stream::unfold(Some(state), move |state| async move {
        let (mut pieces, mut due, mut arrived) = state?;
        match timeout_at(due.min(ends), pieces.try_next()).await {
            Ok(Ok(Some(piece))) => {
                arrived += piece.len();
                if arrived >= PACE {
                    (due, arrived) = (Instant::now() + patience, 0);
                }
                Some((Ok(piece), Some((pieces, due, arrived))))
            }
            Ok(Ok(None)) => None,
            Ok(Err(cause)) => Some((Err(cause), None)),
            Err(_) => Some((Err(std::io::ErrorKind::TimedOut.into()), None)),
        }
    })
}
