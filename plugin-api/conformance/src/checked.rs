//! Bodies as the host hands them on: of exactly the promised length, with their digests.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use holdall_plugin_api::Source;
use holdall_plugin_api::{Body, Checksums, Error, ErrorKind, Result};
use sha2::{Digest as _, Sha256};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::runtime::Handle;

/// Whose promise the length is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Caller,
    Backend,
}

struct Checked {
    body: Body,
    length: Option<u64>,
    side: Side,
    expected: Checksums,
    crc32c: Digest,
    sha256: Option<Sha256>,
    ended: Checksums,
    lends: bool,
    /// Of the kit: a body of it may want a timer, wherever the backend reads it.
    runtime: Option<Handle>,
}

/// Whether a body was read to its end, or failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read(Arc<AtomicBool>);

impl Read {
    pub(crate) fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

struct Ends {
    body: Body,
    read: Read,
}

/// The same body, which tells whether it was read to its end.
pub(crate) fn ends(body: Body) -> (Body, Read) {
    let read = Read::default();
    let body = Body::source(Ends {
        body,
        read: read.clone(),
    });
    (body, read)
}

impl Source for Ends {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let next = std::task::ready!(self.body.poll_chunk(cx));
        if !matches!(next, Some(Ok(_))) {
            self.read.0.store(true, Ordering::Release);
        }
        Poll::Ready(next.map(|chunk| chunk.map(Bytes::from)))
    }

    fn checksums(self: Pin<&mut Self>) -> Checksums {
        let trailers = self.body.trailers();
        trailers.map_or(Checksums::NONE, |trailers| trailers.checksums)
    }
}

/// An upload's body: ends in `InvalidArgument` when it is not of this length, in
/// `ChecksumMismatch` when it does not have the caller's digests, and carries its CRC-32C.
pub(crate) fn upload(body: Body, length: Option<u64>, expected: Checksums) -> Body {
    Body::source(Checked::new(body, length, Side::Caller, expected))
}

/// A download's body: ends in an error when it is not of this length.
/// Its file is lent where the caller takes unverified bytes.
pub(crate) fn download(body: Body, length: u64, lends: bool) -> Body {
    let mut checked = Checked::new(body, Some(length), Side::Backend, Checksums::NONE);
    checked.lends = lends;
    Body::source(checked)
}

impl Checked {
    fn new(body: Body, length: Option<u64>, side: Side, expected: Checksums) -> Self {
        Self {
            body,
            length,
            side,
            expected,
            crc32c: Digest::new(CrcAlgorithm::Crc32Iscsi),
            sha256: expected.sha256.map(|_| Sha256::new()),
            ended: Checksums::NONE,
            lends: false,
            runtime: match side {
                Side::Caller => Handle::try_current().ok(),
                // The backend's own.
                Side::Backend => None,
            },
        }
    }

    fn mismatch(&self) -> Error {
        let seen = self.body.seen();
        let expected = self.length.unwrap_or(0);
        let error = match self.side {
            Side::Caller => Error::invalid("the body is not of the declared length"),
            Side::Backend if seen < expected => {
                Error::new(ErrorKind::Unavailable).with_message("the object ended early")
            }
            Side::Backend => Error::new(ErrorKind::PluginFault)
                .with_message("more bytes than the answer announced"),
        };
        error
            .with_fact("expected", expected)
            .with_fact("found", seen)
    }

    fn end(&mut self) -> Result<()> {
        if self.length.is_some_and(|length| self.body.seen() != length) {
            return Err(self.mismatch());
        }
        self.ended.crc32c = Some(self.crc32c.clone().finalize() as u32);
        self.ended.sha256 = self.sha256.take().map(|hash| hash.finalize().into());
        let wrong = |expected: bool, same: bool| expected && !same;
        if wrong(
            self.expected.crc32c.is_some(),
            self.expected.crc32c == self.ended.crc32c,
        ) || wrong(
            self.expected.sha256.is_some(),
            self.expected.sha256 == self.ended.sha256,
        ) {
            return Err(Error::new(ErrorKind::ChecksumMismatch)
                .with_message("the body does not have the stated digest"));
        }
        Ok(())
    }
}

impl Checked {
    /// Looks at what a pull came to.
    fn look<T>(
        &mut self,
        next: Option<Result<T>>,
        bytes: impl Fn(&T) -> &[u8],
    ) -> Option<Result<T>> {
        match next {
            Some(Ok(some)) => {
                let over = self.length.is_some_and(|length| self.body.seen() > length);
                self.crc32c.update(bytes(&some));
                if let Some(hash) = &mut self.sha256 {
                    hash.update(bytes(&some));
                }
                Some(if over { Err(self.mismatch()) } else { Ok(some) })
            }
            Some(Err(error)) => Some(Err(error)),
            None => self.end().err().map(Err),
        }
    }

    fn entered<T>(&mut self, poll: impl FnOnce(&mut Body) -> Poll<T>) -> Poll<T> {
        let _entered = self.runtime.as_ref().map(Handle::enter);
        poll(&mut self.body)
    }
}

impl Source for Checked {
    fn poll_chunk(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let next = std::task::ready!(self.entered(|body| body.poll_chunk(cx)));
        let next = self.look(next, |chunk| chunk);
        Poll::Ready(next.map(|next| next.map(Bytes::from)))
    }

    fn checksums(self: Pin<&mut Self>) -> Checksums {
        self.ended
    }

    fn reads_into(&self) -> bool {
        self.body.reads_into()
    }

    fn poll_into(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<Option<Result<usize>>> {
        let next = std::task::ready!(self.entered(|body| body.poll_into(cx, into)));
        let next = next.map(|next| next.map(|filled| &into[..filled]));
        Poll::Ready(
            self.look(next, |bytes| bytes)
                .map(|next| next.map(<[u8]>::len)),
        )
    }

    #[cfg(unix)]
    fn file(&self) -> Option<holdall_plugin_api::LentFile<'_>> {
        self.body.file().filter(|_| self.lends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::chunked;

    #[tokio::test]
    async fn lengths_and_digests_are_held() {
        let mut body = upload(Body::from("123456789"), Some(9), Checksums::NONE);
        while body.chunk().await.is_some() {}
        let trailers = body.trailers().unwrap();
        assert_eq!(
            (trailers.size, trailers.checksums.crc32c),
            (9, Some(0xe306_9283))
        );

        let mut wrong = Checksums::NONE;
        wrong.sha256 = Some([0; 32]);
        for (body, kind) in [
            (
                upload(Body::from("ab"), Some(1), Checksums::NONE),
                ErrorKind::InvalidArgument,
            ),
            (
                upload(Body::from("ab"), Some(3), Checksums::NONE),
                ErrorKind::InvalidArgument,
            ),
            (
                upload(Body::from("ab"), None, wrong),
                ErrorKind::ChecksumMismatch,
            ),
            (
                download(chunked(vec!["a".into()]), 2, false),
                ErrorKind::Unavailable,
            ),
            (
                download(chunked(vec!["abc".into()]), 2, false),
                ErrorKind::PluginFault,
            ),
        ] {
            assert_eq!(body.collect(10).await.unwrap_err().kind(), kind);
        }
    }
}
