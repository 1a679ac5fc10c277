//! The access log: one line for each request, written when it has ended, however it ended.
//!
//! Target `holdall::access`, level info. The path is there and the query is not: it may be a
//! signature.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::extract::OriginalUri;
use axum::response::Response;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body::{Body as _, Frame, SizeHint};

use crate::trace::Trace;

const TARGET: &str = "holdall::access";
/// For a request that ended before its answer, as in other servers' logs.
const NO_ANSWER: u16 = 499;

/// How a request ended.
#[derive(Clone, Copy)]
enum End {
    /// The whole answer was handed to the connection.
    Complete,
    /// The connection ended within the answer, or the backend failed within it.
    Cut,
    /// The connection ended before the answer.
    NoAnswer,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::Complete => "complete",
            End::Cut => "cut",
            End::NoAnswer => "no_answer",
        }
    }
}

/// One request. Its line is written when this is dropped.
pub(crate) struct Entry {
    method: Method,
    path: String,
    request_id: Arc<str>,
    trace: Trace,
    client: Option<IpAddr>,
    token: Option<String>,
    started: Instant,
    status: Option<StatusCode>,
    bytes: u64,
    end: End,
}

impl Entry {
    /// `None` when the log is off.
    pub(crate) fn of<B>(
        request: &Request<B>,
        request_id: &Arc<str>,
        trace: Trace,
        client: Option<IpAddr>,
    ) -> Option<Self> {
        // Below the mount of a router the request has the rest of its path only.
        let whole = request.extensions().get::<OriginalUri>();
        let uri = whole.map_or(request.uri(), |whole| &whole.0);
        tracing::enabled!(target: TARGET, tracing::Level::INFO).then(|| Self {
            method: request.method().clone(),
            path: uri.path().to_owned(),
            request_id: request_id.clone(),
            trace,
            client,
            token: None,
            started: Instant::now(),
            status: None,
            bytes: 0,
            end: End::NoAnswer,
        })
    }

    /// The name of the token.
    pub(crate) fn token(&mut self, name: Option<&str>) {
        self.token = name.map(str::to_owned);
    }

    /// Follows the answer to its end.
    pub(crate) fn follow(mut self, response: Response) -> Response {
        self.status = Some(response.status());
        self.end = match response.body().is_end_stream() {
            true => End::Complete,
            false => End::Cut,
        };
        response.map(|inner| Body::new(Followed { inner, entry: self }))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let status = self.status.map_or(NO_ANSWER, |status| status.as_u16());
        // An answer with this status is made for a client that ended its upload early. Nothing reads it.
        let end = match status {
            NO_ANSWER => End::NoAnswer,
            _ => self.end,
        };
        tracing::info!(
            target: TARGET,
            method = %self.method,
            path = self.path,
            status,
            end = end.name(),
            bytes = self.bytes,
            // Whole microseconds, so that the number is as short as it is exact.
            ms = self.started.elapsed().as_micros() as f64 / 1000.0,
            client = self.client.map(tracing::field::display),
            request_id = &*self.request_id,
            trace_id = self.trace.id(),
            token = self.token,
        );
    }
}

/// The line of a request that could not be parsed, which hyper answers itself.
pub(crate) fn log_malformed(client: IpAddr, too_large: bool) {
    let status = if too_large { 431 } else { 400 };
    tracing::info!(target: TARGET, status, end = "malformed", client = %client);
}

struct Followed {
    inner: Body,
    entry: Entry,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.entry.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.inner.is_end_stream() {
                    self.entry.end = End::Complete;
                }
            }
            Poll::Ready(None) => self.entry.end = End::Complete,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
