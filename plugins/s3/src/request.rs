//! The signature of requests of our own.

use futures_util::future::BoxFuture;
use holdall_plugin_api_object_store::{Authorize, AuthorizeError};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequest;

/// SigV4; without credentials nothing is signed.
pub(crate) struct Sign {
    pub(crate) credentials: Option<AwsCredentialProvider>,
    pub(crate) region: String,
    pub(crate) requester_pays: bool,
}

impl Authorize for Sign {
    fn authorize<'a>(
        &'a self,
        request: &'a mut HttpRequest,
    ) -> BoxFuture<'a, Result<(), AuthorizeError>> {
        Box::pin(async move {
            if let Some(credentials) = &self.credentials {
                let credential = credentials.get_credential().await?;
                AwsAuthorizer::new(&credential, "s3", &self.region)
                    .with_request_payer(self.requester_pays)
                    .try_authorize(request, None)?;
            }
            Ok(())
        })
    }
}
