//! The signature of requests of our own, and of a conditional completion.

use futures_util::future::BoxFuture;
use holdall_plugin_api_object_store::{Authorize, AuthorizeError, Call, Http};
use http::header::AUTHORIZATION;
use object_store::ClientOptions;
use object_store::azure::{AzureAuthorizer, AzureCredential, AzureCredentialProvider};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use std::sync::Arc;

/// As the store's client signs; without credentials nothing is signed.
pub(crate) struct Sign {
    pub(crate) credentials: Option<AzureCredentialProvider>,
    pub(crate) account: String,
}

impl Authorize for Sign {
    fn authorize<'a>(
        &'a self,
        request: &'a mut HttpRequest,
    ) -> BoxFuture<'a, Result<(), AuthorizeError>> {
        Box::pin(async move {
            if let Some(credentials) = &self.credentials {
                let credential = credentials.get_credential().await?;
                AzureAuthorizer::new(&credential, &self.account).try_authorize(request)?;
            }
            Ok(())
        })
    }
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
    ) -> BoxFuture<'b, Result<HttpResponse, HttpError>>
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
    fn signed_again(&self, mut request: HttpRequest) -> Result<HttpRequest, HttpError> {
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
