//! A request's body that nobody wants any more.
//!
//! An answer may be ready before the body has come: a refusal, say. Closing the connection then
//! makes the kernel tell the client "reset", and many never see the answer. So what is left is read
//! and thrown away for a while, beside the answer. Not of a client that waits to be asked for its body
//! (`Expect: 100-continue`): reading would ask.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::EXPECT;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;

/// For so long and so many bytes; after that the client gets its reset.
const PATIENCE: Duration = Duration::from_secs(5);
const MOST: u64 = 8 << 20;

struct Lingering {
    inner: Body,
    /// Where a drop may happen anywhere, also on a plugin's thread.
    runtime: Handle,
    ended: bool,
    /// The client waits to be asked, and nobody has asked yet.
    waits: bool,
}

/// Wraps the body of a request that has one.
pub(crate) fn lingering(request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let Ok(runtime) = Handle::try_current() else {
        return request;
    };
    let waits = request.headers().contains_key(EXPECT);
    request.map(|inner| {
        Body::new(Lingering {
            inner,
            runtime,
            ended: false,
            waits,
        })
    })
}

impl http_body::Body for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.waits = false;
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.ended = true;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if self.ended || self.waits || self.inner.is_end_stream() {
            return;
        }
        let mut body = std::mem::take(&mut self.inner);
        self.runtime.spawn(async move {
            let rest = async {
                let mut read = 0;
                while let Some(Ok(frame)) = body.frame().await {
                    read += frame.data_ref().map_or(0, |data| data.len() as u64);
                    if read > MOST {
                        break;
                    }
                }
            };
            // Either way the connection goes on, or ends, as it can.
            let _ = tokio::time::timeout(PATIENCE, rest).await;
        });
    }
}
