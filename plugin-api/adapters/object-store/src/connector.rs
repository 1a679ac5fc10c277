//! The HTTP connector for stores of `object_store`: reqwest with rustls, every answer noted.
//!
//! Three things happen here that the store's own client does not do. What the provider said is kept
//! for the error ([`Call`]). Answers that are documents are looked into: an error with status 200 is
//! an error, and a listing loses the entries that the client would refuse the whole page for. And a
//! lost reply is told from a request that was never sent, so that only the latter is repeated for
//! what must not happen twice.

use crate::answer::{self, MAX_DOCUMENT};
use crate::reply::{Call, Failure, Reply, Seen};
use crate::settings::Secret;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use holdall_plugin_api::{Error, ErrorKind};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

/// How the connector reaches a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Longest time to a connection.
    pub connect_timeout: Duration,
    /// Longest time from a request to the head of its answer, the sending of a part included.
    pub answer_timeout: Duration,
    /// Longest silence while a body is read. Not counted while nobody reads.
    pub idle_timeout: Duration,
    /// A file of certificates (PEM) to trust beside the usual roots.
    pub ca_file: Option<PathBuf>,
    /// How to get out.
    pub proxy: Proxy,
    /// `host` or `host:port` of the store. Answers of others are those of a source of credentials.
    /// Empty: everything is the store's.
    pub store_authority: String,
}

/// How to get out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Proxy {
    /// Directly, whatever the environment says.
    #[default]
    None,
    /// As `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say.
    Environment,
    /// Through this one; a name and password in it are sent to it.
    Url(Secret),
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(30),
            ca_file: None,
            proxy: Proxy::None,
            store_authority: String::new(),
        }
    }
}

/// The connector, for `with_http_connector` of a store's builder. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Http(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: reqwest::Client,
    options: HttpOptions,
    /// The provider's clock minus ours, in seconds; 0 within a minute.
    skew: AtomicI64,
}

impl Http {
    /// A connector with these options. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`: a file of certificates that cannot be read, a proxy that is no URL.
    pub fn new(options: HttpOptions) -> Result<Self, Error> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(&options)?)
            .connect_timeout(options.connect_timeout)
            // A redirected request would carry a signature of another address.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("holdall/", env!("CARGO_PKG_VERSION")))
            .http1_only();
        let builder = match &options.proxy {
            Proxy::None => builder.no_proxy(),
            Proxy::Environment => builder,
            Proxy::Url(url) => {
                builder.proxy(reqwest::Proxy::all(url.reveal()).map_err(|cause| {
                    invalid("proxy", "not a URL of a proxy").because(cause.without_url())
                })?)
            }
        };
        let client = builder
            .build()
            .map_err(|cause| invalid("tls", "no HTTP client").because(cause))?;
        Ok(Self(Arc::new(Inner {
            client,
            options,
            skew: AtomicI64::new(0),
        })))
    }

    /// The provider's clock minus ours, in seconds, when the last answer showed them to be more than
    /// a minute apart.
    pub fn clock_skew(&self) -> Option<i64> {
        Some(self.0.skew.load(Ordering::Relaxed)).filter(|skew| *skew != 0)
    }

    /// Makes a request of one's own, noted like those of the store.
    ///
    /// # Errors
    ///
    /// No answer.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.call(request).await
    }

    fn is_store(&self, uri: &http::Uri) -> bool {
        let ours = &self.0.options.store_authority;
        ours.is_empty() || uri.authority().is_some_and(|found| found == ours.as_str())
    }
}

fn invalid(field: &'static str, problem: &'static str) -> Error {
    Error::new(ErrorKind::ConfigInvalid)
        .with_message(format!("{field}: {problem}"))
        .with_fact(field, problem)
}

/// The roots of the system, which is where an operator puts a private one; the built-in ones where
/// the system has none (a container without `ca-certificates`).
fn tls(options: &HttpOptions) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(file) = &options.ca_file {
        let unreadable = |cause| invalid("ca_file", "no certificates can be read").because(cause);
        for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
            let certificate = certificate.map_err(unreadable)?;
            roots
                .add(certificate)
                .map_err(|cause| invalid("ca_file", "not a certificate").because(cause))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| invalid("tls", "no protocol version").because(cause))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

impl HttpConnector for Http {
    // The options of the store's client are not looked at: ours are complete.
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Http {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> BoxFuture<'b, Result<HttpResponse, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let call = Call::current();
            let store = self.is_store(request.uri());
            let answered = self.0.exchange(request, call.as_deref(), store).await;
            match answered {
                Ok(answer) => self.0.read(answer, call, store).await,
                Err((failure, error)) => {
                    if let Some(call) = &call {
                        call.note(Seen::failed(store, failure));
                    }
                    Err(error)
                }
            }
        })
    }
}

type Exchanged = Result<reqwest::Response, (Failure, HttpError)>;

impl Inner {
    async fn exchange(&self, request: HttpRequest, call: Option<&Call>, store: bool) -> Exchanged {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string();
        let url = reqwest::Url::parse(&url).map_err(|cause| {
            let error = HttpError::new(HttpErrorKind::Unknown, cause);
            (Failure::Other, error)
        })?;
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        if let Some(call) = call.filter(|_| store) {
            request.headers_mut().extend(call.headers().clone());
        }
        let bodiless = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::DELETE
        );
        if body.content_length() > 0 || !bodiless {
            *request.body_mut() = Some(reqwest::Body::wrap(body));
        }
        let answering = self.client.execute(request);
        match tokio::time::timeout(self.options.answer_timeout, answering).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(failed(error)),
            Err(elapsed) => Err((
                Failure::Timeout,
                HttpError::new(HttpErrorKind::Timeout, elapsed),
            )),
        }
    }

    /// Notes an answer; looks into it when it is a document, and passes the bytes of objects on.
    async fn read(
        &self,
        answer: reqwest::Response,
        call: Option<Arc<Call>>,
        store: bool,
    ) -> Result<HttpResponse, HttpError> {
        let answer: http::Response<reqwest::Body> = answer.into();
        let (mut parts, body) = answer.into_parts();
        let body = Patient::new(body, self.options.idle_timeout);
        answer::only_ascii(&mut parts.headers);
        answer::only_possible_ranges(&mut parts);
        let mut reply = self.reply(parts.status, &parts.headers, store);
        let document = call.as_ref().is_some_and(|call| call.is_document());
        let failed = !parts.status.is_success();
        let body = if failed || (document && store) {
            let bytes = match collected(body).await {
                Ok(bytes) => bytes,
                Err((failure, error)) => {
                    if let Some(call) = &call {
                        call.note(Seen::failed(store, failure));
                    }
                    return Err(error);
                }
            };
            let bytes = match &call {
                Some(call) if call.is_listing() && !failed => crate::sieve::portable(bytes, call),
                _ => bytes,
            };
            let mut looked = answer::look(&parts.headers, &bytes, failed);
            let listing = call.as_ref().is_some_and(|call| call.is_listing());
            if listing && !failed && looked.code.is_none() && !answer::is_listing(&bytes) {
                looked.foreign = true;
                looked.status_instead = Some(StatusCode::BAD_GATEWAY);
            }
            reply.code = reply.code.or(looked.code);
            reply.request_id = reply.request_id.or(looked.request_id);
            reply.foreign = looked.foreign;
            if let Some(status) = looked.status_instead {
                parts.status = status;
                reply.status = status.as_u16();
            }
            // The length that was announced is that of the bytes before the sieve.
            parts.headers.remove(http::header::CONTENT_LENGTH);
            parts
                .headers
                .insert(http::header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            HttpResponseBody::from(bytes)
        } else {
            let call = call.clone();
            HttpResponseBody::new(body.map_err(move |(failure, error)| {
                if let Some(call) = &call {
                    call.note(Seen::failed(store, failure));
                }
                error
            }))
        };
        if let Some(call) = &call {
            call.note(Seen::Answer(reply));
        }
        Ok(HttpResponse::from_parts(parts, body))
    }

    fn reply(&self, status: StatusCode, headers: &HeaderMap, store: bool) -> Reply {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::to_owned);
        let date = text("date").and_then(|date| httpdate::parse_http_date(&date).ok());
        let skew = date.and_then(|theirs| skew(theirs, SystemTime::now()));
        if store && date.is_some() {
            self.skew.store(skew.unwrap_or(0), Ordering::Relaxed);
        }
        Reply {
            status: status.as_u16(),
            code: text("x-ms-error-code").or_else(|| text("x-minio-error-code")),
            request_id: [
                "x-amz-request-id",
                "x-ms-request-id",
                "x-guploader-uploadid",
            ]
            .into_iter()
            .find_map(text),
            retry_after: text("retry-after").and_then(|value| retry_after(&value)),
            size: text("content-range")
                .and_then(|range| range.strip_prefix("bytes */").and_then(|n| n.parse().ok())),
            region: text("x-amz-bucket-region"),
            skew_seconds: skew,
            foreign: false,
            credentials: !store,
        }
    }
}

/// How far the provider's clock is ahead of ours, in whole seconds; `None` within a minute, which
/// is what a `Date` header and a slow network can be off by.
fn skew(theirs: SystemTime, ours: SystemTime) -> Option<i64> {
    let seconds = match theirs.duration_since(ours) {
        Ok(ahead) => ahead.as_secs() as i64,
        Err(behind) => -(behind.duration().as_secs() as i64),
    };
    Some(seconds).filter(|seconds| seconds.abs() > 60)
}

/// Seconds, or a date: [RFC 9110, 10.2.3]. Longer than an hour is cut.
///
/// [RFC 9110, 10.2.3]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
fn retry_after(value: &str) -> Option<Duration> {
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value)
            .ok()?
            .duration_since(SystemTime::now())
            .unwrap_or_default(),
    };
    Some(wait.min(Duration::from_secs(3600)))
}

/// A whole body; a longer one than any document of a provider is cut, and will not parse.
async fn collected(mut body: Patient) -> Result<Bytes, (Failure, HttpError)> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
        if all.len() > MAX_DOCUMENT {
            break;
        }
    }
    Ok(all.into())
}

/// A body that may be silent for so long while somebody waits for it. reqwest's own limit also counts
/// the time in which nobody reads, and so ends the bodies of slow readers.
struct Patient {
    body: reqwest::Body,
    limit: Duration,
    waiting: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Patient {
    fn new(body: reqwest::Body, limit: Duration) -> Self {
        Self {
            body,
            limit,
            waiting: None,
        }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = (Failure, HttpError);

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(failed)));
        }
        let limit = this.limit;
        let waiting = this
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(waiting.as_mut().poll(cx));
        let silent = std::io::Error::from(std::io::ErrorKind::TimedOut);
        let error = HttpError::new(HttpErrorKind::Timeout, silent);
        Poll::Ready(Some(Err((Failure::Timeout, error))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What kind of failure this is, by the types in its chain and not by its text.
fn failed(error: reqwest::Error) -> (Failure, HttpError) {
    let mut failure = if error.is_timeout() {
        Failure::Timeout
    } else if error.is_connect() {
        Failure::Connect
    } else if error.is_request() || error.is_body() || error.is_decode() {
        Failure::Broken
    } else {
        Failure::Other
    };
    let mut link: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(cause) = link {
        if is_tls(cause) {
            failure = Failure::Tls;
        }
        link = cause.source();
    }
    // `Request` and `Connect` are what the store's client repeats whatever the request: only what
    // was surely not sent may be called so.
    let kind = match failure {
        Failure::Connect => HttpErrorKind::Connect,
        Failure::Timeout => HttpErrorKind::Timeout,
        Failure::Broken => HttpErrorKind::Interrupted,
        Failure::Tls | Failure::Other => HttpErrorKind::Unknown,
    };
    (failure, HttpError::new(kind, error.without_url()))
}

/// rustls hands its errors out inside of `io::Error`, whose `source` skips what it holds.
fn is_tls(cause: &(dyn std::error::Error + 'static)) -> bool {
    if cause.is::<rustls::Error>() {
        return true;
    }
    cause
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .is_some_and(|inner| is_tls(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_proxy_is_not_shown() {
        let options = HttpOptions {
            proxy: Proxy::Url("http://user:hunter2@proxy:8080".to_owned().into()),
            ..HttpOptions::default()
        };
        assert!(!format!("{:?}", Http::new(options).unwrap()).contains("hunter2"));
        let options = HttpOptions {
            proxy: Proxy::Url("http://user:hunter2@:0".to_owned().into()),
            ..HttpOptions::default()
        };
        let refused = Http::new(options).unwrap_err();
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
    }

    #[test]
    fn both_forms_of_retry_after() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let wait = retry_after(&soon).unwrap();
        assert!((90..=100).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(
            retry_after("Thu, 01 Jan 1970 00:00:00 GMT"),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("soon"), None);
    }
}
