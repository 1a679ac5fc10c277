//! Aliyun OSS: the kit and the signing, against a small strict server that verifies signatures.
//!
//! What the real service does beyond its documentation, this does not show.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod signature;
mod stub;

use bytes::Bytes;
use holdall_conformance::wire::Dialect;
use holdall_conformance::{Broken, Claims, DirectAccess, Following, Harness, rust_stage};
use holdall_plugin_api::{
    Delete, Download, ErrorKind, Head, Host, Key, Method, SignUrl, Signing, StorageBackend, Upload,
};
use holdall_plugin_opendal::{Opendal, OpendalConfig, PLUGIN};
use http::Request;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use stub::{BUCKET, ID, SECRET, Stub};

/// Small parts, so that the kit's objects have several.
const PART: usize = 1 << 20;

struct Oss(Arc<Stub>);

impl Oss {
    fn new() -> Self {
        Self(Arc::new(Stub::start()))
    }

    fn with(&self, endpoint: &str, bucket: &str, secret: &str, root: &str) -> OpendalConfig {
        // A busy machine answers late: only servers that fall silent on purpose are waited for briefly.
        let patience = Duration::from_secs(30);
        self.within(patience, endpoint, bucket, secret, root)
    }

    fn within(
        &self,
        patience: Duration,
        endpoint: &str,
        bucket: &str,
        secret: &str,
        root: &str,
    ) -> OpendalConfig {
        let milliseconds = patience.as_millis() as u64;
        let config = json!({
            "service": { "oss": {
                "bucket": bucket,
                "endpoint": endpoint,
                "addressing_style": "path",
                "presign_addressing_style": "path",
                "access_key_id": ID,
                "access_key_secret": secret,
                "root": root,
            } },
            "part_bytes": PART,
            "connect_timeout_ms": milliseconds,
            "idle_timeout_ms": milliseconds,
        });
        serde_json::from_value(config).unwrap()
    }

    fn right(&self, root: &str) -> OpendalConfig {
        self.with(&self.0.endpoint(), BUCKET, SECRET, root)
    }

    async fn open(&self, config: OpendalConfig) -> Opendal {
        Opendal::open(config, Host::detached("oss")).await.unwrap()
    }
}

impl Harness for Oss {
    type Config = OpendalConfig;

    fn config(&self, store: u32) -> OpendalConfig {
        self.right(&format!("/store-{store}/"))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn direct_access(&self, _store: u32) -> Option<Arc<dyn DirectAccess>> {
        Some(Arc::new(Uploads(self.0.clone())))
    }

    fn scoped(&self, store: u32, prefix: &str) -> Option<OpendalConfig> {
        Some(self.right(&format!("/store-{store}/{prefix}")))
    }

    fn broken(&self, how: Broken) -> Option<OpendalConfig> {
        let endpoint = self.0.endpoint();
        Some(match how {
            Broken::Credentials => self.with(&endpoint, BUCKET, "another", "/"),
            Broken::Container => self.with(&endpoint, "nobody", SECRET, "/"),
        })
    }

    fn at(&self, store: u32, url: &str) -> Option<OpendalConfig> {
        let root = format!("/store-{store}/");
        Some(self.within(Duration::from_secs(2), url, BUCKET, SECRET, &root))
    }

    fn dialect(&self) -> Dialect {
        Dialect::S3
    }

    fn server(&self) -> Option<SocketAddr> {
        Some(self.0.address)
    }

    fn follow(&self, request: Request<Bytes>) -> Option<Following<'_>> {
        Some(Box::pin(holdall_conformance::wire::send(request)))
    }

    fn part_bytes(&self) -> usize {
        PART
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned()]
    }
}

/// Multipart uploads that were left behind.
struct Uploads(Arc<Stub>);

impl DirectAccess for Uploads {
    fn leftovers(&self) -> Vec<String> {
        self.0.unfinished()
    }
}

mod kit {
    use super::*;
    holdall_conformance::conformance_tests!(rust_stage::<Opendal>(Claims::of(&PLUGIN), Oss::new()));
}

/// Without this, all that is green above would say nothing.
#[tokio::test]
async fn the_server_refuses_what_is_not_signed_right() {
    let oss = Oss::new();
    let endpoint = oss.0.endpoint();
    for (config, kind, code) in [
        (
            oss.with(&endpoint, BUCKET, "another", "/"),
            ErrorKind::Unauthenticated,
            "SignatureDoesNotMatch",
        ),
        (
            oss.with(&endpoint, "nobody", SECRET, "/"),
            ErrorKind::ContainerMissing,
            "NoSuchBucket",
        ),
    ] {
        let backend = oss.open(config).await;
        let error = backend.upload(Upload::new("a", "b")).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(error.provider().code.as_deref(), Some(code));
        assert_eq!(
            error.provider().request_id.as_deref(),
            Some("534B371674E88A4D8906008B")
        );
        assert!(!format!("{error:?}").contains(SECRET));
    }
    let bare = Request::get(format!("{endpoint}/{BUCKET}/a"))
        .body(Bytes::new())
        .unwrap();
    assert_eq!(
        holdall_conformance::wire::send(bare)
            .await
            .unwrap()
            .status(),
        403
    );
}

/// Each part of a signed URL is bound.
#[tokio::test]
async fn a_url_that_was_altered_is_refused() {
    let oss = Oss::new();
    let backend = oss.open(oss.right("/")).await;
    backend
        .upload(Upload::new("dir/a b+ü.txt", "text"))
        .await
        .unwrap();
    let sign = SignUrl::new(Method::Get, "dir/a b+ü.txt", Duration::from_secs(60));
    let Signing::Url(signed) = backend.signed_url(sign).await.unwrap() else {
        panic!("OSS signs itself");
    };
    let get = async |url: &str| {
        let request = Request::get(url).body(Bytes::new()).unwrap();
        holdall_conformance::wire::send(request).await.unwrap()
    };
    let answer = get(&signed.url).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.body()[..]),
        (200, &b"text"[..])
    );
    let expires = signed
        .url
        .split("Expires=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let later = (expires.parse::<u64>().unwrap() + 600).to_string();
    for altered in [
        signed.url.replace(expires, &later),
        signed.url.replace("/dir/", "/die/"),
        signed.url.replace(ID, "LTAI-other"),
        signed.url.split('?').next().unwrap().to_owned(),
        format!("{}&response-content-disposition=inline", signed.url),
    ] {
        assert_ne!(altered, signed.url);
        assert_eq!(get(&altered).await.status(), 403, "{altered}");
    }
    assert!(!signed.url.contains(SECRET));
}

/// The public service takes the bucket as the first part of the host name only, and so it is signed
/// by default; there is no name to reach the server of this test by, but a URL needs none.
#[tokio::test]
async fn the_public_service_is_addressed_and_signed_by_host() {
    let oss = Oss::new();
    let config = serde_json::from_value(json!({
        "service": { "oss": {
            "bucket": BUCKET,
            "endpoint": "https://oss-cn-hangzhou.aliyuncs.com",
            "access_key_id": ID,
            "access_key_secret": SECRET,
        } },
    }));
    let backend = oss.open(config.unwrap()).await;
    let mut sign = SignUrl::new(Method::Put, "dir/a b.txt", Duration::from_secs(60));
    sign.content_type = Some("text/plain");
    let Signing::Url(signed) = backend.signed_url(sign).await.unwrap() else {
        panic!("OSS signs itself");
    };
    let uri: http::Uri = signed.url.parse().unwrap();
    assert_eq!(uri.host(), Some("media.oss-cn-hangzhou.aliyuncs.com"));
    let mut headers = http::HeaderMap::new();
    for (name, value) in &signed.headers {
        headers.insert(
            http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
            value.parse().unwrap(),
        );
    }
    assert_eq!(headers["content-type"], "text/plain");
    let query = signature::query(uri.query().unwrap());
    let check = |method: &http::Method, headers: &http::HeaderMap, resource: &str| {
        let signed = signature::Signed {
            method,
            resource,
            query: &query,
            headers,
        };
        signed.check(ID, SECRET)
    };
    let resource = "/media/dir/a b.txt";
    assert_eq!(check(&http::Method::PUT, &headers, resource), Ok(()));
    let refused = Err("SignatureDoesNotMatch");
    assert_eq!(check(&http::Method::GET, &headers, resource), refused);
    assert_eq!(
        check(&http::Method::PUT, &headers, "/other/dir/a b.txt"),
        refused
    );
    assert_eq!(
        check(&http::Method::PUT, &http::HeaderMap::new(), resource),
        refused
    );
}

/// What each call costs is said in the plugin's README.
#[tokio::test]
async fn a_call_costs_the_requests_that_the_page_says() {
    let oss = Oss::new();
    let backend = oss.open(oss.right("/")).await;
    let mut before = 0;
    let mut cost = |what: &str, expected: u64| {
        let now = oss.0.requests();
        assert_eq!(now - before, expected, "{what}");
        before = now;
    };
    cost("open", 0);
    backend.upload(Upload::new("small", "text")).await.unwrap();
    cost("an upload of one part", 1);
    backend
        .upload(Upload::new("large", vec![7; 3 * PART]))
        .await
        .unwrap();
    cost("an upload of three parts", 5);
    backend.download(Download::new("small")).await.unwrap();
    cost("a download", 1);
    backend.head(Head::new("small")).await.unwrap();
    cost("a head", 1);
    backend.exists(Key::new("nobody")).await.unwrap();
    cost("exists without credentials", 2);
    backend
        .list(holdall_plugin_api::List::new(""))
        .await
        .unwrap();
    cost("a page", 1);
    backend
        .copy(holdall_plugin_api::CopyObject::new("small", "copy"))
        .await
        .unwrap();
    cost("a copy", 3);
    backend.delete(Delete::new("small")).await.unwrap();
    cost("a delete", 1);
    backend
        .signed_url(SignUrl::new(Method::Get, "large", Duration::from_secs(9)))
        .await
        .unwrap();
    cost("a signed URL", 0);
    assert!(oss.0.unfinished().is_empty());
}
