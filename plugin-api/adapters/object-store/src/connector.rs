//! The HTTP connector for stores of `object_store`: reqwest with rustls, every answer noted.
//!
//! Adds three things to the store's own client. The provider's reply is kept for the error
//! ([`Call`]), with every text cut to 8 KiB. Documents are inspected: an error with status 200 is an
//! error, and a copy without its result is none. And a lost reply is distinguished from a request
//! that was never sent, so that only the latter is repeated where a repeat is not safe.

use crate::answer::{self, LONGEST_ERROR, MAX_DOCUMENT};
use crate::patient::Patient;
use crate::reply::{Call, Failure, Reply, Seen, TlsFault};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use holdall_plugin_api::{Error, ErrorKind, Secret};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
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
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// How the connector reaches a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Longest time to a connection.
    pub connect_timeout: Duration,
    /// Longest time from a request to the head of its answer, the sending of a part included.
    pub answer_timeout: Duration,
    /// Longest silence while a body is read. Not counted while the body is not read.
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
        Box::pin(self.sent(request, None))
    }
}

impl Http {
    /// `streamed`: the body, where it comes piece by piece; who sends it limits the time.
    pub(crate) async fn sent(
        &self,
        request: HttpRequest,
        streamed: Option<reqwest::Body>,
    ) -> Result<HttpResponse, HttpError> {
        let call = Call::current();
        let store = self.is_store(request.uri());
        let copies = COPY_SOURCES
            .iter()
            .any(|name| request.headers().contains_key(*name));
        let exchanging = self.0.exchange(request, streamed, call.as_deref(), store);
        match exchanging.await {
            Ok(answer) => self.0.read(answer, call, store, copies).await,
            Err((failure, error)) => {
                if let Some(call) = &call {
                    call.note(Seen::failed(store, failure));
                }
                Err(error)
            }
        }
    }

    pub(crate) fn options(&self) -> &HttpOptions {
        &self.0.options
    }
}

/// Headers of a copy whose answer is a document.
const COPY_SOURCES: [&str; 2] = ["x-amz-copy-source", "x-goog-copy-source"];

type Exchanged = Result<reqwest::Response, (Failure, HttpError)>;

impl Inner {
    async fn exchange(
        &self,
        request: HttpRequest,
        streamed: Option<reqwest::Body>,
        call: Option<&Call>,
        store: bool,
    ) -> Exchanged {
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
        if let Some(streamed) = streamed {
            *request.body_mut() = Some(streamed);
            return self.client.execute(request).await.map_err(failed);
        }
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
        copies: bool,
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
            // Of an error a little is enough; the store's client quotes all of it, several times.
            let most = if failed { LONGEST_ERROR } else { MAX_DOCUMENT };
            let limit = self.options.answer_timeout + self.options.idle_timeout;
            let collecting = tokio::time::timeout(limit, collected(body, most));
            let collected = collecting.await.unwrap_or_else(|elapsed| {
                let error = HttpError::new(HttpErrorKind::Timeout, elapsed);
                Err((Failure::Timeout, error))
            });
            let mut bytes = match collected {
                Ok(bytes) => bytes,
                Err((failure, error)) => {
                    if let Some(call) = &call {
                        call.note(Seen::failed(store, failure));
                    }
                    return Err(error);
                }
            };
            let mut looked = answer::look(&parts.headers, &bytes, failed);
            if copies && !failed && looked.status_instead.is_none() && !answer::is_copied(&bytes) {
                reply.missing = Some("the result of the copy");
                looked.status_instead = Some(StatusCode::BAD_GATEWAY);
            }
            reply.code = reply.code.or(looked.code);
            reply.message = looked.message;
            reply.location = reply.location.or(looked.endpoint);
            reply.request_id = reply.request_id.or(looked.request_id);
            reply.foreign = looked.foreign;
            if let Some(status) = looked.status_instead {
                reply.sent_status = Some(reply.status);
                parts.status = status;
                reply.status = status.as_u16();
                bytes.truncate(LONGEST_ERROR);
            }
            // The length that was announced is that of the whole body.
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
        let text = |name: &str| headers.get(name)?.to_str().ok().map(answer::short);
        let date = text("date").and_then(|date| httpdate::parse_http_date(&date).ok());
        let skew = date.and_then(|theirs| skew(theirs, SystemTime::now()));
        if store && date.is_some() {
            self.skew.store(skew.unwrap_or(0), Ordering::Relaxed);
        }
        Reply {
            status: status.as_u16(),
            code: text("x-ms-error-code").or_else(|| text("x-minio-error-code")),
            location: text("location").and_then(|url| origin(&url)),
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
            credentials: !store,
            ..Reply::default()
        }
    }
}

/// Scheme, host and port. What follows may hold a signature.
fn origin(url: &str) -> Option<String> {
    let origin = url::Url::parse(url).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
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

/// A whole body, cut after so many bytes.
async fn collected(mut body: Patient, most: usize) -> Result<Bytes, (Failure, HttpError)> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
        if all.len() > most {
            all.truncate(most);
            break;
        }
    }
    Ok(all.into())
}

/// What kind of failure this is, by the types in its chain and not by its text.
pub(crate) fn failed(error: reqwest::Error) -> (Failure, HttpError) {
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
        if let Some(fault) = tls_fault(cause) {
            failure = Failure::Tls(fault);
        }
        link = cause.source();
    }
    // `Request` and `Connect` are what the store's client repeats whatever the request: only what
    // was surely not sent may be called so.
    let kind = match failure {
        Failure::Connect => HttpErrorKind::Connect,
        Failure::Timeout => HttpErrorKind::Timeout,
        Failure::Broken => HttpErrorKind::Interrupted,
        Failure::Tls(_) | Failure::Other => HttpErrorKind::Unknown,
    };
    (failure, HttpError::new(kind, error.without_url()))
}

/// rustls hands its errors out inside of `io::Error`, whose `source` skips what it holds.
fn tls_fault(cause: &(dyn std::error::Error + 'static)) -> Option<TlsFault> {
    use rustls::CertificateError as C;
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(match error {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                C::UnknownIssuer => TlsFault::UnknownIssuer,
                C::Expired
                | C::ExpiredContext { .. }
                | C::NotValidYet
                | C::NotValidYetContext { .. } => TlsFault::Time,
                C::NotValidForName | C::NotValidForNameContext { .. } => TlsFault::Name,
                // webpki's own error, whose type is not exported.
                C::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
                    TlsFault::Authority
                }
                _ => TlsFault::Other,
            },
            _ => TlsFault::Other,
        });
    }
    let io = cause.downcast_ref::<std::io::Error>()?;
    tls_fault(io.get_ref()?)
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
