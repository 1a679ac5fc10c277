//! Objects as they are stored.
//!
//! The service unpacks an object that is stored with `Content-Encoding: gzip` for everybody who does
//! not say that he takes it packed:
//! <https://cloud.google.com/storage/docs/transcoding>. Then sizes, ranges and digests are those of
//! nothing that was ever stored.

use futures_util::future::BoxFuture;
use holdall_plugin_api_object_store::Http;
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
};

/// The adapter's connector, which takes what is stored.
#[derive(Clone, Debug)]
pub(crate) struct AsStored(pub(crate) Http);

impl HttpConnector for AsStored {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

impl HttpService for AsStored {
    fn call<'a, 'b>(
        &'a self,
        mut request: HttpRequest,
    ) -> BoxFuture<'b, Result<HttpResponse, HttpError>>
    where
        'a: 'b,
        Self: 'b,
    {
        // The HTTP client below unpacks nothing.
        let packed = HeaderValue::from_static("gzip");
        request.headers_mut().insert(ACCEPT_ENCODING, packed);
        Box::pin(async move { self.0.send(request).await })
    }
}
