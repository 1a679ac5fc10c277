//! The body of an upload, for more than one attempt.

use holdall_plugin_api::{Body, Bytes, Checksums, Result, Source};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Sent again: bytes always, a stream while no chunk was taken.
pub(super) enum Replay {
    Once(Body),
    Bytes(Bytes, u32),
    Stream(Arc<Mutex<Option<Body>>>),
}

impl Replay {
    pub(super) fn new(body: Body, crc32c: Option<u32>, again: bool) -> Self {
        match (body.as_once(), crc32c) {
            _ if !again => Self::Once(body),
            (Some(bytes), Some(crc32c)) => Self::Bytes(bytes.clone(), crc32c),
            _ => Self::Stream(Arc::new(Mutex::new(Some(body)))),
        }
    }

    pub(super) fn take(&mut self) -> Body {
        match self {
            Self::Once(body) => std::mem::replace(body, Body::empty()),
            Self::Bytes(bytes, crc32c) => Body::once_with_crc32c(bytes.clone(), *crc32c),
            Self::Stream(home) => {
                let body = home.lock().unwrap_or_else(PoisonError::into_inner).take();
                Body::source(Lent {
                    body: body.unwrap_or_else(Body::empty),
                    home: home.clone(),
                    touched: false,
                })
            }
        }
    }

    /// Whether it is all there, for another attempt.
    pub(super) fn is_whole(&self) -> bool {
        match self {
            Self::Once(_) => false,
            Self::Bytes(..) => true,
            Self::Stream(home) => home
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_some(),
        }
    }
}

/// A stream that goes back to its owner when the plugin never asked for a chunk.
struct Lent {
    body: Body,
    home: Arc<Mutex<Option<Body>>>,
    touched: bool,
}

impl Source for Lent {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        self.touched = true;
        self.body
            .poll_chunk(cx)
            .map(|next| next.map(|chunk| chunk.map(Bytes::from)))
    }

    fn checksums(self: Pin<&mut Self>) -> Checksums {
        self.body
            .trailers()
            .map_or(Checksums::NONE, |trailers| trailers.checksums)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.touched {
            let body = std::mem::replace(&mut self.body, Body::empty());
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
