//! Whether the client of a connection takes what is sent.
//!
//! A reader of a byte a second cannot be told from one that has stopped: its kernel opens the window
//! when half of a buffer is free again, which takes hours. So nobody is ended for being slow alone.
//! When all places are taken and somebody else needs one, the reader that has taken nothing for the
//! longest time gives up its own. (A client whose machine has gone is found by TCP itself, which
//! sends again and again and gives up after a quarter of an hour.)

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Since when the reader of a connection takes nothing.
#[derive(Debug)]
pub(crate) struct Reader {
    accepted: Instant,
    /// Milliseconds after `accepted`, and one more; 0 while it keeps up.
    stalled: AtomicU64,
}

impl Reader {
    fn millis(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// For how long it has taken nothing of what it asked for.
    pub(crate) fn stalled_for(&self) -> Option<Duration> {
        let since = self.stalled.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_millis(self.millis().saturating_sub(since)))
    }

    fn note(&self, taken: bool) {
        if taken {
            self.stalled.store(0, Ordering::Relaxed);
        } else if self.stalled.load(Ordering::Relaxed) == 0 {
            self.stalled.store(self.millis() + 1, Ordering::Relaxed);
        }
    }
}

/// A connection that is watched.
pub(crate) struct Watched {
    stream: TcpStream,
    reader: Arc<Reader>,
}

impl Watched {
    pub(crate) fn new(stream: TcpStream) -> (Self, Arc<Reader>) {
        let reader = Arc::new(Reader {
            accepted: Instant::now(),
            stalled: AtomicU64::new(0),
        });
        let watched = Self {
            stream,
            reader: reader.clone(),
        };
        (watched, reader)
    }

    fn noted(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.reader.note(polled.is_ready());
        polled
    }
}

/// What a stalled reader has not taken is of no use to it, and would stay in the kernel's memory for
/// as long as it lives: a reset frees it, and tells that the answer is not whole.
impl Drop for Watched {
    fn drop(&mut self) {
        if self.reader.stalled_for().is_some() {
            let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.noted(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.noted(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
