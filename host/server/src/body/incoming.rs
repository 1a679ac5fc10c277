//! The body of a request as the body of an upload.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use holdall::{Error, ErrorKind};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError};
use tower_http::timeout::TimeoutError;

/// Bodies up to here are read whole before the backend is asked: one call instead of a stream.
const WHOLE: u64 = 64 << 10;

/// The body of an upload; it knows its length when the request says it. `limit`: more bytes than
/// that are `TooLarge`. `waits`: the client sends it when it is asked, which is when the backend pulls.
///
/// # Errors
///
/// What [`of_client`] makes of a connection that ends early or talks nonsense.
pub(crate) async fn incoming(
    body: Body,
    limit: Option<u64>,
    waits: bool,
) -> Result<(holdall::Body, Option<u64>), Error> {
    let length = body.size_hint().exact();
    if let (Some(limit), Some(length)) = (limit, length)
        && length > limit
    {
        return Err(too_large(limit).with_fact("requested", length));
    }
    if !waits && length.is_some_and(|length| length <= WHOLE) {
        let bytes = body.collect().await.map_err(of_client)?.to_bytes();
        return Ok((holdall::Body::once(bytes), length));
    }
    let stream = Incoming {
        body: body
            .into_data_stream()
            .map(|chunk| chunk.map_err(of_client))
            .boxed(),
        left: limit,
    };
    Ok((holdall::Body::stream(stream), length))
}

/// All of a body that is expected to be small.
///
/// # Errors
///
/// `TooLarge`, or as [`incoming`].
pub(crate) async fn read_small(body: Body, limit: usize) -> Result<Bytes, Error> {
    let (body, _) = incoming(body, Some(limit as u64), false).await?;
    body.collect(limit).await
}

struct Incoming {
    body: BoxStream<'static, Result<Bytes, Error>>,
    left: Option<u64>,
}

impl Stream for Incoming {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Poll::Ready(next) = self.body.poll_next_unpin(cx) else {
            return Poll::Pending;
        };
        if let (Some(left), Some(Ok(chunk))) = (&mut self.left, &next) {
            match left.checked_sub(chunk.len() as u64) {
                Some(after) => *left = after,
                None => {
                    let error = Error::new(ErrorKind::TooLarge);
                    let error = error.with_message("the body is larger than the request may store");
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(next)
    }
}

fn too_large(limit: u64) -> Error {
    Error::new(ErrorKind::TooLarge)
        .with_message("the body is larger than this request may be")
        .with_fact("limit", limit)
}

/// Why a body does not come: the client went away, or what it sends is no HTTP.
pub(crate) fn of_client(error: axum::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut malformed = false;
    while let Some(link) = source {
        if let Some(own) = link.downcast_ref::<Error>() {
            return own.clone();
        }
        if link.is::<LengthLimitError>() {
            return Error::new(ErrorKind::TooLarge)
                .with_message("the body is larger than this server takes");
        }
        if link.is::<TimeoutError>() {
            return Error::new(ErrorKind::Cancelled)
                .with_message("the body stood still for too long");
        }
        if let Some(io) = link.downcast_ref::<io::Error>() {
            malformed |= matches!(
                io.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            );
        }
        if let Some(hyper) = link.downcast_ref::<hyper::Error>() {
            malformed |= hyper.is_parse();
        }
        source = link.source();
    }
    match malformed {
        true => Error::invalid("the body is not well-formed HTTP").because(error),
        false => Error::new(ErrorKind::Cancelled)
            .with_message("the connection ended before the body did")
            .because(error),
    }
}
