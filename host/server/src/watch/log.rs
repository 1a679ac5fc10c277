//! The access log: one line for each request, written when the last byte of its answer has gone.
//!
//! Target `holdall::access`, level info. The path is there and the query is not: it may be a
//! signature.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::{Body as _, Frame, SizeHint};

use crate::trace::Trace;

const TARGET: &str = "holdall::access";

/// A request that is going on.
pub(crate) struct Entry {
    method: Method,
    path: String,
    request_id: std::sync::Arc<str>,
    trace: Trace,
    token: Option<String>,
    started: Instant,
}

impl Entry {
    /// `None` when nobody reads the log.
    pub(crate) fn of<B>(
        request: &http::Request<B>,
        request_id: &std::sync::Arc<str>,
        trace: Trace,
    ) -> Option<Self> {
        tracing::enabled!(target: TARGET, tracing::Level::INFO).then(|| Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            request_id: request_id.clone(),
            trace,
            token: None,
            started: Instant::now(),
        })
    }

    /// Who asks.
    pub(crate) fn token(&mut self, name: Option<&str>) {
        self.token = name.map(str::to_owned);
    }

    /// Writes the line when this answer has gone, or its client.
    pub(crate) fn follow(self, response: Response) -> Response {
        let status = response.status();
        response.map(|inner| {
            Body::new(Followed {
                whole: inner.is_end_stream(),
                inner,
                entry: self,
                status,
                bytes: 0,
            })
        })
    }

    fn write(&self, status: StatusCode, bytes: u64, whole: bool, took: Duration) {
        tracing::info!(
            target: TARGET,
            method = %self.method,
            path = self.path,
            status = status.as_u16(),
            bytes,
            whole,
            // Whole microseconds, so that the number is as short as it is exact.
            ms = took.as_micros() as f64 / 1000.0,
            request_id = &*self.request_id,
            trace_id = self.trace.id(),
            token = self.token,
        );
    }
}

struct Followed {
    inner: Body,
    entry: Entry,
    status: StatusCode,
    bytes: u64,
    whole: bool,
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
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.whole = self.inner.is_end_stream();
            }
            Poll::Ready(None) => self.whole = true,
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

impl Drop for Followed {
    fn drop(&mut self) {
        let took = self.entry.started.elapsed();
        self.entry.write(self.status, self.bytes, self.whole, took);
    }
}
