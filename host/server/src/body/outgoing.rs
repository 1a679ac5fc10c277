//! The body of a download as the body of an answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use holdall::{Body, Error};
use http_body::{Frame, SizeHint};

use super::Reservation;

/// Pulls a chunk when the connection has room for it and not before. Its length is known, so that
/// the answer has a `Content-Length`; an error ends the connection short of it, which a client sees.
pub(crate) struct Outgoing {
    body: Body,
    left: u64,
    _room: Reservation,
}

impl Outgoing {
    pub(crate) fn new(body: Body, length: u64, room: Reservation) -> Self {
        Self {
            body,
            left: length,
            _room: room,
        }
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.body.poll_chunk(cx).map(|next| {
            next.map(|chunk| {
                let bytes = Bytes::from(chunk?);
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Ok(Frame::data(bytes))
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
