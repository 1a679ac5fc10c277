//! What an endpoint does with a request.

use super::endpoint::Seen;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// An answer, or what happens instead of one.
///
/// The body of the request is read to its end first, unless it is said otherwise.
///
/// # Panics
///
/// Its methods do, on what is no status or header: they are written by hand in a test.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) how: How,
}

#[derive(Clone, Debug)]
pub(crate) enum How {
    Whole,
    Pieces { size: usize, pause: Duration },
    Cut { after: usize },
    Stall { after: usize },
    Endless { head: Bytes, pause: Duration },
    Lost,
    Never,
    Unread,
    Forward { to: SocketAddr, lost: bool },
    Later(Later),
}

/// Decides once the body of the request is there.
#[derive(Clone)]
pub(crate) struct Later(pub(crate) Arc<dyn Fn(&Seen) -> Reply + Send + Sync>);

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}

impl Reply {
    fn with(status: u16, how: How) -> Self {
        let status = StatusCode::from_u16(status);
        Self {
            status: status.unwrap_or_else(|why| panic!("{why}")),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            how,
        }
    }

    /// This status, without headers and body.
    pub fn new(status: u16) -> Self {
        Self::with(status, How::Whole)
    }

    /// With a header; again for another value of the same name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap_or_else(|why| panic!("{name}: {why}"));
        let value = HeaderValue::from_str(value).unwrap_or_else(|why| panic!("{value}: {why}"));
        self.headers.append(name, value);
        self
    }

    /// Wait so long before the next request.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER.as_str(), &seconds.to_string())
    }

    /// With a body. In answer to HEAD it is announced and not sent, as HTTP wants it.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// A slow sender: the body in pieces of `size` bytes, with a pause before each.
    #[must_use]
    pub fn slowly(mut self, size: usize, pause: Duration) -> Self {
        self.how = How::Pieces { size, pause };
        self
    }

    /// An early close: the whole length is announced, then the connection ends after so many bytes
    /// of the body.
    #[must_use]
    pub fn cut(mut self, after: usize) -> Self {
        self.how = How::Cut { after };
        self
    }

    /// The body stops after so many bytes, and the connection stays open.
    #[must_use]
    pub fn stalled(mut self, after: usize) -> Self {
        self.how = How::Stall { after };
        self
    }

    /// A body without end: `head`, then the body again and again, with a pause before each.
    #[must_use]
    pub fn endless(mut self, head: impl Into<Bytes>, pause: Duration) -> Self {
        self.how = How::Endless {
            head: head.into(),
            pause,
        };
        self
    }

    /// No answer: the request is read, and then the connection ends.
    pub fn lost() -> Self {
        Self::with(500, How::Lost)
    }

    /// No answer: the request is read, and then nothing happens.
    pub fn never() -> Self {
        Self::with(500, How::Never)
    }

    /// A reader that does not read: neither the body of the request is taken nor anything answered.
    pub fn unread() -> Self {
        Self::with(500, How::Unread)
    }

    /// Hands the request on, headers and all, and answers what comes back. The real server must
    /// take the `Host` of this endpoint: signatures cover it.
    pub fn forwarded(to: SocketAddr) -> Self {
        Self::with(502, How::Forward { to, lost: false })
    }

    /// Hands the request on, and ends the connection instead of answering: the request took effect,
    /// and its sender does not know.
    pub fn forwarded_but_lost(to: SocketAddr) -> Self {
        Self::with(502, How::Forward { to, lost: true })
    }

    /// What this function says once the body of the request is there.
    pub fn later(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(500, How::Later(Later(Arc::new(reply))))
    }

    /// The length that is announced.
    pub(crate) fn announced(&self) -> Option<HeaderValue> {
        let said = self.headers.contains_key(CONTENT_LENGTH);
        let endless = matches!(self.how, How::Endless { .. });
        (!said && !endless && self.status != StatusCode::NO_CONTENT).then(|| self.body.len().into())
    }
}
