//! A request's body that nobody wants any more.
//!
//! An answer may be ready before the body has come: a refusal, say. Closing the connection then
//! makes the kernel tell the client "reset", and many never see the answer. So what is left is read
//! and thrown away for a while, beside the answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
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
}

/// Wraps the body of a request that has one.
pub(crate) fn lingering(body: Body) -> Body {
    if body.is_end_stream() {
        return body;
    }
    match Handle::try_current() {
        Ok(runtime) => Body::new(Lingering {
            inner: body,
            runtime,
            ended: false,
        }),
        Err(_) => body,
    }
}

impl http_body::Body for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
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
        if self.ended || self.inner.is_end_stream() {
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
