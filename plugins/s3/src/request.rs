//! Signed requests of our own, over the same connections and noted like those of the store.

use bytes::Bytes;
use holdall_plugin_api::Result;
use holdall_plugin_api_object_store::{Call, Http, error_of};
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequestBody;
use object_store::path::Path;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;

/// What SigV4 wants escaped: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const ESCAPED_PATH: &AsciiSet = &ESCAPED.remove(b'/');

/// A bucket to make requests to.
#[derive(Clone, Debug)]
pub(crate) struct Requests(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: Http,
    /// `None`: unsigned.
    credentials: Option<AwsCredentialProvider>,
    region: String,
    bucket_url: String,
    requester_pays: bool,
}

impl Requests {
    pub(crate) fn new(
        http: Http,
        credentials: Option<AwsCredentialProvider>,
        region: String,
        bucket_url: String,
        requester_pays: bool,
    ) -> Self {
        Self(Arc::new(Inner {
            http,
            credentials,
            region,
            bucket_url,
            requester_pays,
        }))
    }

    pub(crate) fn http(&self) -> &Http {
        &self.0.http
    }

    /// Makes a request to an object, or to the bucket; answers the document that comes back.
    ///
    /// # Errors
    ///
    /// No success, as the store says it.
    pub(crate) async fn make(
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
                store: "S3",
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
    ) -> std::result::Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
        let this = &*self.0;
        let mut request = http::Request::builder()
            .method(method)
            .uri(self.url(path, query))
            .body(HttpRequestBody::from(body))?;
        *request.headers_mut() = headers;
        if let Some(credentials) = &this.credentials {
            let credential = credentials.get_credential().await?;
            AwsAuthorizer::new(&credential, "s3", &this.region)
                .with_request_payer(this.requester_pays)
                .try_authorize(&mut request, None)?;
        }
        let answer = this.http.send(request).await?;
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
    use holdall_plugin_api_object_store::HttpOptions;

    #[test]
    fn urls_are_escaped_as_signatures_want_it() {
        let of = |bucket: &str| {
            let http = Http::new(HttpOptions::default()).unwrap();
            Requests::new(http, None, "r".into(), bucket.into(), false)
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
