//! Requests of a plugin's own to a bucket, for what the store's client has no method for: over the
//! same connections, and noted like those of the client.

use crate::connector::Http;
use crate::error::error_of;
use crate::reply::Call;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use holdall_plugin_api::Result;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use object_store::client::{HttpRequest, HttpRequestBody};
use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::sync::Arc;

/// What SigV4 wants escaped, and everybody takes:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const ESCAPED_PATH: &AsciiSet = &ESCAPED.remove(b'/');

/// Why a request is not ours.
pub type AuthorizeError = Box<dyn std::error::Error + Send + Sync>;

/// Says in a request who asks: by a signature or a token.
pub trait Authorize: Send + Sync + 'static {
    /// Adds it. The request is complete otherwise.
    fn authorize<'a>(
        &'a self,
        request: &'a mut HttpRequest,
    ) -> BoxFuture<'a, Result<(), AuthorizeError>>;
}

/// A bucket to make requests to. Clones are one.
#[derive(Clone)]
pub struct Requests(Arc<Inner>);

struct Inner {
    http: Http,
    bucket_url: String,
    authorize: Box<dyn Authorize>,
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Requests").field(&self.0.bucket_url).finish()
    }
}

impl Requests {
    /// `bucket_url`: the address of the bucket, without a slash at its end.
    pub fn new(http: Http, bucket_url: String, authorize: impl Authorize) -> Self {
        Self(Arc::new(Inner {
            http,
            bucket_url,
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
        let call = Call::document();
        let made = call.run(self.send(method, path, query, headers, body));
        made.await.map_err(|cause| {
            let theirs = object_store::Error::Generic {
                store: "holdall",
                source: cause,
            };
            error_of(theirs, &call)
        })
    }

    async fn send(
        &self,
        method: Method,
        path: Option<&Path>,
        query: &[(&str, &str)],
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, AuthorizeError> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(self.url(path, query))
            .body(HttpRequestBody::from(body))?;
        *request.headers_mut() = headers;
        self.0.authorize.authorize(&mut request).await?;
        let answer = self.0.http.send(request).await?;
        let status = answer.status();
        let document = answer.into_body().collect().await?.to_bytes();
        match status.is_success() {
            true => Ok(document),
            false => Err(format!("the store answers {status}").into()),
        }
    }

    fn url(&self, path: Option<&Path>, query: &[(&str, &str)]) -> String {
        let mut url = self.0.bucket_url.clone();
        if let Some(path) = path {
            url.push('/');
            url.extend(utf8_percent_encode(path.as_ref(), ESCAPED_PATH));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HttpOptions;

    struct Nobody;

    impl Authorize for Nobody {
        fn authorize<'a>(
            &'a self,
            _: &'a mut HttpRequest,
        ) -> BoxFuture<'a, Result<(), AuthorizeError>> {
            Box::pin(async { Ok(()) })
        }
    }

    #[test]
    fn urls_are_escaped_as_signatures_want_it() {
        let of = |bucket: &str| {
            let http = Http::new(HttpOptions::default()).unwrap();
            Requests::new(http, bucket.to_owned(), Nobody)
        };
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
}
