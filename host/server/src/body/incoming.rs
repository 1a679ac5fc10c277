//! The body of a request: bounded in size and in time, and read by the operation that stores it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use holdall::{Error, ErrorKind};
use http::header::EXPECT;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

use crate::connection::Connection;

/// Bodies up to here are read whole before the backend is asked: one call instead of a stream.
const WHOLE: u64 = 64 << 10;
/// What is left of a body that was refused is read and thrown away for so long, and so many bytes.
const DISCARD_TIME: Duration = Duration::from_secs(5);
const DISCARD_BYTES: u64 = 8 << 20;

/// The body of a request.
///
/// - More than `limit` bytes are `TooLarge`.
/// - A body that stands still for `stall_timeout` is `Cancelled`.
/// - Time spent waiting for the client is reported to the connection, which ends a client that is too
///   slow when connections are scarce.
/// - An answer may be ready before the body has come: a refusal, say. To close the connection then
///   makes the kernel send a reset, and many clients never see the answer. So the rest is read and
///   thrown away for a while, beside the answer. Not of a client that waits for `100 Continue`: to read
///   would send it.
struct RequestBody {
    inner: Body,
    limit: u64,
    left: u64,
    stall_timeout: Duration,
    /// Set while the client is waited for.
    stalled_at: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    connection: Option<Arc<Connection>>,
    /// Where a drop may happen anywhere, also on a plugin's thread.
    runtime: Handle,
    ended: bool,
    expects_continue: bool,
}

/// Bounds the body of a request that has one.
pub(crate) fn bounded(request: Request, limit: Option<u64>, stall_timeout: Duration) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let Ok(runtime) = Handle::try_current() else {
        return request;
    };
    let expects_continue = request.headers().contains_key(EXPECT);
    let connection = request.extensions().get::<Arc<Connection>>().cloned();
    if let Some(connection) = &connection {
        connection.body_begins();
    }
    let limit = limit.unwrap_or(u64::MAX);
    request.map(|inner| {
        Body::new(RequestBody {
            inner,
            limit,
            left: limit,
            stall_timeout,
            stalled_at: None,
            waiting: false,
            connection,
            runtime,
            ended: false,
            expects_continue,
        })
    })
}

impl RequestBody {
    fn poll_within(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(next) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(next.map(|frame| frame.map_err(of_client)));
        }
        let timeout = self.stall_timeout;
        let stalled = self
            .stalled_at
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        if !self.waiting {
            stalled.as_mut().reset(Instant::now() + timeout);
        }
        if stalled.as_mut().poll(cx).is_ready() {
            let error = Error::new(ErrorKind::Cancelled);
            return Poll::Ready(Some(Err(
                error.with_message("the body stood still for too long")
            )));
        }
        Poll::Pending
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        this.expects_continue = false;
        let Poll::Ready(next) = this.poll_within(cx) else {
            if !this.waiting {
                this.waiting = true;
                this.connection.iter().for_each(|it| it.body_awaited());
            }
            return Poll::Pending;
        };
        let bytes = match &next {
            Some(Ok(frame)) => frame.data_ref().map_or(0, |data| data.len() as u64),
            _ => 0,
        };
        this.waiting = false;
        this.connection.iter().for_each(|it| it.body_got(bytes));
        let next = match this.left.checked_sub(bytes) {
            Some(left) => {
                this.left = left;
                next
            }
            None => Some(Err(too_large(this.limit))),
        };
        this.ended |= !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.waiting {
            self.connection.iter().for_each(|it| it.body_got(0));
        }
        if self.ended || self.expects_continue || self.inner.is_end_stream() {
            return;
        }
        let mut body = std::mem::take(&mut self.inner);
        self.runtime.spawn(async move {
            let discard = async {
                let mut read = 0;
                while let Some(Ok(frame)) = body.frame().await {
                    read += frame.data_ref().map_or(0, |data| data.len() as u64);
                    if read > DISCARD_BYTES {
                        break;
                    }
                }
            };
            // Either way the connection goes on, or ends, as it can.
            let _ = tokio::time::timeout(DISCARD_TIME, discard).await;
        });
    }
}

/// The body of an upload; it knows its length when the request says it. With `expects_continue` the
/// client sends it when it is asked, which is when the backend pulls.
///
/// # Errors
///
/// What [`of_client`] makes of a connection that ends early or talks nonsense.
pub(crate) async fn incoming(
    body: Body,
    expects_continue: bool,
) -> Result<(holdall::Body, Option<u64>), Error> {
    let length = body.size_hint().exact();
    if !expects_continue && length.is_some_and(|length| length <= WHOLE) {
        let bytes = body.collect().await.map_err(of_client)?.to_bytes();
        return Ok((holdall::Body::once(bytes), length));
    }
    let stream = UploadStream(body.into_data_stream());
    Ok((holdall::Body::stream(stream), length))
}

/// All of a body that is expected to be small.
///
/// # Errors
///
/// `TooLarge`, or as [`incoming`].
pub(crate) async fn read_small(body: Body, limit: usize) -> Result<Bytes, Error> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit as u64));
    }
    let (body, _) = incoming(body, false).await?;
    body.collect(limit).await
}

/// The bytes of a body, with its errors as errors of storage.
pub(crate) struct UploadStream(pub(crate) BodyDataStream);

impl Stream for UploadStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.0.poll_next_unpin(cx);
        next.map(|next| next.map(|chunk| chunk.map_err(of_client)))
    }
}

pub(crate) fn too_large(limit: u64) -> Error {
    Error::new(ErrorKind::TooLarge)
        .with_message("the body is larger than this request may be")
        .with_fact("limit", limit)
}

/// Why a body does not come: the client went away, or what it sends is no HTTP.
fn of_client(error: axum::Error) -> Error {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut malformed = false;
    while let Some(link) = source {
        if let Some(own) = link.downcast_ref::<Error>() {
            return own.clone();
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
