//! One connection: who its client is, and whether that client keeps up.
//!
//! A reader of a byte a second cannot be distinguished from one that has stopped: its kernel opens the
//! window when half of a buffer is free again, which takes hours. So no reader is ended for being slow
//! alone. When all places are taken and another client needs one, the place of the client that is most
//! overdue is freed: a reader that has taken nothing of its answer, or a sender of a body below the
//! least rate. (A client whose machine has gone is found by TCP itself.)

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

/// How a client begins that speaks HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FIRST_READ: usize = 8 << 10;
/// Requests that a client took back before their answer, more than it let come; then its connection ends.
const MOST_TAKEN_BACK: usize = 100;

/// The least rate of request bodies: bytes for each second, averaged over a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeastRate {
    pub(crate) bytes_per_second: u64,
    pub(crate) window: Duration,
}

/// A mark on a request whose connection found no place in time.
#[derive(Clone, Copy)]
pub(crate) struct NoPlace;

/// One connection, as requests and the accept loop see it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: IpAddr,
    accepted: Instant,
    least_rate: LeastRate,
    /// Milliseconds after `accepted`, and one more, since when the reader takes nothing; 0 while it
    /// keeps up.
    write_stalled: AtomicU64,
    /// As above: since when a body is waited for.
    body_awaited: AtomicU64,
    /// Milliseconds of waiting that the sender of a body still has. Each byte adds to it.
    allowance: AtomicU64,
    /// Of a connection of HTTP/2.
    streams: OnceLock<Streams>,
}

/// The requests of a connection of HTTP/2. Each has a [`Connection`] of its own for its clocks.
#[derive(Debug, Default)]
struct Streams {
    open: Mutex<Vec<Weak<Connection>>>,
    /// As `write_stalled`: since when there is none.
    idle: AtomicU64,
    taken_back: AtomicUsize,
    part: Notify,
    flood: Notify,
}

impl Streams {
    fn open(&self) -> MutexGuard<'_, Vec<Weak<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request of a connection of HTTP/2, until its answer is whole or its client took it back.
#[derive(Debug)]
pub(crate) struct Stream {
    own: Arc<Connection>,
    of: Arc<Connection>,
    answered: bool,
}

impl Stream {
    pub(crate) fn begin(of: &Arc<Connection>) -> Self {
        let own = Arc::new(Connection::new(of.peer, of.least_rate));
        if let Some(streams) = of.streams.get() {
            streams.open().push(Arc::downgrade(&own));
            streams.idle.store(0, Ordering::Relaxed);
        }
        Self {
            own,
            of: of.clone(),
            answered: false,
        }
    }

    /// Its own clocks.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.own
    }

    pub(crate) fn answered(&mut self) {
        self.answered = true;
        if let Some(streams) = self.of.streams.get() {
            let one_less = |count: usize| count.checked_sub(1);
            let _ = streams
                .taken_back
                .try_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Some(streams) = self.of.streams.get() else {
            return;
        };
        let mut open = streams.open();
        open.retain(|it| !std::ptr::eq(it.as_ptr(), Arc::as_ptr(&self.own)));
        if open.is_empty() {
            streams.idle.store(self.of.now() + 1, Ordering::Relaxed);
        }
        drop(open);
        if !self.answered && streams.taken_back.fetch_add(1, Ordering::Relaxed) >= MOST_TAKEN_BACK {
            streams.flood.notify_one();
        }
    }
}

impl Connection {
    pub(crate) fn new(peer: IpAddr, least_rate: LeastRate) -> Self {
        Self {
            peer,
            accepted: Instant::now(),
            least_rate,
            write_stalled: AtomicU64::new(0),
            body_awaited: AtomicU64::new(0),
            allowance: AtomicU64::new(millis(least_rate.window)),
            streams: OnceLock::new(),
        }
    }

    pub(crate) fn accepted(&self) -> Instant {
        self.accepted
    }

    fn now(&self) -> u64 {
        millis(self.accepted.elapsed())
    }

    fn since(&self, mark: &AtomicU64) -> Option<u64> {
        let since = mark.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.now().saturating_sub(since))
    }

    /// For how long the reader has taken nothing of what it asked for.
    pub(crate) fn stalled_for(&self) -> Option<Duration> {
        self.since(&self.write_stalled).map(Duration::from_millis)
    }

    /// For how long the sender of a body has been below the least rate.
    fn slow_for(&self) -> Option<Duration> {
        let waited = self.since(&self.body_awaited)?;
        let over = waited.checked_sub(self.allowance.load(Ordering::Relaxed))?;
        (self.least_rate.bytes_per_second > 0).then(|| Duration::from_millis(over))
    }

    /// By how much this client is overdue, if its place may be freed for another.
    pub(crate) fn overdue(&self, stall_timeout: Duration) -> Option<Duration> {
        let stalled = self.stalled_for();
        let stalled = stalled.and_then(|time| time.checked_sub(stall_timeout));
        let streams = self.streams.get();
        let of_streams = streams.and_then(|streams| {
            let open = streams.open();
            let open = open.iter().filter_map(Weak::upgrade);
            open.filter_map(|it| it.overdue(stall_timeout)).max()
        });
        stalled.max(self.slow_for()).max(of_streams)
    }

    /// From now on it is one of HTTP/2.
    pub(crate) fn multiplex(&self) {
        let streams = self.streams.get_or_init(Streams::default);
        streams.idle.store(self.now() + 1, Ordering::Relaxed);
    }

    fn idle_for(&self) -> Option<Duration> {
        let idle = self.since(&self.streams.get()?.idle)?;
        Some(Duration::from_millis(idle))
    }

    /// Whether it is one of HTTP/2 without a request.
    pub(crate) fn is_idle(&self) -> bool {
        self.idle_for().is_some()
    }

    /// Ends a connection of HTTP/2 with its next answers.
    pub(crate) fn part(&self) {
        self.streams
            .get()
            .iter()
            .for_each(|it| it.part.notify_one());
    }

    /// Waits until a connection of HTTP/2 has had no request for so long, or has to part.
    pub(crate) async fn quiet(&self, idle: Duration) {
        let Some(streams) = self.streams.get() else {
            return std::future::pending().await;
        };
        while timeout(idle, streams.part.notified()).await.is_err() {
            if self.idle_for().is_some_and(|it| it >= idle) {
                return;
            }
        }
    }

    /// Waits until the client of a connection of HTTP/2 has taken back too many requests.
    pub(crate) async fn flooded(&self) {
        match self.streams.get() {
            Some(streams) => streams.flood.notified().await,
            None => std::future::pending().await,
        }
    }

    /// A body begins.
    pub(crate) fn body_begins(&self) {
        let window = millis(self.least_rate.window);
        self.allowance.store(window, Ordering::Relaxed);
    }

    /// The next bytes of a body are waited for.
    pub(crate) fn body_awaited(&self) {
        self.body_awaited.store(self.now() + 1, Ordering::Relaxed);
    }

    /// So many bytes of a body came.
    pub(crate) fn body_got(&self, bytes: u64) {
        let waited = self.since(&self.body_awaited).unwrap_or(0);
        self.body_awaited.store(0, Ordering::Relaxed);
        let rate = self.least_rate.bytes_per_second.max(1);
        let earned = bytes.saturating_mul(1000) / rate;
        let left = self.allowance.load(Ordering::Relaxed);
        let left = left.saturating_sub(waited).saturating_add(earned);
        let window = millis(self.least_rate.window);
        self.allowance.store(left.min(window), Ordering::Relaxed);
    }

    /// Whether its reader has taken what it was given.
    pub(crate) fn wrote(&self, taken: bool) {
        if taken {
            self.write_stalled.store(0, Ordering::Relaxed);
        } else if self.write_stalled.load(Ordering::Relaxed) == 0 {
            self.write_stalled.store(self.now() + 1, Ordering::Relaxed);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1)
}

/// The stream of a connection that is watched.
pub(crate) struct Watched {
    stream: TcpStream,
    /// What was read to see its protocol, and is read again.
    begun: BytesMut,
    connection: Arc<Connection>,
}

impl Watched {
    pub(crate) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            begun: BytesMut::new(),
            connection,
        }
    }

    /// Whether the client speaks HTTP/2. Waits until that is seen.
    pub(crate) async fn begins_http2(&mut self) -> io::Result<bool> {
        while self.begun.len() < PREFACE.len() && PREFACE.starts_with(&self.begun) {
            // As much as hyper reads at first: less would change where it finds a request too large.
            self.begun.reserve(FIRST_READ);
            if self.stream.read_buf(&mut self.begun).await? == 0 {
                break;
            }
        }
        Ok(self.begun.starts_with(PREFACE))
    }

    fn noted(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.connection.wrote(polled.is_ready());
        polled
    }
}

/// What a stalled reader has not taken is of no use to it, and would stay in the kernel's memory for
/// as long as it lives: a reset frees it, and shows that the answer is not whole.
impl Drop for Watched {
    fn drop(&mut self) {
        if self.connection.stalled_for().is_some() {
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
        if !self.begun.is_empty() {
            let some = self.begun.len().min(buffer.remaining());
            buffer.put_slice(&self.begun[..some]);
            self.begun.advance(some);
            if self.begun.is_empty() {
                self.begun = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that has waited for a body for so long.
    fn waited(rate: u64, seconds: u64) -> Connection {
        let least_rate = LeastRate {
            bytes_per_second: rate,
            window: Duration::from_secs(60),
        };
        let mut connection = Connection::new([127, 0, 0, 1].into(), least_rate);
        connection.body_begins();
        connection.body_awaited();
        connection.accepted -= Duration::from_secs(seconds);
        connection
    }

    #[test]
    fn a_body_below_the_least_rate_is_overdue_after_the_window() {
        let stall = Duration::from_secs(3600);
        assert_eq!(waited(256, 59).overdue(stall), None);
        assert!(waited(256, 61).overdue(stall).is_some());
        assert_eq!(waited(0, 61).overdue(stall), None, "no least rate");
    }

    #[test]
    fn bytes_earn_time_up_to_the_window() {
        let stall = Duration::from_secs(3600);
        for (bytes, overdue) in [(10 * 256, false), (9, true), (1_000_000, false)] {
            let mut connection = waited(256, 55);
            connection.body_got(bytes);
            connection.body_awaited();
            connection.accepted -= Duration::from_secs(10);
            assert_eq!(connection.overdue(stall).is_some(), overdue, "{bytes}");
            connection.accepted -= Duration::from_secs(60);
            assert!(
                connection.overdue(stall).is_some(),
                "no credit beyond the window"
            );
        }
    }
}
