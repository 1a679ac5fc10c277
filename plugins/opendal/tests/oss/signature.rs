//! The V1 signature of Aliyun OSS, from its documentation: "Include a V1 signature in the
//! Authorization header" and "Add V1 signatures to URLs".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;
use sha1::Sha1;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Parameters that belong to the signed resource, of those that this server knows.
const RESOURCES: [&str; 13] = [
    "continuation-token",
    "uploads",
    "uploadId",
    "partNumber",
    "delete",
    "append",
    "position",
    "versionId",
    "security-token",
    "response-content-disposition",
    "response-content-type",
    "x-oss-process",
    "tagging",
];
/// Longest difference of two clocks.
const SKEW: Duration = Duration::from_secs(15 * 60);

/// A request as the signature sees it.
pub(crate) struct Signed<'a> {
    pub(crate) method: &'a Method,
    /// `/bucket/key`, decoded.
    pub(crate) resource: &'a str,
    /// Decoded, in the order of the URL.
    pub(crate) query: &'a [(String, Option<String>)],
    pub(crate) headers: &'a HeaderMap,
}

/// Why a request is refused, as OSS calls it.
pub(crate) type Refusal = &'static str;

/// Splits a query; a parameter without `=` has no value.
pub(crate) fn query(text: &str) -> Vec<(String, Option<String>)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (decoded(name), Some(decoded(value))),
            None => (decoded(pair), None),
        })
        .collect()
}

impl Signed<'_> {
    pub(crate) fn check(&self, id: &str, secret: &str) -> Result<(), Refusal> {
        let parameter = |wanted: &str| {
            self.query
                .iter()
                .find(|(name, _)| name == wanted)
                .and_then(|(_, value)| value.as_deref())
        };
        let (found_id, signature, date) = match parameter("Signature") {
            Some(signature) => {
                let expires = parameter("Expires").ok_or("AccessDenied")?;
                let end: u64 = expires.parse().map_err(|_| "AccessDenied")?;
                if UNIX_EPOCH + Duration::from_secs(end) <= SystemTime::now() {
                    return Err("AccessDenied");
                }
                let id = parameter("OSSAccessKeyId").ok_or("AccessDenied")?;
                (id, signature, expires)
            }
            None => {
                let header = self.header(header::AUTHORIZATION.as_str());
                let credentials = header.strip_prefix("OSS ").ok_or("AccessDenied")?;
                let (id, signature) = credentials.split_once(':').ok_or("AccessDenied")?;
                let date = self.header(header::DATE.as_str());
                let time = httpdate::parse_http_date(date).map_err(|_| "AccessDenied")?;
                let now = SystemTime::now();
                let skew = now
                    .duration_since(time)
                    .or_else(|_| time.duration_since(now));
                if skew.is_ok_and(|skew| skew > SKEW) {
                    return Err("RequestTimeTooSkewed");
                }
                (id, signature, date)
            }
        };
        if found_id != id {
            return Err("InvalidAccessKeyId");
        }
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("any key will do");
        mac.update(self.text(date).as_bytes());
        let given = STANDARD
            .decode(signature)
            .map_err(|_| "SignatureDoesNotMatch")?;
        mac.verify_slice(&given)
            .map_err(|_| "SignatureDoesNotMatch")
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    fn text(&self, date: &str) -> String {
        let mut own: Vec<_> = self
            .headers
            .keys()
            .map(|name| name.as_str())
            .filter(|name| name.starts_with("x-oss-"))
            .collect();
        own.sort_unstable();
        let own: String = own
            .into_iter()
            .map(|name| format!("{name}:{}\n", self.header(name)))
            .collect();
        let mut of_resource: Vec<_> = self
            .query
            .iter()
            .filter(|(name, _)| RESOURCES.contains(&name.as_str()))
            .map(|(name, value)| match value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            })
            .collect();
        of_resource.sort_unstable();
        let of_resource = match of_resource.is_empty() {
            true => String::new(),
            false => format!("?{}", of_resource.join("&")),
        };
        format!(
            "{}\n{}\n{}\n{date}\n{own}{}{of_resource}",
            self.method,
            self.header("content-md5"),
            self.header(header::CONTENT_TYPE.as_str()),
            self.resource,
        )
    }
}

/// The example of the documentation, with its own keys.
#[test]
fn the_documented_example_verifies() {
    // No check of its date: it is of 2005.
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (
            "content-md5",
            "ODBGOERFMDMzQTczRUY3NUE3NzA5QzdFNUYzMDQxNEM=",
        ),
        ("content-type", "text/html"),
        ("x-oss-magic", "abracadabra"),
        ("x-oss-meta-author", "foo@bar.com"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let signed = Signed {
        method: &Method::PUT,
        resource: "/oss-example/nelson",
        query: &[],
        headers: &headers,
    };
    let text = signed.text("Thu, 17 Nov 2005 18:49:58 GMT");
    let mut mac =
        Hmac::<Sha1>::new_from_slice(b"OtxrzxIsfpFjA7SwPzILwy8Bw21TLhquhboDYROV").unwrap();
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(signature, "26NBxoKdsyly4EDv6inkoDft/yA=");
}
