//! A request whose body is sent as it comes.
//!
//! The body is pulled by the future of the operation, never by the task of the connection, so that it
//! ends with the operation: one chunk is on its way to the connection, one is being pulled.

use crate::connector::Http;
use crate::reply::{Call, Failure, Seen};
use bytes::Bytes;
use holdall_plugin_api::{Body, Error, ErrorKind, Result};
use http_body::{Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind, HttpRequest, HttpResponse};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What is sent.
pub(crate) struct Content {
    pub(crate) body: Body,
    /// Bytes of it.
    pub(crate) length: u64,
    /// Its digest, where it is known before.
    pub(crate) sha256: Option<[u8; 32]>,
}

impl Http {
    /// Sends a complete request with this body. The store must take each chunk, and answer after the last
    /// one, within the time that an answer may take.
    ///
    /// # Errors
    ///
    /// The outer: the body's own. The inner: no answer.
    pub(crate) async fn stream(
        &self,
        request: HttpRequest,
        content: Content,
        call: &Arc<Call>,
    ) -> Result<Result<HttpResponse, HttpError>> {
        let patience = self.options().answer_timeout;
        let (sender, chunks) = mpsc::channel(1);
        let left = content.length;
        let streamed = reqwest::Body::wrap(Chunks { chunks, left });
        let mut answering = pin!(call.run(self.sent(request, Some(streamed))));
        tokio::select! {
            // A store may refuse before it has read everything.
            answer = &mut answering => return Ok(answer),
            pumped = pump(content.body, sender, patience) => match pumped {
                Ok(()) => {}
                Err(Stopped::Body(error)) => return Err(error),
                Err(Stopped::Store) => return Ok(Err(late(call))),
            },
        }
        Ok(match timeout(patience, answering).await {
            Ok(answer) => answer,
            Err(_) => Err(late(call)),
        })
    }
}

enum Stopped {
    /// The body failed.
    Body(Error),
    /// The store takes no more.
    Store,
}

async fn pump(
    mut body: Body,
    sender: mpsc::Sender<Bytes>,
    patience: Duration,
) -> Result<(), Stopped> {
    let mut last = None;
    loop {
        let next = body.chunk().await.transpose().map_err(Stopped::Body)?;
        let is_end = next.is_none();
        // A body that fails at its end, by a digest, must not have been whole: one chunk is held back.
        if let Some(chunk) = std::mem::replace(&mut last, next) {
            match timeout(patience, sender.send(chunk.into())).await {
                Ok(Ok(())) => {}
                // The request has ended: its answer says how.
                Ok(Err(_)) => return Ok(()),
                Err(_) => return Err(Stopped::Store),
            }
        }
        if is_end {
            return Ok(());
        }
    }
}

fn late(call: &Call) -> HttpError {
    call.note(Seen::Failed(Failure::Timeout));
    let silent = io::Error::from(io::ErrorKind::TimedOut);
    HttpError::new(HttpErrorKind::Timeout, silent)
}

/// The body as the connection sees it: exactly so many bytes, or an error.
struct Chunks {
    chunks: mpsc::Receiver<Bytes>,
    left: u64,
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let chunk = ready!(self.chunks.poll_recv(cx));
        let length = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Poll::Ready(match (chunk, self.left.checked_sub(length)) {
            (Some(chunk), Some(left)) => {
                self.left = left;
                Some(Ok(Frame::data(chunk)))
            }
            (None, Some(0)) => None,
            _ => Some(Err(Error::new(ErrorKind::Cancelled).with_message(
                "the body ended before its stated length, or behind it",
            ))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
