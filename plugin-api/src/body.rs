//! Bodies: owned pull streams of bytes, the same in both directions.

#[cfg(feature = "http-body")]
mod http;
#[cfg(feature = "io")]
mod io;

use crate::abi::stream::{Next, OwnedStream};
use crate::abi::tables::FfiCall;
use crate::{Checksums, Chunk, Error, Result};
use bytes::Bytes;
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What is known of a body once it has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trailers {
    /// Bytes that went through.
    pub size: u64,
    /// Their digests; the host always adds CRC-32C to an upload.
    pub checksums: Checksums,
}

/// Where the chunks of a [`Body`] come from. Any `Stream` of bytes will do; implement this to give
/// [`Trailers`] too.
pub trait Source: Send {
    /// The next chunk, or the end.
    fn poll_chunk(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>>;

    /// The digests of all that was yielded, asked at the end.
    fn checksums(self: Pin<&mut Self>) -> Checksums {
        Checksums::NONE
    }
}

/// The bytes of an object: an owned stream that is pulled, one chunk at a time.
///
/// Made from bytes (no allocation) or from any stream. Nothing is read ahead by the body itself;
/// dropping it ends the transfer.
///
/// ```
/// # use holdall_plugin_api::Body;
/// let body = Body::from("some text");
/// assert_eq!(body.known_length(), Some(9));
/// ```
pub struct Body {
    stream: OwnedStream,
    seen: u64,
    state: State,
    crc32c: Option<u32>,
    /// The rarer digests, so that a body stays small.
    digests: Option<Box<Checksums>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    Failed,
}

impl Body {
    /// A body of these bytes. Allocates nothing.
    pub fn once(bytes: impl Into<Bytes>) -> Self {
        Self::of(OwnedStream::once(bytes.into(), None))
    }

    /// As [`Body::once`], with the CRC-32C of the bytes for its trailers.
    pub fn once_with_crc32c(bytes: impl Into<Bytes>, crc32c: u32) -> Self {
        Self::of(OwnedStream::once(bytes.into(), Some(crc32c)))
    }

    /// A body of no bytes.
    pub fn empty() -> Self {
        Self::once(Bytes::new())
    }

    pub(crate) fn of(stream: OwnedStream) -> Self {
        Self {
            stream,
            seen: 0,
            state: State::Open,
            crc32c: None,
            digests: None,
        }
    }

    pub(crate) fn into_stream(self) -> OwnedStream {
        self.stream
    }

    /// The bytes of a body that was made from bytes and not yet read.
    pub fn as_once(&self) -> Option<&Bytes> {
        self.stream.as_once().filter(|_| self.seen == 0)
    }

    /// States the CRC-32C of a body that was made from bytes and not yet read. Any other body
    /// stays as it is.
    #[must_use]
    pub fn with_crc32c(mut self, crc32c: u32) -> Self {
        if self.seen == 0 {
            self.stream.set_crc32c(crc32c);
        }
        self
    }

    /// The length of a body that was made from bytes.
    pub fn known_length(&self) -> Option<u64> {
        (self.stream.is_once() && self.seen == 0)
            .then(|| self.as_once().map_or(0, |bytes| bytes.len() as u64))
    }

    /// The next chunk; `None` is the end. After an error there is nothing more.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        self.poll_chunk_under(cx, std::ptr::null())
    }

    /// As [`Body::poll_chunk`], under a call (rule R15 of [`abi`](crate::abi)).
    #[doc(hidden)]
    pub fn poll_chunk_under(
        &mut self,
        cx: &mut Context<'_>,
        call: *const FfiCall,
    ) -> Poll<Option<Result<Chunk>>> {
        if self.state != State::Open {
            return Poll::Ready(None);
        }
        match std::task::ready!(self.stream.poll(cx, call)) {
            Next::Chunk(chunk) => {
                self.seen += chunk.len() as u64;
                Poll::Ready(Some(Ok(chunk)))
            }
            Next::End(checksums) => {
                self.state = State::Ended;
                self.crc32c = checksums.crc32c;
                if checksums.md5.is_some() || checksums.sha256.is_some() {
                    self.digests = Some(Box::new(checksums));
                }
                Poll::Ready(None)
            }
            Next::Failed(error) => {
                self.state = State::Failed;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    /// The next chunk; `None` is the end.
    pub async fn chunk(&mut self) -> Option<Result<Chunk>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// What is known at the end; `None` before it and after an error.
    pub fn trailers(&self) -> Option<Trailers> {
        (self.state == State::Ended).then(|| Trailers {
            size: self.seen,
            checksums: Checksums {
                crc32c: self.crc32c,
                ..self.digests.as_deref().copied().unwrap_or_default()
            },
        })
    }

    /// Bytes that were read so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// All bytes, in memory.
    ///
    /// # Errors
    ///
    /// The stream's own, or `TooLarge` past `limit` bytes.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes> {
        let mut all: Option<Bytes> = None;
        let mut many: Vec<u8> = Vec::new();
        while let Some(chunk) = self.chunk().await {
            let chunk = chunk?;
            if self.seen > limit as u64 {
                return Err(Error::new(crate::ErrorKind::TooLarge).with_fact("limit", limit));
            }
            match all.take() {
                None if many.is_empty() => all = Some(chunk.into()),
                first => {
                    many.extend(first.iter().flat_map(|bytes| bytes.iter()));
                    many.extend_from_slice(&chunk);
                }
            }
        }
        Ok(all.unwrap_or_else(|| many.into()))
    }
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_chunk(cx)
            .map(|next| next.map(|chunk| chunk.map(Bytes::from)))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body")
            .field("seen", &self.seen)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

macro_rules! from_bytes {
    ($($from:ty),+) => { $(impl From<$from> for Body {
        fn from(bytes: $from) -> Self {
            Body::once(bytes)
        }
    })+ };
}
from_bytes!(Bytes, Vec<u8>, String, &'static str, &'static [u8]);
