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
        self.signed(request, true, None)
    }

    fn authorize_streamed<'a>(
        &'a self,
        request: &'a mut HttpRequest,
        sha256: Option<[u8; 32]>,
    ) -> BoxFuture<'a, Result<(), AuthorizeError>> {
        // The digest of what is still to come is in the signature only where the caller knows it.
        self.signed(request, sha256.is_some(), sha256)
    }
}

impl Sign {
    fn signed<'a>(
        &'a self,
        request: &'a mut HttpRequest,
        with_payload: bool,
        sha256: Option<[u8; 32]>,
    ) -> BoxFuture<'a, Result<(), AuthorizeError>> {
        Box::pin(async move {
            if let Some(credentials) = &self.credentials {
                let credential = credentials.get_credential().await?;
                let digest = sha256.as_ref().map(|digest| &digest[..]);
                AwsAuthorizer::new(&credential, "s3", &self.region)
                    .with_request_payer(self.requester_pays)
                    .with_sign_payload(with_payload)
                    .try_authorize(request, digest)?;
            }
            Ok(())
        })
    }
}
