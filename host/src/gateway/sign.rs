//! Making a URL.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;
use holdall_plugin_api::{Error, ErrorKind, Method, SignUrl, SignedUrl};

use super::terms::{Terms, encode};
use super::{Account, Gateway, MAX_LIFE, MIN_LIFE};
use crate::config::is_backend_name;

/// Longest bound text, in bytes: what servers take for a file name and a content type, and what
/// keeps the URL under the 8 KiB that proxies take.
const MAX_TEXT: usize = 255;

impl Gateway {
    /// Signs with the first key.
    ///
    /// Every constraint of the request is bound into the URL. `must_exist` is the caller's affair:
    /// nothing is looked up here. `expires_at` of the answer is a whole second and never later
    /// than asked.
    ///
    /// # Errors
    ///
    /// - `ConfigInvalid`: no key is configured; the fact `fix` has the lines to add.
    /// - `InvalidArgument`: a life outside 1 s to 7 d, a constraint that this method does not have
    ///   or that no header can carry, a name that no backend can have.
    /// - `InvalidKey`: an empty key.
    /// - `Unsupported`: a key with a segment `.` or `..`, which clients resolve before they send.
    pub fn sign(&self, backend: &str, sign: &SignUrl<'_>) -> Result<SignedUrl, Error> {
        self.sign_for(backend, sign, Account::default())
    }

    /// As [`Gateway::sign`]; what a PUT stores is charged to this account.
    pub(crate) fn sign_for(
        &self,
        backend: &str,
        sign: &SignUrl<'_>,
        account: Account<'_>,
    ) -> Result<SignedUrl, Error> {
        let Some(key) = self.keys.first().filter(|_| self.is_configured()) else {
            return Err(Self::not_configured());
        };
        if !is_backend_name(backend) {
            return Err(
                Error::invalid("no backend can have this name").with_fact("backend", backend)
            );
        }
        let path = format!("/v1/{backend}/{}", key_path(sign.key.text())?);
        let expires = self.end(sign.expires_in)?;
        let mut terms = Terms::new(sign.method, expires, &key.id);
        bind(&mut terms, sign)?;
        if sign.method == Method::Put {
            let name =
                |name, text: Option<&str>| text.map(|text| bound_name(name, text)).transpose();
            terms.owner = name("owner", account.owner)?;
            terms.group = name("group", account.group)?;
            terms.reservation = account.reservation;
        }
        let query = terms.query();
        let signature = URL_SAFE_NO_PAD.encode(key.mac(&path, &query).finalize().into_bytes());
        let url = format!("{}{path}?{query}&hd-sig={signature}", self.public_url);
        let mut signed = SignedUrl::new(url, UNIX_EPOCH + Duration::from_secs(expires));
        signed.headers.extend(
            terms
                .content_type
                .map(|text| ("content-type".to_owned(), text)),
        );
        Ok(signed)
    }

    /// The second in which a life that begins now ends.
    fn end(&self, life: Duration) -> Result<u64, Error> {
        if !(MIN_LIFE..=MAX_LIFE).contains(&life) {
            return Err(
                Error::invalid("the life of a signed URL is 1 second to 7 days")
                    .with_fact("expires_in", format!("{life:?}")),
            );
        }
        let now = self.now().and_then(|now| now.checked_add(life));
        let end = now.ok_or_else(|| {
            Error::new(ErrorKind::Other)
                .with_message("the clock of this host is far from the present")
        })?;
        Ok(end.as_secs())
    }
}

fn key_path(key: &str) -> Result<String, Error> {
    if key.is_empty() {
        return Err(Error::new(ErrorKind::InvalidKey).with_message("the key is empty"));
    }
    let mut segments = Vec::new();
    for segment in key.split('/') {
        if matches!(segment, "." | "..") {
            return Err(Error::unsupported(
                "a key with a segment \".\" or \"..\" cannot stand in a URL",
            ));
        }
        segments.push(encode(segment));
    }
    Ok(segments.join("/"))
}

/// Takes over the constraints; one that the method does not have is refused and not dropped.
fn bind(terms: &mut Terms, sign: &SignUrl<'_>) -> Result<(), Error> {
    let (writes, reads) = match sign.method {
        Method::Put => (true, false),
        Method::Get | Method::Head => (false, true),
        _ => (false, false),
    };
    let of_put = [
        ("content_type", sign.content_type.is_some()),
        ("max_size", sign.max_size.is_some()),
        ("checksums", !sign.checksums.is_empty()),
    ];
    let of_get = [
        ("download_name", sign.download_name.is_some()),
        (
            "response_content_type",
            sign.response_content_type.is_some(),
        ),
    ];
    let stray = of_put
        .into_iter()
        .filter(|_| !writes)
        .chain(of_get.into_iter().filter(|_| !reads))
        .find(|(_, asked)| *asked);
    if let Some((name, _)) = stray {
        return Err(Error::invalid("this method has no such constraint")
            .with_fact("constraint", name)
            .with_fact("method", sign.method.name()));
    }
    terms.content_type = sign
        .content_type
        .map(|text| media_type("content_type", text))
        .transpose()?;
    terms.response_content_type = sign
        .response_content_type
        .map(|text| media_type("response_content_type", text))
        .transpose()?;
    terms.download_name = sign
        .download_name
        .map(|text| bound_name("download_name", text))
        .transpose()?;
    terms.max_size = sign.max_size;
    terms.checksums = sign.checksums;
    Ok(())
}

/// A type that a header can carry: `type/subtype` of token characters, then perhaps parameters of
/// printable ASCII (RFC 9110, 8.3.1).
fn media_type(name: &'static str, text: &str) -> Result<String, Error> {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let fits = text.len() <= MAX_TEXT
        && text.trim() == text
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| token(kind) && token(subtype));
    if fits {
        return Ok(text.to_owned());
    }
    Err(
        Error::invalid("expected a content type such as \"image/png\"")
            .with_fact("constraint", name),
    )
}

/// A name of at most 255 bytes. Control characters are refused: they would end the header or the line of a log
/// that carries the name.
fn bound_name(name: &'static str, text: &str) -> Result<String, Error> {
    if (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(
        Error::invalid("a name has 1 to 255 bytes and no control character")
            .with_fact("constraint", name),
    )
}
