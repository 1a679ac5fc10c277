//! The model signs URLs of its own, and serves them: as a store does, with each mistake that its
//! bug says.

use crate::model::{Bug, Model};
use holdall_plugin_api::{
    Body, ByteRange, Bytes, Delete, Download, Error, ErrorKind, Head, Result, SignUrl, SignedUrl,
    Signing, StorageBackend, Upload,
};
use http::{Request, Response, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, SystemTime};

/// What signs, and must not be in a URL.
pub(crate) const SECRET: &str = "the-secret-of-the-model";

/// The signers: the host of a URL names one of them.
static SIGNERS: LazyLock<Mutex<Vec<Model>>> = LazyLock::new(Mutex::default);

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn signature(model: &Model, path: &str, query: &str) -> String {
    let query = if model.has(Bug::QueryUnsigned) {
        ""
    } else {
        query
    };
    hex(&Sha256::digest(format!("{SECRET} {path} {query}")))
}

pub(crate) fn sign(model: &Model, sign: &SignUrl<'_>) -> Result<Signing> {
    if model.has(Bug::SigningLooksUp) && !model.is_there(sign.key) {
        return Err(Error::not_found());
    }
    if model.has(Bug::SignsNoWeek) && sign.expires_in > Duration::from_secs(86_400) {
        return Err(Error::unsupported("a day is enough"));
    }
    if model.has(Bug::SizeRefused) && sign.max_size.is_some() {
        return Err(Error::unsupported("claimed, but"));
    }
    let now = SystemTime::now();
    let mut end = now + sign.expires_in;
    let asked = end;
    if model.has(Bug::ExpiresAsWished) {
        end = now + sign.expires_in / 2;
    }
    let end = humantime::format_rfc3339_seconds(end).to_string();
    let mut query = format!("m={}&se={}", sign.method.name(), encode(&end));
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(query, "&{name}={}", encode(&value));
        }
    };
    add("ct", sign.content_type.map(str::to_owned));
    add("max", sign.max_size.map(|max| max.to_string()));
    add("sha256", sign.checksums.sha256.map(|digest| hex(&digest)));
    add(
        "crc32c",
        sign.checksums.crc32c.map(|digest| digest.to_string()),
    );
    add("name", sign.download_name.map(str::to_owned));
    add("rct", sign.response_content_type.map(str::to_owned));
    add(
        "key",
        model.has(Bug::SecretInUrl).then(|| SECRET.to_owned()),
    );
    let mut signers = SIGNERS.lock().unwrap();
    let path = format!(
        "/{}/{}",
        signers.len(),
        encode(sign.key.text()).replace("%2F", "/")
    );
    let sig = signature(model, &path, &query);
    signers.push(model.clone());
    // What the URL says, to the second, unless it lies.
    let told = match model.has(Bug::ExpiresAsWished) {
        true => asked,
        false => humantime::parse_rfc3339(&end).unwrap(),
    };
    let mut signed = SignedUrl::new(
        format!("http://model.invalid{path}?{query}&sig={sig}"),
        told,
    );
    let bound = sign
        .content_type
        .map(|text| ("content-type".to_owned(), text.to_owned()));
    signed.headers.extend(bound);
    Ok(Signing::Url(signed))
}

fn plain(status: u16) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .body(Bytes::new())
        .unwrap()
}

/// Serves a URL.
pub(crate) async fn serve(request: Request<Bytes>) -> Response<Bytes> {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or("").to_owned();
    let number = path
        .split('/')
        .nth(1)
        .and_then(|text| text.parse::<usize>().ok());
    let model = number.and_then(|number| SIGNERS.lock().unwrap().get(number).cloned());
    let Some(model) = model else {
        return plain(403);
    };
    match judged(&model, &path, &query, request).await {
        Ok(response) => response,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => plain(403),
        Err(error) => plain(error.kind().status()),
    }
}

async fn judged(
    model: &Model,
    path: &str,
    query: &str,
    request: Request<Bytes>,
) -> Result<Response<Bytes>> {
    let denied = || Error::new(ErrorKind::PermissionDenied);
    let (signed, sig) = query.rsplit_once("&sig=").ok_or_else(denied)?;
    if sig != signature(model, path, signed) {
        return Err(denied());
    }
    let value = |wanted: &str| {
        let found = signed
            .split('&')
            .find_map(|pair| pair.strip_prefix(wanted)?.strip_prefix('='));
        found.map(decode)
    };
    let end = value("se")
        .and_then(|end| humantime::parse_rfc3339(&end).ok())
        .ok_or_else(denied)?;
    if SystemTime::now() >= end && !model.has(Bug::NeverExpires) {
        return Err(denied());
    }
    let method = request.method().as_str();
    if value("m").as_deref() != Some(method) && !model.has(Bug::MethodUnbound) {
        return Err(denied());
    }
    let text = |name: header::HeaderName| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let key = path.splitn(3, '/').nth(2).map(decode).unwrap_or_default();
    let key = if model.has(Bug::KeyDecodedTwice) {
        decode(&key)
    } else {
        key
    };
    match method {
        "PUT" => {
            if let Some(bound) = value("ct").filter(|_| !model.has(Bug::TypeUnbound))
                && text(header::CONTENT_TYPE) != Some(&bound)
            {
                return Err(denied());
            }
            let max = value("max").and_then(|max| max.parse::<usize>().ok());
            if max.is_some_and(|max| request.body().len() > max) && !model.has(Bug::SizeUnbound) {
                return Err(denied());
            }
            let sha256 = hex(&Sha256::digest(request.body()));
            let crc32c = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, request.body());
            let wrong = value("sha256").is_some_and(|bound| bound != sha256)
                || value("crc32c").is_some_and(|bound| bound != crc32c.to_string());
            if wrong && !model.has(Bug::DigestUnbound) {
                return Err(denied());
            }
            if model.has(Bug::SignedPutDropped) {
                return Ok(plain(200));
            }
            let body = Body::from(request.body().clone());
            let bound = value("ct");
            let mut upload = Upload::new(&*key, body);
            upload.options_mut().content_type = bound.as_deref();
            model.upload(upload).await?;
            Ok(plain(201))
        }
        "DELETE" => {
            model.delete(Delete::new(&*key)).await?;
            Ok(plain(204))
        }
        "HEAD" => {
            let info = model.head(Head::new(&*key)).await?;
            let response = Response::builder().header(header::CONTENT_LENGTH, info.size);
            Ok(response.body(Bytes::new()).unwrap())
        }
        _ => {
            let mut download = Download::new(&*key);
            let range = text(header::RANGE).filter(|_| !model.has(Bug::SignedRangeIgnored));
            if let Some((first, last)) =
                range.and_then(|text| text.strip_prefix("bytes=")?.split_once('-'))
            {
                let first = first.parse().unwrap();
                download.range = Some(match last.parse::<u64>() {
                    Ok(last) => ByteRange::Bounded(first..last + 1),
                    Err(_) => ByteRange::From(first),
                });
            }
            let found = match model.download(download).await {
                Err(error)
                    if error.kind() == ErrorKind::FileNotFound
                        && model.has(Bug::MissingIsEmpty) =>
                {
                    return Ok(plain(200));
                }
                found => found?,
            };
            let etag = format!("\"{}\"", found.info.etag.clone().unwrap_or_default());
            if text(header::IF_NONE_MATCH) == Some(&etag) {
                return Ok(plain(304));
            }
            let own = found
                .info
                .content_type
                .clone()
                .filter(|_| !model.has(Bug::SignedTypeLost));
            let mut response = Response::builder().header(header::ETAG, etag);
            if let Some(content_type) = value("rct").or(own) {
                response = response.header(header::CONTENT_TYPE, content_type);
            }
            if let Some(name) = value("name") {
                let disposition = match model.has(Bug::NameUnquoted) {
                    true => format!(
                        "attachment; filename=\"{}\"",
                        name.replace(|c: char| !c.is_ascii(), "_")
                    ),
                    false => format!("attachment; filename*=UTF-8''{}", encode(&name)),
                };
                response = response.header(header::CONTENT_DISPOSITION, disposition);
            }
            if range.is_some() {
                let (range, size) = (&found.range, found.info.size);
                let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                response = response.status(206).header(header::CONTENT_RANGE, text);
            }
            Ok(response.body(found.body.collect(1 << 20).await?).unwrap())
        }
    }
}
