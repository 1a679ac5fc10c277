//! Requests of a plugin's own to a bucket, for what the store's client has no method for: over the
//! same connections, and noted like those of the client.

use crate::connector::Http;
use crate::error::error_of;
use crate::opened_store::Condition;
use crate::reply::Call;
use crate::streamed::Content;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use holdall_plugin_api::{ErrorKind, Result};
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use http_body_util::BodyExt;
use object_store::RetryConfig;
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpRequestBody};
use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// What SigV4 wants escaped, and everybody takes:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const ESCAPED_PATH: &AsciiSet = &ESCAPED.remove(b'/');

/// A copy onto itself may change the etag that it asks for.
const COPY_IF_MATCH: HeaderName = HeaderName::from_static("x-amz-copy-source-if-match");
/// What is lost the second time, when the first has done it.
const CONDITIONS: [HeaderName; 3] = [IF_MATCH, IF_NONE_MATCH, COPY_IF_MATCH];

/// Why a request is not ours.
pub type AuthorizeError = Box<dyn std::error::Error + Send + Sync>;

/// Says in a request who asks: by a signature or a token.
pub trait Authorize: Send + Sync + 'static {
    /// Adds it. The request is complete otherwise.
    fn authorize<'a>(
        &'a self,
        request: &'a mut HttpRequest,
    ) -> BoxFuture<'a, Result<(), AuthorizeError>>;

    /// As [`Authorize::authorize`], of a request whose body is still to come. `sha256`: its digest, where
    /// it is known.
    fn authorize_streamed<'a>(
        &'a self,
        request: &'a mut HttpRequest,
        sha256: Option<[u8; 32]>,
    ) -> BoxFuture<'a, Result<(), AuthorizeError>> {
        let _ = sha256;
        self.authorize(request)
    }
}

/// A bucket (or container) to make requests to. Clones are one.
#[derive(Clone)]
pub struct Requests(Arc<Inner>);

struct Inner {
    http: Http,
    bucket_url: String,
    retry: RetryConfig,
    authorize: Box<dyn Authorize>,
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Requests").field(&self.0.bucket_url).finish()
    }
}

impl Requests {
    /// `bucket_url`: the address of the bucket, without a slash at its end. `retry`: that of the
    /// store's client.
    pub fn new(
        http: Http,
        bucket_url: String,
        retry: RetryConfig,
        authorize: impl Authorize,
    ) -> Self {
        Self(Arc::new(Inner {
            http,
            bucket_url,
            retry,
            authorize: Box::new(authorize),
        }))
    }

    /// The connector.
    pub fn http(&self) -> &Http {
        &self.0.http
    }

    /// Makes a request to an object, or to the bucket; answers the document that comes back.
    ///
    /// # Errors
    ///
    /// No success, as the store says it.
    pub async fn make(
        &self,
        method: Method,
        path: Option<&Path>,
        query: &[(&str, &str)],
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes> {
        let answered = self.ask(method, path, query, headers, body).await?;
        Ok(answered.into_body())
    }

    /// As [`Requests::make`], with the headers of the answer.
    ///
    /// # Errors
    ///
    /// Those of [`Requests::make`].
    pub async fn ask(
        &self,
        method: Method,
        path: Option<&Path>,
        query: &[(&str, &str)],
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<http::Response<Bytes>> {
        let call = Call::document();
        let asked = call.run(self.answered(method, path, query, headers, body));
        asked.await.map_err(|cause| failed(cause, &call))
    }

    /// Removes one object in one plain request; with `if_match` only the one that has this etag.
    /// Answers whether there was one, by the store's status; S3 answers the same to both.
    ///
    /// # Errors
    ///
    /// Those of [`Requests::make`].
    pub async fn delete(&self, path: &Path, if_match: Option<&str>) -> Result<Option<bool>> {
        let headers = if_match
            .map(|etag| Condition::Etag(etag.to_owned()).headers())
            .unwrap_or_default();
        let asked = self.make(Method::DELETE, Some(path), &[], headers, Bytes::new());
        match asked.await {
            Ok(_) => Ok(Some(true)),
            // Of a repeated request the first may have removed it.
            Err(error) if error.kind() == ErrorKind::FileNotFound => {
                Ok((error.place().attempts < 2).then_some(false))
            }
            Err(error) => Err(error),
        }
    }

    /// As [`Requests::make`], within the [`Call`] that runs already.
    ///
    /// What failed for a passing reason is sent again, as the store's client does it. Under a
    /// condition only what was surely not sent: the store may have done it, and would refuse it the
    /// second time.
    ///
    /// # Errors
    ///
    /// No success; what the store said is noted in the call.
    pub async fn send(
        &self,
        method: Method,
        path: Option<&Path>,
        query: &[(&str, &str)],
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, AuthorizeError> {
        let answered = self.answered(method, path, query, headers, body).await?;
        Ok(answered.into_body())
    }

    async fn answered(
        &self,
        method: Method,
        path: Option<&Path>,
        query: &[(&str, &str)],
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<http::Response<Bytes>, AuthorizeError> {
        let retry = &self.0.retry;
        let is_repeatable = !CONDITIONS.iter().any(|name| headers.contains_key(name));
        let begun = Instant::now();
        let mut wait = retry.backoff.init_backoff;
        let mut left = retry.max_retries;
        loop {
            let mut request = http::Request::builder()
                .method(method.clone())
                .uri(self.url(path, query))
                .body(HttpRequestBody::from(body.clone()))?;
            request.headers_mut().extend(headers.clone());
            self.0.authorize.authorize(&mut request).await?;
            let failed = match self.once(request).await {
                Ok(answered) => return Ok(answered),
                Err(failed) => failed,
            };
            if left == 0 || begun.elapsed() > retry.retry_timeout || !failed.passes(is_repeatable) {
                return Err(failed.into());
            }
            left -= 1;
            tokio::time::sleep(wait).await;
            wait = wait
                .mul_f64(retry.backoff.base)
                .min(retry.backoff.max_backoff);
        }
    }

    async fn once(&self, request: HttpRequest) -> Result<http::Response<Bytes>, Failed> {
        let answer = self.0.http.send(request).await.map_err(Failed::Http)?;
        let (parts, body) = answer.into_parts();
        let document = body.collect().await.map_err(Failed::Http)?;
        match parts.status.is_success() {
            true => Ok(http::Response::from_parts(parts, document.to_bytes())),
            false => Err(Failed::Status(parts.status)),
        }
    }

    /// Sends a body of this length as it comes. Nothing is held of it but the chunk on its way, so that it
    /// is not sent a second time. Answers the headers.
    ///
    /// # Errors
    ///
    /// The body's own; else those of [`Requests::make`].
    pub(crate) async fn stream(
        &self,
        method: Method,
        path: &Path,
        query: &[(&str, &str)],
        headers: HeaderMap,
        content: Content,
    ) -> Result<HeaderMap> {
        let call = Call::document();
        let authorized = async {
            let mut request = http::Request::builder()
                .method(method)
                .uri(self.url(Some(path), query))
                .body(HttpRequestBody::empty())?;
            request.headers_mut().extend(headers);
            let authorize = &self.0.authorize;
            authorize
                .authorize_streamed(&mut request, content.sha256)
                .await?;
            Ok::<_, AuthorizeError>(request)
        };
        let request = call.run(authorized).await;
        let request = request.map_err(|cause| failed(cause, &call))?;
        let answered = self.0.http.stream(request, content, &call).await?;
        match answered {
            Ok(answer) if answer.status().is_success() => Ok(answer.into_parts().0.headers),
            Ok(answer) => Err(failed(Failed::Status(answer.status()).into(), &call)),
            Err(cause) => Err(failed(cause.into(), &call)),
        }
    }

    /// The name of an object in an address.
    pub fn escaped(path: &Path) -> String {
        utf8_percent_encode(path.as_ref(), ESCAPED_PATH).to_string()
    }

    /// The address of an object, or of the bucket, with a query.
    pub fn url(&self, path: Option<&Path>, query: &[(&str, &str)]) -> String {
        let mut url = self.0.bucket_url.clone();
        if let Some(path) = path {
            url.push('/');
            url.push_str(&Self::escaped(path));
        } else if url.matches('/').count() == 2 {
            // A bucket that is a host: a URL has a path.
            url.push('/');
        }
        for (index, (name, value)) in query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, ESCAPED));
        }
        url
    }
}

fn failed(cause: AuthorizeError, call: &Call) -> holdall_plugin_api::Error {
    let theirs = object_store::Error::Generic {
        store: "holdall",
        source: cause,
    };
    error_of(theirs, call)
}

/// Why there is no document.
enum Failed {
    Status(StatusCode),
    Http(HttpError),
}

impl Failed {
    /// Whether it may go well the next time.
    fn passes(&self, is_repeatable: bool) -> bool {
        match self {
            Failed::Status(status) => {
                let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
                is_repeatable && (status.is_server_error() || passing.contains(status))
            }
            Failed::Http(error) => match error.kind() {
                // Not sent.
                HttpErrorKind::Connect | HttpErrorKind::Request => true,
                HttpErrorKind::Timeout | HttpErrorKind::Interrupted => is_repeatable,
                _ => false,
            },
        }
    }
}

impl From<Failed> for AuthorizeError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Status(status) => format!("the store answers {status}").into(),
            Failed::Http(cause) => cause.into(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::HttpOptions;
    use holdall_conformance::wire::{Endpoint, Reply};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    struct Anonymous;

    impl Authorize for Anonymous {
        fn authorize<'a>(
            &'a self,
            _: &'a mut HttpRequest,
        ) -> BoxFuture<'a, Result<(), AuthorizeError>> {
            Box::pin(async { Ok(()) })
        }
    }

    /// Unsigned requests to this address.
    pub(crate) fn of(bucket: &str) -> Requests {
        let http = Http::new(HttpOptions::default()).unwrap();
        let mut retry = RetryConfig {
            max_retries: 2,
            ..RetryConfig::default()
        };
        retry.backoff.init_backoff = Duration::from_millis(1);
        Requests::new(http, bucket.to_owned(), retry, Anonymous)
    }

    #[test]
    fn urls_are_escaped_as_signatures_want_it() {
        let path = Path::parse("a b/%25+~").unwrap();
        assert_eq!(
            of("http://h/b").url(Some(&path), &[("uploadId", "x/y=")]),
            "http://h/b/a%20b/%2525%2B~?uploadId=x%2Fy%3D"
        );
        assert_eq!(
            of("https://b.h").url(None, &[("delete", "")]),
            "https://b.h/?delete="
        );
        assert_eq!(
            of("http://h/b").url(None, &[("delete", "")]),
            "http://h/b?delete="
        );
    }

    /// Fails so often, then answers; how many requests came, and what became of the delete.
    async fn deleted(
        failures: usize,
        how: Reply,
        if_match: Option<&str>,
    ) -> (usize, Result<Option<bool>>) {
        let asked = AtomicUsize::new(0);
        let endpoint =
            Endpoint::start(
                move |_| match asked.fetch_add(1, Ordering::Relaxed) < failures {
                    true => how.clone(),
                    false => Reply::new(204),
                },
            )
            .await;
        let requests = of(&endpoint.url());
        let answer = requests.delete(&Path::from("a"), if_match).await;
        (endpoint.seen().len(), answer)
    }

    #[tokio::test]
    async fn what_fails_for_a_passing_reason_is_sent_again() {
        for how in [Reply::new(503), Reply::new(429), Reply::lost()] {
            let (asked, answer) = deleted(2, how, None).await;
            assert_eq!((asked, answer.unwrap()), (3, Some(true)));
        }
        let (asked, answer) = deleted(9, Reply::new(503), None).await;
        let error = answer.unwrap_err();
        assert_eq!((asked, error.place().attempts), (3, 3));
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let (asked, answer) = deleted(9, Reply::new(403), None).await;
        assert_eq!((asked, answer.unwrap_err().place().attempts), (1, 1));
    }

    #[tokio::test]
    async fn what_may_have_been_done_is_not_sent_again_under_a_condition() {
        for how in [Reply::new(503), Reply::lost()] {
            let (asked, answer) = deleted(1, how, Some("\"e\"")).await;
            assert_eq!(asked, 1);
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }

    #[tokio::test]
    async fn an_absence_after_a_lost_answer_proves_nothing() {
        let missing = "<Error><Code>NoSuchKey</Code></Error>";
        let endpoint = Endpoint::always(Reply::new(404).body(missing)).await;
        let path = Path::from("a");
        let answer = of(&endpoint.url()).delete(&path, None).await;
        assert_eq!(answer.unwrap(), Some(false));
        let mut first = true;
        endpoint.then(move |_| match std::mem::take(&mut first) {
            true => Reply::lost(),
            false => Reply::new(404).body(missing),
        });
        let answer = of(&endpoint.url()).delete(&path, None).await;
        assert_eq!(answer.unwrap(), None);
    }
}
