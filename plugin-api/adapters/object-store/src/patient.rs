//! The body of an answer, with a limit on its silence.

use crate::connector::failed;
use crate::reply::Failure;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::client::{HttpError, HttpErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// A body that may be silent for so long while a reader waits for it. reqwest's own limit also counts
/// the time without a reader, and so ends the bodies of slow readers.
pub(crate) struct Patient {
    body: reqwest::Body,
    limit: Duration,
    waiting: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Patient {
    pub(crate) fn new(body: reqwest::Body, limit: Duration) -> Self {
        Self {
            body,
            limit,
            waiting: None,
        }
    }
}

impl Body for Patient {
    type Data = Bytes;
    type Error = (Failure, HttpError);

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waiting = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(failed)));
        }
        let limit = this.limit;
        let waiting = this
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(waiting.as_mut().poll(cx));
        let silent = std::io::Error::from(std::io::ErrorKind::TimedOut);
        let error = HttpError::new(HttpErrorKind::Timeout, silent);
        Poll::Ready(Some(Err((Failure::Timeout, error))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
