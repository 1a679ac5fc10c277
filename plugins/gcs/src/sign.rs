//! Signed URLs, of names with any character.
//!
//! `object_store` puts a name into the address that it signs as it is: `a%2Fb` would be a URL of the
//! object `a/b`, and `a?b` one of `a`. So it gets the name escaped.

use async_trait::async_trait;
use http::Method;
use object_store::Result;
use object_store::gcp::GoogleCloudStorage;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::time::Duration;
use url::Url;

/// <https://cloud.google.com/storage/docs/request-endpoints#encoding>
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b'_')
    .remove(b'~');

/// Signs with the key of the service account.
#[derive(Debug)]
pub(crate) struct Escaping(pub(crate) GoogleCloudStorage);

fn escaped(path: &Path) -> Result<Path> {
    Ok(Path::parse(
        utf8_percent_encode(path.as_ref(), ESCAPED).to_string(),
    )?)
}

#[async_trait]
impl Signer for Escaping {
    async fn signed_url(&self, method: Method, path: &Path, expires_in: Duration) -> Result<Url> {
        let path = escaped(path)?;
        self.0.signed_url(method, &path, expires_in).await
    }

    async fn signed_url_opts(
        &self,
        method: Method,
        path: &Path,
        expires_in: Duration,
        options: &SignedUrlOptions,
    ) -> Result<Url> {
        let path = escaped(path)?;
        self.0
            .signed_url_opts(method, &path, expires_in, options)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_name() {
        let path = |key: &str| escaped(&Path::parse(key).unwrap()).unwrap().to_string();
        assert_eq!(path("a/b c"), "a/b%20c");
        assert_eq!(path("a%2Fb?c#d"), "a%252Fb%3Fc%23d");
    }
}
