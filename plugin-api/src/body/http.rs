//! Bodies and `http_body::Body`: feature `http-body`.

use crate::{Body, Error, ErrorKind, Result, Source};
use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

struct Frames<B>(Pin<Box<B>>);

impl<B> Source for Frames<B>
where
    B: HttpBody + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        loop {
            return Poll::Ready(match ready!(self.0.as_mut().poll_frame(cx)) {
                None => None,
                Some(Err(cause)) => Some(Err(Error::new(ErrorKind::Unavailable).because(cause))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(mut data) => Some(Ok(data.copy_to_bytes(data.remaining()))),
                    Err(_trailers) => continue,
                },
            });
        }
    }
}

impl Body {
    /// A body of the data frames of an HTTP body; trailers are dropped. Feature `http-body`.
    ///
    /// ```
    /// use holdall_plugin_api::Body;
    ///
    /// # futures_util::FutureExt::now_or_never(async {
    /// # let incoming = Body::from("hello"); // any `http_body::Body`
    /// let body = Body::from_http_body(incoming);
    /// assert_eq!(body.collect(5).await?, "hello");
    /// # Ok::<(), holdall_plugin_api::Error>(())
    /// # }).unwrap().unwrap();
    /// ```
    pub fn from_http_body<B>(body: B) -> Self
    where
        B: HttpBody + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::source(Frames(Box::pin(body)))
    }
}

/// Data frames only. Feature `http-body`.
impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        Source::poll_chunk(self, cx).map(|next| next.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.known_length() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.known_length()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
