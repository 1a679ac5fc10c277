//! A store behind HTTP: a backend that speaks to a server much as S3 does, right but for
//! the mistake that a test chooses, and the server.

use futures_util::StreamExt;
use holdall_conformance::wire::{self, Dialect, Endpoint, Fault, Reply};
use holdall_conformance::{Broken, Claims, Harness, Stage, rust_stage};
use holdall_plugin_api::descriptor::Flags;
use holdall_plugin_api::{
    Body, ByteRange, Bytes, Capabilities, Delete, Deleted, Download, Downloaded, Entry, Error,
    ErrorKind, Head, Health, Host, Instance, Key, List, ObjectInfo, Operations, Page,
    ProviderReply, Result, Retry, SignUrl, Signing, StorageBackend, Upload, Uploaded,
};
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, BodyStream, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A mistake in how a backend treats its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    AlwaysHealthy,
    AnyListing,
    ContainerIsKey,
    DeniedIsAbsent,
    DropsProvider,
    ErrorIsAbsent,
    ForgetsRetryAfter,
    FullIsOther,
    LostIsSafe,
    NobodyIsOther,
    OneLimitForAll,
    OpensForEver,
    RangeUnchecked,
    ReadsAhead,
    RepeatsSilently,
    ShortIsWhole,
    SkewUntold,
    ThrottleIsOther,
}

#[derive(Clone)]
pub(crate) struct Config {
    url: String,
    bucket: String,
    key: &'static str,
    bug: Option<Bug>,
}

/// Never read from a file.
impl<'de> serde::Deserialize<'de> for Config {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(serde::de::Error::custom("it is made, not read"))
    }
}

/// What the server takes for credentials.
const RIGHT: &str = "a-key-that-opens";

const WAIT: Duration = Duration::from_secs(2);

pub(crate) struct Remote(Config);

impl Remote {
    fn has(&self, bug: Bug) -> bool {
        self.0.bug == Some(bug)
    }

    fn silence(&self) -> Error {
        match self.has(Bug::NobodyIsOther) {
            true => Error::new(ErrorKind::Other),
            false => Error::new(ErrorKind::Timeout),
        }
    }

    fn broken(&self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let kind = match self.has(Bug::NobodyIsOther) {
            true => ErrorKind::Other,
            false => ErrorKind::Unavailable,
        };
        let error = Error::new(kind).because(cause);
        match self.has(Bug::LostIsSafe) {
            true => error.with_retry(Retry::Safe),
            false => error,
        }
    }

    async fn once(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let rest = match self.0.url.strip_prefix("http://") {
            Some(rest) => rest.to_owned(),
            None => return Err(self.broken("no TLS here")),
        };
        let stream = timeout(WAIT, TcpStream::connect(&rest)).await;
        let stream = stream
            .map_err(|_| self.silence())?
            .map_err(|why| self.broken(why))?;
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, rest)
            .header("x-key", self.0.key);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|why| self.broken(why))?;
        let talking = async {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        let answer = timeout(WAIT, talking).await;
        answer
            .map_err(|_| self.silence())?
            .map_err(|why| self.broken(why))
    }

    async fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Response<Incoming>> {
        let mut left = if self.has(Bug::RepeatsSilently) { 2 } else { 0 };
        loop {
            let answer = self.once(method, target, headers, body.clone()).await;
            let bad = answer
                .as_ref()
                .map_or(true, |answer| answer.status().is_server_error());
            if !bad || left == 0 {
                return answer;
            }
            left -= 1;
        }
    }

    fn target(&self, key: &Key) -> String {
        let encoded =
            percent_encoding::utf8_percent_encode(key.text(), percent_encoding::NON_ALPHANUMERIC);
        format!("/{}/{encoded}", self.0.bucket)
    }

    /// What a status and a document mean.
    async fn judged(&self, answer: Response<Incoming>) -> Result<Response<Incoming>> {
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let document = body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default();
        let document = String::from_utf8_lossy(&document).into_owned();
        let code = document
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"));
        let code = code.map(|(code, _)| code.to_owned());
        let kind = match (head.status.as_u16(), code.as_deref()) {
            (400, Some("ExpiredToken")) => ErrorKind::Unauthenticated,
            (400, _) => ErrorKind::InvalidArgument,
            (401, _) | (403, Some("InvalidAccessKeyId")) => ErrorKind::Unauthenticated,
            (403, _) if self.has(Bug::DeniedIsAbsent) => ErrorKind::FileNotFound,
            (403, _) => ErrorKind::PermissionDenied,
            (404, Some("NoSuchBucket")) if !self.has(Bug::ContainerIsKey) => {
                ErrorKind::ContainerMissing
            }
            (404, _) => ErrorKind::FileNotFound,
            (409, _) => ErrorKind::Conflict,
            (412, _) => ErrorKind::PreconditionFailed,
            (416, _) => ErrorKind::InvalidRange,
            (429, _) | (503, Some("SlowDown")) if self.has(Bug::ThrottleIsOther) => {
                ErrorKind::Other
            }
            (429, _) | (503, Some("SlowDown")) => ErrorKind::RateLimited,
            (507, _) if !self.has(Bug::FullIsOther) => ErrorKind::QuotaExceeded,
            (507, _) => ErrorKind::Other,
            (500.., _) => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        };
        let mut error = Error::new(kind);
        let text = |headers: &HeaderMap, name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let seconds = text(&head.headers, "retry-after").and_then(|value| value.parse().ok());
        if let Some(seconds) = seconds.filter(|_| !self.has(Bug::ForgetsRetryAfter)) {
            error = error.with_retry(Retry::After(Duration::from_secs(seconds)));
        }
        if code.as_deref() == Some("RequestTimeTooSkewed") && !self.has(Bug::SkewUntold) {
            error = error.with_message("the clock of this host is off");
        }
        if self.has(Bug::DropsProvider) {
            return Err(error);
        }
        Err(error.with_provider(
            ProviderReply::new()
                .status(Some(head.status.as_u16()))
                .code(code)
                .request_id(text(&head.headers, "x-amz-request-id")),
        ))
    }

    /// A HEAD has no document: whether the bucket is there is another question.
    async fn absent(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::FileNotFound {
            return error;
        }
        let bucket = self
            .ask("GET", &format!("/{}", self.0.bucket), &[], Bytes::new())
            .await;
        match bucket {
            Ok(answer) => self.judged(answer).await.err().unwrap_or(error),
            Err(why) => why,
        }
    }

    fn info(&self, headers: &HeaderMap) -> Result<ObjectInfo> {
        let text =
            |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        // No object of this server comes without one: a portal's page does.
        let etag = text(header::ETAG)
            .ok_or_else(|| Error::new(ErrorKind::Other).with_message("an object without etag"))?;
        let size = text(header::CONTENT_LENGTH).and_then(|size| size.parse().ok());
        let mut info = ObjectInfo::new(size.unwrap_or(0));
        info.etag = Some(etag.trim_matches('"').to_owned());
        Ok(info)
    }

    fn stream(&self, body: Incoming, left: u64) -> Body {
        let silence = self.silence();
        let wait = if self.has(Bug::OneLimitForAll) {
            None
        } else {
            Some(WAIT)
        };
        let until = tokio::time::Instant::now() + WAIT;
        let state = (BodyStream::new(body), left, silence, false);
        let chunks = futures_util::stream::unfold(
            state,
            move |(mut body, left, silence, over)| async move {
                if over {
                    return None;
                }
                let limit = wait.map_or(until, |wait| tokio::time::Instant::now() + wait);
                let next = tokio::time::timeout_at(limit, body.next()).await;
                let (item, left, over) = match next {
                    Err(_) => (Err(silence.clone()), left, true),
                    Ok(None) if left == 0 => return None,
                    Ok(None) => (Err(Error::new(ErrorKind::Unavailable)), left, true),
                    Ok(Some(Err(why))) => (
                        Err(Error::new(ErrorKind::Unavailable).because(why)),
                        left,
                        true,
                    ),
                    Ok(Some(Ok(frame))) => {
                        let data = frame.into_data().unwrap_or_default();
                        let left = left.saturating_sub(data.len() as u64);
                        (Ok(data), left, false)
                    }
                };
                Some((item, (body, left, silence, over)))
            },
        );
        Body::stream(chunks)
    }
}

impl StorageBackend for Remote {
    type Config = Config;

    async fn open(config: Config, _: Host) -> Result<Self> {
        if config.bug == Some(Bug::OpensForEver) {
            let request = Request::get(&config.url).body(Bytes::new()).unwrap();
            // Its own limit is a minute.
            let _ = wire::send(request).await;
        }
        Ok(Self(config))
    }

    fn instance(&self) -> Instance {
        Instance::new("remote")
    }

    async fn upload(&self, upload: Upload<'_>) -> Result<Uploaded> {
        let (key, body, _, options) = upload.into_parts();
        let bytes = body.collect(1 << 20).await?;
        let size = bytes.len() as u64;
        let create = options.create_only;
        let condition: &[(&str, String)] = &[("if-none-match", "*".to_owned())];
        let headers = if create { condition } else { &[] };
        let answer = self.ask("PUT", &self.target(key), headers, bytes).await?;
        let answer = self.judged(answer).await?;
        let mut uploaded = Uploaded::new(size);
        uploaded.etag = self.info(answer.headers())?.etag;
        Ok(uploaded)
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let target = self.target(download.key);
        let asked = match &download.range {
            Some(ByteRange::Bounded(range)) => {
                vec![("range", format!("bytes={}-{}", range.start, range.end - 1))]
            }
            Some(ByteRange::From(start)) => vec![("range", format!("bytes={start}-"))],
            _ => Vec::new(),
        };
        let answer = self.ask("GET", &target, &asked, Bytes::new()).await?;
        let answer = self.judged(answer).await?;
        let mut info = self.info(answer.headers())?;
        let length = info.size;
        let mut range = 0..length;
        if let Some(ByteRange::Bounded(wanted)) = &download.range {
            let text = answer
                .headers()
                .get(header::CONTENT_RANGE)
                .and_then(|value| value.to_str().ok());
            let said = text.and_then(|text| {
                let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
                let (first, last) = range.split_once('-')?;
                Some((
                    first.parse::<u64>().ok()?..last.parse::<u64>().ok()? + 1,
                    size.parse::<u64>().ok()?,
                ))
            });
            range = wanted.clone();
            match said {
                _ if self.has(Bug::RangeUnchecked) => {
                    range.end = range.end.min(range.start + length)
                }
                Some((said, size)) if said == (wanted.start..wanted.end.min(size)) => {
                    info.size = size;
                    range = said;
                }
                _ => {
                    return Err(
                        Error::new(ErrorKind::Other).with_message("another range than was asked")
                    );
                }
            }
        }
        if self.has(Bug::ShortIsWhole) {
            let mut all = Vec::new();
            let mut body = self.stream(answer.into_body(), length);
            while let Some(Ok(chunk)) = body.chunk().await {
                all.extend_from_slice(&chunk);
            }
            let size = all.len() as u64;
            return Ok(Downloaded::new(
                ObjectInfo::new(size),
                0..size,
                Body::from(all),
            ));
        }
        if self.has(Bug::ReadsAhead) {
            let all = self
                .stream(answer.into_body(), length)
                .collect(1 << 30)
                .await?;
            return Ok(Downloaded::new(info, range, cut(all)));
        }
        let size = if self.has(Bug::RangeUnchecked) {
            range.end - range.start
        } else {
            length
        };
        Ok(Downloaded::new(
            info,
            range,
            self.stream(answer.into_body(), size),
        ))
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        let answer = self
            .ask("DELETE", &self.target(delete.key), &[], Bytes::new())
            .await?;
        self.judged(answer).await?;
        Ok(Deleted::new(None))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        match self.head(Head::new(key)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(false),
            Err(_) if self.has(Bug::ErrorIsAbsent) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
        Ok(Signing::AtGateway)
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        let answer = self
            .ask("HEAD", &self.target(head.key), &[], Bytes::new())
            .await?;
        match self.judged(answer).await {
            Ok(answer) => self.info(answer.headers()),
            Err(error) => Err(self.absent(error).await),
        }
    }

    async fn list(&self, _: List<'_>) -> Result<Page> {
        let answer = self
            .ask("GET", &format!("/{}", self.0.bucket), &[], Bytes::new())
            .await?;
        let answer = self.judged(answer).await?;
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|why| self.broken(why))?
            .to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        let whole =
            text.contains("<ListBucketResult>") && text.trim_end().ends_with("</ListBucketResult>");
        if !whole && !self.has(Bug::AnyListing) {
            return Err(Error::new(ErrorKind::Other).with_message("no listing"));
        }
        let mut page = Page::default();
        for part in text.split("<Key>").skip(1) {
            page.entries
                .extend(part.split_once("</Key>").map(|(key, _)| Entry::new(key, 1)));
        }
        Ok(page)
    }

    async fn health(&self) -> Result<Health> {
        let answer = self
            .ask("GET", &format!("/{}", self.0.bucket), &[], Bytes::new())
            .await;
        let judged = match answer {
            Ok(answer) => self.judged(answer).await.map(drop),
            Err(error) => Err(error),
        };
        match judged {
            Err(error) if !self.has(Bug::AlwaysHealthy) => Ok(Health::down(error.kind().text())),
            _ => Ok(Health::up()),
        }
    }
}

/// A body in chunks of the usual size.
fn cut(bytes: Bytes) -> Body {
    let starts = (0..bytes.len()).step_by(64 << 10);
    let chunks = starts.map(move |at| Ok(bytes.slice(at..bytes.len().min(at + (64 << 10)))));
    Body::stream(futures_util::stream::iter(chunks))
}

/// The server: one bucket, `kit`, in memory.
async fn server() -> Endpoint {
    type Objects = Arc<Mutex<BTreeMap<String, Bytes>>>;
    let objects: Objects = Arc::default();
    let dialect = Dialect::S3;
    Endpoint::start(move |_| {
        let objects = objects.clone();
        Reply::later(move |seen| {
            let mut objects = objects.lock().unwrap();
            if seen.header("x-key") != RIGHT {
                return dialect.fault(Fault::BadCredentials);
            }
            let Some(rest) = seen.target.strip_prefix("/kit") else {
                return dialect.fault(Fault::NoSuchContainer);
            };
            let key = rest.trim_start_matches('/').to_owned();
            let there = objects.get(&key).cloned();
            match (seen.method.as_str(), there) {
                ("GET", _) if key.is_empty() => dialect.container(),
                ("PUT", Some(_)) if seen.header("if-none-match") == "*" => {
                    dialect.fault(Fault::PreconditionFailed)
                }
                ("PUT", _) => {
                    objects.insert(key, seen.body.clone());
                    dialect.stored()
                }
                ("DELETE", _) => {
                    objects.remove(&key);
                    Reply::new(204)
                }
                (_, Some(bytes)) => dialect.object(bytes),
                (_, None) => dialect.fault(Fault::NoSuchKey),
            }
        })
    })
    .await
}

/// A stage with a server of its own.
pub(crate) struct Subject {
    bug: Option<Bug>,
    server: Endpoint,
}

impl Subject {
    pub(crate) async fn with(bug: Option<Bug>) -> Self {
        let server = server().await;
        Self { bug, server }
    }

    pub(crate) fn stage(self) -> Arc<dyn Stage> {
        let claims = Claims {
            plugin: "remote".into(),
            operations: Operations::REQUIRED
                .with(Operations::head)
                .with(Operations::list)
                .with(Operations::health),
            capabilities: Capabilities::atomic_put.with(Capabilities::create_only),
            schema: None,
            flags: Flags(Flags::RUNTIME_TOKIO),
        };
        rust_stage::<Remote>(claims, self)
    }

    fn config_at(&self, url: &str) -> Config {
        Config {
            url: url.to_owned(),
            bucket: "kit".into(),
            key: RIGHT,
            bug: self.bug,
        }
    }
}

impl Harness for Subject {
    type Config = Config;

    fn config(&self, _: u32) -> Config {
        self.config_at(&self.server.url())
    }

    fn broken(&self, how: Broken) -> Option<Config> {
        let mut config = self.config(0);
        match how {
            Broken::Credentials => config.key = "a-key-that-does-not",
            Broken::Container => config.bucket = "elsewhere".into(),
        }
        Some(config)
    }

    fn at(&self, _: u32, url: &str) -> Option<Config> {
        Some(self.config_at(url))
    }

    fn dialect(&self) -> Dialect {
        Dialect::S3
    }

    fn server(&self) -> Option<SocketAddr> {
        Some(self.server.address())
    }
}
