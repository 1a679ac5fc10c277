//! HTTP with time limits that end in a typed error.

use holdall_plugin_api::{Error, ErrorKind, Result};
use holdall_plugin_api_opendal::TimedOut;
use opendal::{Buffer, HttpBody, HttpTransport, HttpTransporter};
use opendal_http_transport_reqwest::ReqwestTransport;
use std::time::Duration;

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
        .read_timeout(limits.idle)
        .build()
        .map_err(|cause| {
            Error::new(ErrorKind::Other)
                .message("no HTTP client can be made")
                .because(cause)
        })?;
    Ok(HttpTransporter::new(Client(ReqwestTransport::new(client))))
}

struct Client(ReqwestTransport);

impl HttpTransport for Client {
    async fn fetch(
        &self,
        request: http::Request<Buffer>,
    ) -> opendal::Result<http::Response<HttpBody>> {
        let response = self.0.fetch(request).await.map_err(typed)?;
        Ok(response.map(|body| {
            body.map_inner(|chunks| {
                use futures_util::TryStreamExt;
                Box::new(chunks.map_err(typed))
            })
        }))
    }
}

/// Says by type that a time limit has passed: the adapter searches no texts.
fn typed(error: opendal::Error) -> opendal::Error {
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        if cause
            .downcast_ref::<reqwest::Error>()
            .is_some_and(reqwest::Error::is_timeout)
        {
            return opendal::Error::new(opendal::ErrorKind::Unexpected, "a time limit has passed")
                .set_temporary()
                .set_source(TimedOut(Box::new(error)));
        }
        next = cause.source();
    }
    error
}
