//! Bodies and `tokio::io`: feature `io`.

use crate::{Body, Error, Result, Source};
use bytes::Bytes;
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::{ReaderStream, StreamReader};

/// Bytes per read, and so the largest chunk.
const CHUNK: usize = 256 << 10;

struct Reader<R>(Pin<Box<ReaderStream<R>>>);

impl<R: AsyncRead + Send> Source for Reader<R> {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let next = self.0.as_mut().poll_next(cx);
        next.map(|next| next.map(|chunk| chunk.map_err(Error::from)))
    }
}

impl Body {
    /// A body of what a reader yields, in chunks of up to 256 KiB. Feature `io`.
    ///
    /// ```
    /// use holdall_plugin_api::Body;
    ///
    /// # futures_util::FutureExt::now_or_never(async {
    /// let body = Body::from_async_read(&b"hello"[..]);
    /// assert_eq!(body.collect(5).await?, "hello");
    /// # Ok::<(), holdall_plugin_api::Error>(())
    /// # }).unwrap().unwrap();
    /// ```
    pub fn from_async_read<R: AsyncRead + Send + 'static>(reader: R) -> Self {
        Self::source(Reader(Box::pin(ReaderStream::with_capacity(reader, CHUNK))))
    }

    /// A reader of the bytes, an `AsyncRead` and `AsyncBufRead`, chunk by chunk. Feature `io`. A body is an `AsyncRead`
    /// itself, which reads into the memory of its caller.
    ///
    /// ```
    /// use holdall_plugin_api::Body;
    /// use tokio::io::AsyncReadExt;
    ///
    /// # futures_util::FutureExt::now_or_never(async {
    /// let mut text = String::new();
    /// Body::from("hello").into_async_read().read_to_string(&mut text).await?;
    /// assert_eq!(text, "hello");
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap().unwrap();
    /// ```
    pub fn into_async_read(self) -> StreamReader<Body, Bytes> {
        StreamReader::new(self)
    }
}

/// Into the memory of the caller, as [`Body::read_into`]. Feature `io`.
impl AsyncRead for Body {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let next = std::task::ready!(self.poll_into(cx, buffer.initialize_unfilled()));
        let filled = next.unwrap_or(Ok(0))?;
        buffer.advance(filled);
        Poll::Ready(Ok(()))
    }
}

/// The rest of the file, from its current position. Feature `io`.
impl From<tokio::fs::File> for Body {
    fn from(file: tokio::fs::File) -> Self {
        Self::from_async_read(file)
    }
}
