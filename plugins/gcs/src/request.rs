//! The token of requests of our own.

use futures_util::future::BoxFuture;
use holdall_plugin_api_object_store::{Authorize, AuthorizeError};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use object_store::client::HttpRequest;
use object_store::gcp::GcpCredentialProvider;

/// The same token as those of the store's client.
pub(crate) struct Bearer(pub(crate) GcpCredentialProvider);

impl Authorize for Bearer {
    fn authorize<'a>(
        &'a self,
        request: &'a mut HttpRequest,
    ) -> BoxFuture<'a, Result<(), AuthorizeError>> {
        Box::pin(async move {
            let credential = self.0.get_credential().await?;
            let mut value = HeaderValue::try_from(format!("Bearer {}", credential.bearer))?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
            Ok(())
        })
    }
}
