//! A client that adds nothing of its own.

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest that an answer may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends a request over a connection of its own and answers what came back, whole.
///
/// The URI must be absolute, `http`, and goes out byte for byte. `Host` is added when it is
/// missing; a body without `Content-Length` goes out chunked. Redirects are answers like any other,
/// and no body is decoded.
///
/// # Errors
///
/// What went wrong, in words: no connection, no answer within a minute, an answer that is no HTTP.
pub async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let what = format!("{} {}", request.method(), request.uri().path());
    let sending = async {
        let stream = connect(&request).await?;
        exchange(stream, request).await
    };
    match tokio::time::timeout(LIMIT, sending).await {
        Ok(answer) => answer.map_err(|why| format!("{what}: {why}")),
        Err(_) => Err(format!("{what}: no answer after {} s", LIMIT.as_secs())),
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request to this address, whatever its URI and its `Host` say.
pub(crate) async fn send_to(
    address: SocketAddr,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Failure> {
    exchange(TcpStream::connect(address).await?, request).await
}

async fn connect(request: &Request<Bytes>) -> Result<TcpStream, Failure> {
    let authority = request.uri().authority().ok_or("the URI is not absolute")?;
    if request.uri().scheme_str() != Some("http") {
        return Err("only http is spoken here".into());
    }
    let port = authority.port_u16().unwrap_or(80);
    let host = authority.host().trim_matches(['[', ']']);
    Ok(TcpStream::connect((host, port)).await?)
}

async fn exchange(stream: TcpStream, request: Request<Bytes>) -> Result<Response<Bytes>, Failure> {
    let (mut parts, body) = request.into_parts();
    if let Some(authority) = parts.uri.authority()
        && !parts.headers.contains_key(HOST)
    {
        let host = HeaderValue::from_str(authority.as_str())?;
        parts.headers.insert(HOST, host);
    }
    let target = parts.uri.path_and_query().ok_or("the URI has no path")?;
    parts.uri = target.as_str().parse()?;
    let body = match body.is_empty() || parts.headers.contains_key(CONTENT_LENGTH) {
        true => Full::new(body).boxed(),
        false => chunked(body),
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the exchange: the sender is dropped here, and the connection with it.
    let driving = tokio::spawn(connection);
    let answer = sender
        .send_request(Request::from_parts(parts, body))
        .await?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    drop(sender);
    driving.abort();
    Ok(Response::from_parts(head, body))
}

/// A body of unknown length, in two pieces where there are two bytes.
fn chunked(body: Bytes) -> BoxBody<Bytes, Infallible> {
    let half = body.len() / 2;
    let pieces = [body.slice(..half), body.slice(half..)];
    let frames = pieces.into_iter().filter(|piece| !piece.is_empty());
    StreamBody::new(stream::iter(frames.map(|piece| Ok(Frame::data(piece))))).boxed()
}
