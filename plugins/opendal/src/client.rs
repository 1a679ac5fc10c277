//! HTTP with time limits that end in a typed error.

use holdall_plugin_api::{Error, ErrorKind, Result};
use holdall_plugin_api_opendal::TimedOut;
use opendal::{Buffer, HttpBody, HttpTransport, HttpTransporter};
use opendal_http_transport_reqwest::ReqwestTransport;
use std::time::Duration;
use tokio_stream::StreamExt;

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimits {
    pub(crate) connect: Duration,
    /// Between two signs of life.
    pub(crate) idle: Duration,
}

pub(crate) fn transporter(limits: TimeLimits) -> Result<HttpTransporter> {
    // Fails when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .user_agent(concat!("holdall/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect)
        .build()
        .map_err(|cause| {
            Error::new(ErrorKind::Other)
                .message("no HTTP client can be made")
                .because(cause)
        })?;
    Ok(HttpTransporter::new(Client {
        inner: ReqwestTransport::new(client),
        idle: limits.idle,
    }))
}

struct Client {
    inner: ReqwestTransport,
    idle: Duration,
}

impl HttpTransport for Client {
    async fn fetch(
        &self,
        request: http::Request<Buffer>,
    ) -> opendal::Result<http::Response<HttpBody>> {
        let answer = tokio::time::timeout(self.idle, self.inner.fetch(request));
        let response = answer.await.unwrap_or_else(|late| Err(timed_out(late)));
        let idle = self.idle;
        Ok(response.map_err(typed)?.map(|body| {
            body.map_inner(|chunks| {
                // Looks for a chunk before the clock: a reader that takes its time is not late.
                let chunks = chunks.timeout(idle).map(|chunk| match chunk {
                    Ok(chunk) => chunk.map_err(typed),
                    Err(late) => Err(timed_out(late)),
                });
                Box::new(Box::pin(chunks))
            })
        }))
    }
}

fn timed_out(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> opendal::Error {
    opendal::Error::new(opendal::ErrorKind::Unexpected, "a time limit has passed")
        .set_temporary()
        .set_source(TimedOut(cause.into()))
}

/// Says by type that a time limit has passed: the adapter searches no texts.
fn typed(error: opendal::Error) -> opendal::Error {
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        if cause
            .downcast_ref::<reqwest::Error>()
            .is_some_and(reqwest::Error::is_timeout)
        {
            return timed_out(error);
        }
        next = cause.source();
    }
    error
}
