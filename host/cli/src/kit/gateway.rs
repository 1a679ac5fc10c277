//! URLs of the gateway, used in process: judged by the host, then done as the grant says.
//!
//! What a server does for them, without one: the same cases run over the wire against the server.

use futures_util::StreamExt;
use holdall::gateway::Grant;
use holdall::{
    Backend, Body, ByteRange, Bytes, Delete, Download, Error, ErrorKind, Head, Host, Method,
    ObjectInfo, Upload,
};
use http::{HeaderMap, Request, Response, StatusCode, header};

/// Where the gateway's URLs begin.
pub const PUBLIC_URL: &str = "https://files.example";

/// Answers a request that carries a signed URL.
pub(crate) async fn answer(host: &Host, request: Request<Bytes>) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let url = head.uri.to_string();
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let Ok(grant) = host.gateway().verify(head.method.as_str(), &url, headers) else {
        return plain(StatusCode::FORBIDDEN);
    };
    match granted(host, &grant, &head.headers, body).await {
        Ok(response) => response,
        Err(error) => plain(status(&error)),
    }
}

fn plain(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(status.to_string()));
    *response.status_mut() = status;
    response
}

fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.kind().status()).unwrap()
}

async fn granted(
    host: &Host,
    grant: &Grant,
    headers: &HeaderMap,
    body: Bytes,
) -> holdall::Result<Response<Bytes>> {
    let backend = host.handle(&grant.backend)?;
    match grant.method {
        Method::Get => read(&backend, grant, headers).await,
        Method::Head => {
            let info = backend.head(Head::new(&*grant.key)).await?;
            Ok(with_facts(grant, &info).body(Bytes::new()).unwrap())
        }
        Method::Delete => {
            backend.delete(Delete::new(&*grant.key)).await?;
            Ok(plain(StatusCode::NO_CONTENT))
        }
        Method::Put => store(&backend, grant, headers, body).await,
        method => unreachable!("the gateway signs no {}", method.name()),
    }
}

fn with_facts(grant: &Grant, info: &ObjectInfo) -> http::response::Builder {
    let own = grant.response_content_type.as_ref();
    let mut response = Response::builder().header(header::CONTENT_LENGTH, info.size);
    for (name, value) in [
        (header::ETAG, info.etag.as_ref()),
        (header::CONTENT_TYPE, own.or(info.content_type.as_ref())),
        (
            header::CONTENT_DISPOSITION,
            grant.content_disposition().as_ref(),
        ),
    ] {
        if let Some(value) = value {
            response = response.header(name, value);
        }
    }
    response
}

/// The ranges that the kit asks for: `bytes=FIRST-[LAST]`.
fn range(headers: &HeaderMap) -> Option<ByteRange> {
    let text = headers.get(header::RANGE)?.to_str().unwrap();
    let (first, last) = text
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    let first = first.parse().unwrap();
    Some(match last {
        "" => ByteRange::From(first),
        last => ByteRange::Bounded(first..last.parse::<u64>().unwrap() + 1),
    })
}

async fn read(
    backend: &Backend,
    grant: &Grant,
    headers: &HeaderMap,
) -> holdall::Result<Response<Bytes>> {
    let mut download = Download::new(&*grant.key);
    download.range = range(headers);
    let part = download.range.is_some();
    let downloaded = backend.download(download).await?;
    let info = downloaded.info.clone();
    let mut response = with_facts(grant, &info);
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some() && known == response.headers_ref().unwrap().get(header::ETAG) {
        return Ok(plain(StatusCode::NOT_MODIFIED).map(|_| Bytes::new()));
    }
    let range = downloaded.range.clone();
    let bytes = downloaded.body.collect(1 << 30).await?;
    if part {
        let content_range = format!("bytes {}-{}/{}", range.start, range.end - 1, info.size);
        response = response
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, content_range);
        response
            .headers_mut()
            .unwrap()
            .insert(header::CONTENT_LENGTH, bytes.len().into());
    }
    Ok(response.body(bytes).unwrap())
}

async fn store(
    backend: &Backend,
    grant: &Grant,
    headers: &HeaderMap,
    bytes: Bytes,
) -> holdall::Result<Response<Bytes>> {
    let known = headers.contains_key(header::CONTENT_LENGTH);
    let length = known.then_some(bytes.len() as u64);
    let half = bytes.len() / 2;
    let pieces = futures_util::stream::iter([bytes.slice(..half), bytes.slice(half..)]);
    // Counted as it comes: a body without a length says at its end only how long it was.
    let most = grant.max_size.unwrap_or(u64::MAX);
    let mut seen = 0;
    let pieces = pieces.map(move |piece| {
        seen += piece.len() as u64;
        match seen > most {
            true => Err(Error::new(ErrorKind::TooLarge).with_message("more than the URL allows")),
            false => Ok(piece),
        }
    });
    let mut upload = Upload::new(&*grant.key, Body::stream(pieces));
    let options = upload.options_mut();
    options.content_type = grant.content_type.as_deref();
    options.checksums = grant.checksums;
    upload.length = length;
    backend.upload(upload).await?;
    Ok(plain(StatusCode::CREATED))
}
