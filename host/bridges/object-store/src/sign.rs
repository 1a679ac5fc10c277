//! `Signer`.

use super::BackendStore;
use super::error::{During, fault, outward};
use async_trait::async_trait;
use holdall_plugin_api::{Error, Method, Result, SignUrl};
use object_store::Result as StoreResult;
use object_store::path::Path;
use object_store::signer::{Method as HttpMethod, Signer, Url};
use std::time::Duration;

#[async_trait]
impl Signer for BackendStore {
    /// Returns a URL of the store or of the host's gateway.
    ///
    /// A URL that needs further headers (a PUT to Azure names the blob type) is refused as
    /// `NotSupported`, with their names; [`Backend::signed_url`](holdall::Backend::signed_url)
    /// returns them.
    async fn signed_url(
        &self,
        method: HttpMethod,
        path: &Path,
        expires_in: Duration,
    ) -> StoreResult<Url> {
        let signed = self.sign(&method, path, expires_in).await;
        signed.map_err(outward(During::Other))
    }
}

impl BackendStore {
    async fn sign(&self, method: &HttpMethod, path: &Path, expires_in: Duration) -> Result<Url> {
        let all = [Method::Get, Method::Put, Method::Head, Method::Delete];
        let ours = all.into_iter().find(|ours| ours.name() == method.as_str());
        let Some(method) = ours else {
            return Err(Error::unsupported(format!("no URL is signed for {method}")));
        };
        let sign = SignUrl::new(method, path.as_ref(), expires_in);
        let signed = self.backend().signed_url(sign).await?;
        if !signed.headers.is_empty() {
            let names: Vec<_> = signed.headers.iter().map(|(name, _)| &**name).collect();
            return Err(Error::unsupported("the URL needs further headers")
                .with_fact("headers", names.join(", ")));
        }
        Url::parse(&signed.url).map_err(|why| fault("the signed URL is not a URL").because(why))
    }
}
