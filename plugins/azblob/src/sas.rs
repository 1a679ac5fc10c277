//! Signed URLs: the [service SAS] of one blob, made with the account key.
//!
//! `object_store` makes one too; it signs the escaped name, which the service compares with the plain
//! one, so that a name with a space would never work, and it cannot set headers of the answer.
//!
//! A SAS binds blob, method and end. It binds no header of a request: not the content type.
//!
//! [service SAS]: https://learn.microsoft.com/rest/api/storageservices/create-service-sas

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit, Mac};
use holdall_plugin_api_object_store::Requests;
use http::Method;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{Error, Result};
use sha2::Sha256;
use std::fmt;
use std::time::{Duration, SystemTime};
use url::Url;

/// The version of the service whose string to sign this is.
const VERSION: &str = "2023-11-03";

/// Signs with an account key.
pub(crate) struct Sas {
    pub(crate) requests: Requests,
    pub(crate) account: String,
    pub(crate) container: String,
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sas").finish_non_exhaustive()
    }
}

/// Headers of the answer that a URL sets.
#[derive(Debug, Default)]
struct Overrides {
    disposition: String,
    content_type: String,
}

#[async_trait]
impl Signer for Sas {
    async fn signed_url(&self, method: Method, path: &Path, expires_in: Duration) -> Result<Url> {
        let options = SignedUrlOptions::default();
        self.signed_url_opts(method, path, expires_in, &options)
            .await
    }

    async fn signed_url_opts(
        &self,
        method: Method,
        path: &Path,
        expires_in: Duration,
        options: &SignedUrlOptions,
    ) -> Result<Url> {
        let unsupported = |what: String| Error::NotSupported {
            source: what.into(),
        };
        if !options.signed_headers.is_empty() {
            return Err(unsupported("a SAS binds no headers".to_owned()));
        }
        let mut overrides = Overrides::default();
        for (name, value) in &options.extra_query {
            match name.as_str() {
                "response-content-disposition" => overrides.disposition.clone_from(value),
                "response-content-type" => overrides.content_type.clone_from(value),
                other => return Err(unsupported(format!("a SAS has no {other}"))),
            }
        }
        let end = DateTime::<Utc>::from(SystemTime::now() + expires_in);
        let Some(permission) = permission(&method) else {
            return Err(unsupported(format!("no SAS for {method}")));
        };
        let url = self.url(path, permission, end, &overrides);
        Url::parse(&url).map_err(|cause| Error::Generic {
            store: "azblob",
            source: cause.into(),
        })
    }
}

/// What the URL may be used for. Reading includes HEAD; writing makes and replaces.
fn permission(method: &Method) -> Option<&'static str> {
    match *method {
        Method::GET | Method::HEAD => Some("r"),
        Method::PUT => Some("w"),
        Method::DELETE => Some("d"),
        _ => None,
    }
}

impl Sas {
    fn url(&self, path: &Path, permission: &str, end: DateTime<Utc>, with: &Overrides) -> String {
        let end = end.to_rfc3339_opts(SecondsFormat::Secs, true);
        let signature = self.signature(path, permission, &end, with);
        let mut query = vec![
            ("sv", VERSION),
            ("se", &end),
            ("sr", "b"),
            ("sp", permission),
        ];
        for (name, value) in [("rscd", &with.disposition), ("rsct", &with.content_type)] {
            if !value.is_empty() {
                query.push((name, value));
            }
        }
        query.push(("sig", &signature));
        self.requests.url(Some(path), &query)
    }

    /// No start is set: a clock of ours that is ahead would keep the URL from working at once.
    fn signature(&self, path: &Path, permission: &str, end: &str, with: &Overrides) -> String {
        let resource = format!("/blob/{}/{}/{path}", self.account, self.container);
        let fields = [
            permission,
            "", // start
            end,
            &resource,
            "", // stored policy
            "", // addresses
            "", // protocol
            VERSION,
            "b", // a blob
            "",  // snapshot
            "",  // encryption scope
            "",  // Cache-Control of the answer
            &with.disposition,
            "", // Content-Encoding of the answer
            "", // Content-Language of the answer
            &with.content_type,
        ];
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else {
            return String::new();
        };
        mac.update(fields.join("\n").as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Sign;
    use holdall_plugin_api_object_store::{Http, HttpOptions};
    use object_store::RetryConfig;

    fn sas() -> Sas {
        let http = Http::new(HttpOptions::default()).unwrap();
        let url = "https://acc.blob.core.windows.net/photos".to_owned();
        let sign = Sign {
            credentials: None,
            account: "acc".to_owned(),
        };
        Sas {
            requests: Requests::new(http, url, RetryConfig::default(), sign),
            account: "acc".to_owned(),
            container: "photos".to_owned(),
            key: b"0123456789abcdef".to_vec(),
        }
    }

    /// Computed apart from this code, with Python's `hmac`, from the documented string to sign.
    #[test]
    fn a_vector() {
        let end = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let path = Path::parse("a b/\u{e9}.txt").unwrap();
        let url = sas().url(&path, "r", end, &Overrides::default());
        assert_eq!(
            url,
            "https://acc.blob.core.windows.net/photos/a%20b/%C3%A9.txt?sv=2023-11-03&se=2027-01-15T08%3A00%3A00Z&sr=b&sp=r&sig=%2BkIf9Twtwi4CFWmI4%2B3sh00VYzI%2FSDUNM%2BV4dMPw%2BBc%3D"
        );
    }

    #[tokio::test]
    async fn what_a_sas_cannot_bind_is_refused() {
        let second = Duration::from_secs(1);
        let path = Path::from("a");
        let header = SignedUrlOptions::default().with_signed_header(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("text/plain"),
        );
        let query = SignedUrlOptions::default().with_query([("partNumber", "1")]);
        for options in [header, query] {
            let refused = sas()
                .signed_url_opts(Method::PUT, &path, second, &options)
                .await;
            assert!(matches!(refused, Err(Error::NotSupported { .. })));
        }
        let refused = sas().signed_url(Method::PATCH, &path, second).await;
        assert!(matches!(refused, Err(Error::NotSupported { .. })));
    }
}
