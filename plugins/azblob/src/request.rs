//! Requests of our own, over the same connections and noted like those of the store; and the
//! signature of a conditional completion.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use holdall_plugin_api::{Deleted, Error, ErrorKind, Result};
use holdall_plugin_api_object_store::{Call, Condition, Http, error_of};
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::azure::{AzureAuthorizer, AzureCredential, AzureCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpService,
};
use object_store::path::Path;
use std::sync::Arc;
use url::Url;

/// A container to make requests to.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    pub(crate) http: Http,
    /// `None`: unsigned.
    pub(crate) credentials: Option<AzureCredentialProvider>,
    pub(crate) account: String,
    pub(crate) container: Url,
}

impl Requests {
    /// The address of an object, escaped as the store's client does it.
    pub(crate) fn url(&self, path: &Path) -> Url {
        url_of(&self.container, path)
    }

    /// Removes one object in one plain request, which needs fewer rights than the batch that the
    /// store's client makes of it, and says whether there was one.
    pub(crate) async fn delete(&self, path: &Path, if_match: Option<&str>) -> Result<Deleted> {
        let call = Call::document();
        let headers = if_match
            .map(|etag| Condition::Etag(etag.to_owned()).headers())
            .unwrap_or_default();
        let asked = call.run(self.send(Method::DELETE, self.url(path), headers));
        match asked.await.map_err(|cause| wrapped(cause, &call)) {
            Ok(_) => Ok(Deleted::new(Some(true))),
            Err(error) if error.kind() == ErrorKind::FileNotFound => Ok(Deleted::new(Some(false))),
            Err(error) => Err(error),
        }
    }

    /// The document that comes back.
    ///
    /// # Errors
    ///
    /// No success; what the store said is noted in the call.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
    ) -> std::result::Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(url.as_str())
            .header(CONTENT_LENGTH, HeaderValue::from_static("0"))
            .body(HttpRequestBody::empty())?;
        request.headers_mut().extend(headers);
        if let Some(credentials) = &self.credentials {
            let credential = credentials.get_credential().await?;
            AzureAuthorizer::new(&credential, &self.account).try_authorize(&mut request)?;
        }
        let answer = self.http.send(request).await?;
        let status = answer.status();
        let document = answer.into_body().collect().await?.to_bytes();
        match status.is_success() {
            true => Ok(document),
            false => Err(format!("the store answers {status}").into()),
        }
    }
}

fn wrapped(cause: Box<dyn std::error::Error + Send + Sync>, call: &Call) -> Error {
    let theirs = object_store::Error::Generic {
        store: "azblob",
        source: cause,
    };
    error_of(theirs, call)
}

fn url_of(container: &Url, path: &Path) -> Url {
    let mut url = container.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend(path.as_ref().split('/'));
    }
    url
}

/// The connector of the store's client. What completes a block list under a condition says so in
/// headers that [`Call`] adds; with an account key those are part of the signature, so that it is
/// made again, over all of them.
#[derive(Clone, Debug)]
pub(crate) struct Conditional {
    pub(crate) http: Http,
    pub(crate) key: Option<Arc<SigningKey>>,
}

#[derive(Debug)]
pub(crate) struct SigningKey {
    pub(crate) credential: AzureCredential,
    pub(crate) account: String,
}

impl HttpConnector for Conditional {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for Conditional {
    fn call<'a, 'b>(
        &'a self,
        request: HttpRequest,
    ) -> BoxFuture<'b, std::result::Result<HttpResponse, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let request = self.signed_again(request)?;
            self.http.send(request).await
        })
    }
}

impl Conditional {
    fn signed_again(
        &self,
        mut request: HttpRequest,
    ) -> std::result::Result<HttpRequest, HttpError> {
        let (Some(key), Some(call)) = (&self.key, Call::current()) else {
            return Ok(request);
        };
        if call.headers().is_empty() {
            return Ok(request);
        }
        request.headers_mut().extend(call.headers().clone());
        request.headers_mut().remove(AUTHORIZATION);
        AzureAuthorizer::new(&key.credential, &key.account)
            .try_authorize(&mut request)
            .map_err(|cause| HttpError::new(HttpErrorKind::Unknown, cause))?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_escaped_once() {
        let container = Url::parse("http://h/acc/photos").unwrap();
        let url = |key: &str| url_of(&container, &Path::parse(key).unwrap()).to_string();
        assert_eq!(url("a b/%25#?"), "http://h/acc/photos/a%20b/%2525%23%3F");
    }
}
