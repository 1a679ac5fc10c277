//! Judging a request that carries a URL.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use holdall_plugin_api::{Checksums, Method};

use super::Gateway;
use super::terms::{Terms, decode};
use crate::config::is_backend_name;

/// What a verified request may do, and on which conditions.
///
/// The body of a PUT is not known yet: its reader holds it to `max_size` and `checksums`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Grant {
    /// The backend.
    pub backend: String,
    /// The key, decoded. The backend's own rules for keys are not applied yet.
    pub key: String,
    /// The signed method. A request of the method HEAD may carry a URL signed for GET.
    pub method: Method,
    /// When the URL stops working. A transfer that began before may end.
    pub expires_at: SystemTime,
    /// Id of the key that signed.
    pub key_id: String,
    /// PUT: the content type; the request's header has been found equal.
    pub content_type: Option<String>,
    /// PUT: most bytes that may be stored. A `Content-Length` over it has been refused; a body
    /// without one must be counted.
    pub max_size: Option<u64>,
    /// PUT: digests that the body must have.
    pub checksums: Checksums,
    /// GET: the file name that a browser saves as.
    pub download_name: Option<String>,
    /// GET: the content type of the answer.
    pub response_content_type: Option<String>,
    /// PUT: to whom the object is charged.
    pub owner: Option<String>,
    /// PUT: the group to which it is charged.
    pub group: Option<String>,
    /// PUT: number of what the quota has reserved, for [`CallOptions::reservation`](crate::CallOptions::reservation).
    pub reservation: Option<u64>,
}

impl Grant {
    /// The `Content-Disposition` of the answer, when a name is bound: printable ASCII whatever the
    /// name holds.
    pub fn content_disposition(&self) -> Option<String> {
        self.download_name
            .as_deref()
            .map(holdall_plugin_api::attachment)
    }
}

/// The request is refused without a reason: a server answers 403 with one body for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("signed URL refused")
    }
}

impl std::error::Error for Refused {}

impl Gateway {
    /// Judges a request.
    ///
    /// `method` is as on the wire, `url` the whole URL or what follows the host (the target of an
    /// HTTP request), exactly as received. `headers` are all of the request's; names in any case.
    ///
    /// # Errors
    ///
    /// [`Refused`], whatever the reason.
    pub fn verify<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        method: &str,
        url: &str,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Grant, Refused> {
        self.check(method, url, headers).map_err(|reason| {
            tracing::debug!(reason, "signed URL refused");
            Refused
        })
    }

    fn check<N: AsRef<str>, V: AsRef<[u8]>>(
        &self,
        method: &str,
        url: &str,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Grant, &'static str> {
        let (path, query) = self
            .target(url)
            .ok_or("no path and query of a signed URL")?;
        let (signed, signature) = query
            .rsplit_once("&hd-sig=")
            .ok_or("no signature at the end")?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| "signature is no base64url")?;
        self.authenticate(path, signed, &signature)?;

        // From here on the text is one that a holder of the key wrote.
        let terms = Terms::parse(signed).ok_or("parameters of another version")?;
        let (backend, key) = address(path).ok_or("path of another version")?;
        let now = self.now().ok_or("clock before 1970")?;
        if now >= Duration::from_secs(terms.expires) {
            return Err("expired");
        }
        // A client that may read an object may read its headers (RFC 9110, 9.3.2).
        let head_of_get = method == Method::Head.name() && terms.method == Method::Get;
        if method != terms.method.name() && !head_of_get {
            return Err("another method");
        }
        check_headers(&terms, headers)?;
        Ok(Grant {
            backend,
            key,
            method: terms.method,
            expires_at: UNIX_EPOCH + Duration::from_secs(terms.expires),
            key_id: terms.key_id,
            content_type: terms.content_type,
            max_size: terms.max_size,
            checksums: terms.checksums,
            download_name: terms.download_name,
            response_content_type: terms.response_content_type,
            owner: terms.owner,
            group: terms.group,
            reservation: terms.reservation,
        })
    }

    /// The path from `/v1/` on and the query.
    fn target<'u>(&self, url: &'u str) -> Option<(&'u str, &'u str)> {
        let target = match url.find("://") {
            // Only before the path: a key may hold these characters, though not unencoded.
            Some(at) if !url.starts_with('/') => {
                let authority = &url[at + 3..];
                &authority[authority.find('/')?..]
            }
            _ => url,
        };
        let (path, query) = target.split_once('?')?;
        // A proxy may have taken the path of the public URL away.
        let path = path
            .strip_prefix(self.base.as_str())
            .filter(|p| p.starts_with("/v1/"))
            .unwrap_or(path);
        path.starts_with("/v1/").then_some((path, query))
    }

    fn authenticate(&self, path: &str, signed: &str, signature: &[u8]) -> Result<(), &'static str> {
        let id = signed
            .split('&')
            .find_map(|parameter| parameter.strip_prefix("hd-kid="));
        let known = self.keys.iter().find(|key| Some(key.id.as_str()) == id);
        // An unknown id costs as much as a wrong signature.
        let key = known.or(self.keys.first()).ok_or("no keys")?;
        // The comparison takes the same time wherever the first difference is.
        let equal = key.mac(path, signed).verify_slice(signature).is_ok();
        match (known, equal) {
            (None, _) => Err("unknown key"),
            (Some(_), false) => Err("wrong signature"),
            (Some(_), true) => Ok(()),
        }
    }
}

/// Backend and key of a path, percent-decoded once.
fn address(path: &str) -> Option<(String, String)> {
    let (backend, key) = path.strip_prefix("/v1/")?.split_once('/')?;
    (is_backend_name(backend) && !key.is_empty()).then_some(())?;
    Some((backend.to_owned(), decode(key)?))
}

fn check_headers<N: AsRef<str>, V: AsRef<[u8]>>(
    terms: &Terms,
    headers: impl IntoIterator<Item = (N, V)>,
) -> Result<(), &'static str> {
    let mut content_types = 0;
    for (name, value) in headers {
        let (name, value) = (name.as_ref(), value.as_ref().trim_ascii());
        if name.eq_ignore_ascii_case("content-type") {
            content_types += 1;
            if terms
                .content_type
                .as_deref()
                .is_some_and(|bound| bound.as_bytes() != value)
            {
                return Err("another content type");
            }
        } else if name.eq_ignore_ascii_case("content-length")
            && let Some(max_size) = terms.max_size
        {
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(value).ok().filter(|_| digits);
            // More digits than a u64 holds is over any limit.
            if length
                .and_then(|text| text.parse::<u64>().ok())
                .is_none_or(|length| length > max_size)
            {
                return Err("larger than allowed");
            }
        }
    }
    if terms.content_type.is_some() && content_types != 1 {
        return Err("not exactly one content type");
    }
    Ok(())
}
