//! Bodies: owned pull streams of bytes, the same in both directions.

#[cfg(feature = "http-body")]
mod http;
#[cfg(feature = "io")]
mod io;

#[cfg(unix)]
use crate::LentFile;
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

    /// Whether [`poll_into`](Self::poll_into) is written. Asked once, when the body is made. Capability `read_into`, since
    /// ABI 1.1.
    fn reads_into(&self) -> bool {
        false
    }

    /// As [`poll_chunk`](Self::poll_chunk), into memory of the receiver, which is not empty: how many bytes were filled,
    /// at least one. A receiver may call both in turn.
    fn poll_into(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _into: &mut [u8],
    ) -> Poll<Option<Result<usize>>> {
        Poll::Ready(Some(Err(Error::unsupported(
            "this source reads no memory of its receiver",
        ))))
    }

    /// All bytes as a range of an open regular file, before anything is read. It must stay open, and its bytes as they
    /// are, until the source is dropped. Never blocks. Capability `lend_file`, since ABI 1.1; Unix only.
    #[cfg(unix)]
    fn file(&self) -> Option<LentFile<'_>> {
        None
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
    /// What few bodies have, so that a body stays small.
    rare: Option<Box<Rare>>,
}

enum Rare {
    /// Of a chunk of which the receiver had room for a part; not empty.
    Rest(Bytes),
    /// Digests beside CRC-32C, at the end.
    Digests(Checksums),
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
            rare: None,
        }
    }

    pub(crate) fn into_stream(self) -> OwnedStream {
        match self.rare.as_deref() {
            // The rest has to come first.
            Some(Rare::Rest(_)) => Self::source(self).stream,
            _ => self.stream,
        }
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
        if let Some(rest) = self.take_rest() {
            self.seen += rest.len() as u64;
            return Poll::Ready(Some(Ok(rest.into())));
        }
        if self.state != State::Open {
            return Poll::Ready(None);
        }
        let next = std::task::ready!(self.stream.poll(cx, call));
        Poll::Ready(self.went_on(next).inspect(|chunk| {
            self.seen += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        }))
    }

    /// What a pull says of the stream's state.
    fn went_on<T>(&mut self, next: Next<T>) -> Option<Result<T>> {
        match next {
            Next::Some(some) => Some(Ok(some)),
            Next::End(checksums) => {
                self.state = State::Ended;
                self.crc32c = checksums.crc32c;
                if checksums.md5.is_some() || checksums.sha256.is_some() {
                    self.rare = Some(Box::new(Rare::Digests(checksums)));
                }
                None
            }
            Next::Failed(error) => {
                self.state = State::Failed;
                Some(Err(error))
            }
        }
    }

    fn take_rest(&mut self) -> Option<Bytes> {
        match self.rare.as_deref_mut() {
            Some(Rare::Rest(rest)) => {
                let rest = std::mem::take(rest);
                self.rare = None;
                Some(rest)
            }
            _ => None,
        }
    }

    /// Whether [`read_into`](Self::read_into) reads from the store straight into the memory, without a copy between.
    pub fn reads_into(&self) -> bool {
        self.stream.polls_into()
    }

    /// As [`Body::read_into`]; `None` is the end, and `into` is not empty.
    pub fn poll_into(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Option<Result<usize>>> {
        self.poll_into_under(cx, std::ptr::null(), into)
    }

    /// As [`Body::poll_into`], under a call (rule R15 of [`abi`](crate::abi)).
    #[doc(hidden)]
    pub fn poll_into_under(
        &mut self,
        cx: &mut Context<'_>,
        call: *const FfiCall,
        into: &mut [u8],
    ) -> Poll<Option<Result<usize>>> {
        if into.is_empty() {
            return Poll::Ready(Some(Err(Error::invalid("no memory to read into"))));
        }
        let mut chunk = match self.take_rest() {
            Some(rest) => rest,
            None if self.state != State::Open => return Poll::Ready(None),
            None if self.reads_into() => {
                let next = std::task::ready!(self.stream.poll_into(cx, call, into));
                let filled = self.went_on(next);
                self.seen += filled.as_ref().map_or(0, |filled| {
                    filled.as_ref().map_or(0, |filled| *filled as u64)
                });
                return Poll::Ready(filled);
            }
            None => loop {
                let next = std::task::ready!(self.stream.poll(cx, call));
                match self.went_on(next) {
                    Some(Ok(chunk)) if chunk.is_empty() => {}
                    Some(Ok(chunk)) => break chunk.into(),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => return Poll::Ready(None),
                }
            },
        };
        let some = chunk.split_to(into.len().min(chunk.len()));
        into[..some.len()].copy_from_slice(&some);
        self.seen += some.len() as u64;
        if !chunk.is_empty() {
            self.rare = Some(Box::new(Rare::Rest(chunk)));
        }
        Poll::Ready(Some(Ok(some.len())))
    }

    /// Reads into memory of the caller: how many bytes are there, at least one; 0 is the end. A store that can reads
    /// straight into it ([`reads_into`](Self::reads_into)), from any other a chunk is copied. After an error there is
    /// nothing more.
    ///
    /// ```
    /// # futures_util::FutureExt::now_or_never(async {
    /// use holdall_plugin_api::Body;
    ///
    /// let (mut body, mut buffer) = (Body::from("hello"), [0; 4]);
    /// assert_eq!(body.read_into(&mut buffer).await?, 4);
    /// assert_eq!(&buffer, b"hell");
    /// assert_eq!(body.read_into(&mut buffer).await?, 1);
    /// assert_eq!(body.read_into(&mut buffer).await?, 0);
    /// assert_eq!(body.trailers().unwrap().size, 5);
    /// # Ok::<(), holdall_plugin_api::Error>(())
    /// # }).unwrap().unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The stream's own; `InvalidArgument` for memory of no bytes.
    pub async fn read_into(&mut self, into: &mut [u8]) -> Result<usize> {
        let next = std::future::poll_fn(|cx| self.poll_into(cx, into)).await;
        next.unwrap_or(Ok(0))
    }

    /// The file that holds the bytes, valid until the body is dropped. `None`: the backend lends none for this body, the
    /// caller of the download has not asked for [`unverified`](crate::Download::unverified) bytes, or something of the
    /// body was read already. Unix only.
    #[cfg(unix)]
    pub fn file(&self) -> Option<LentFile<'_>> {
        self.try_file().ok().flatten()
    }

    /// As [`Body::file`].
    ///
    /// # Errors
    ///
    /// The stream answered what cannot be.
    #[cfg(unix)]
    #[doc(hidden)]
    pub fn try_file(&self) -> Result<Option<LentFile<'_>>> {
        if self.seen > 0 || self.state != State::Open {
            return Ok(None);
        }
        self.stream.file()
    }

    /// The next chunk; `None` is the end.
    pub async fn chunk(&mut self) -> Option<Result<Chunk>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// What is known at the end; `None` before it and after an error.
    pub fn trailers(&self) -> Option<Trailers> {
        let digests = match self.rare.as_deref() {
            Some(Rare::Digests(digests)) => *digests,
            _ => Checksums::NONE,
        };
        (self.state == State::Ended).then_some(Trailers {
            size: self.seen,
            checksums: Checksums {
                crc32c: self.crc32c,
                ..digests
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

/// So that a body can be wrapped, or goes on as another.
impl Source for Body {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let next = Body::poll_chunk(&mut self, cx);
        next.map(|next| next.map(|chunk| chunk.map(Bytes::from)))
    }

    fn checksums(self: Pin<&mut Self>) -> Checksums {
        self.trailers()
            .map_or(Checksums::NONE, |trailers| trailers.checksums)
    }

    fn reads_into(&self) -> bool {
        Body::reads_into(self)
    }

    fn poll_into(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Option<Result<usize>>> {
        Body::poll_into(&mut self, cx, into)
    }

    #[cfg(unix)]
    fn file(&self) -> Option<LentFile<'_>> {
        Body::file(self)
    }
}

impl Stream for Body {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Source::poll_chunk(self, cx)
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
