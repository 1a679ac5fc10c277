//! HTTP with time limits that end in a typed error, over connections that their server may have closed.

use holdall_plugin_api::{Error, ErrorKind, Result};
use holdall_plugin_api_opendal::TimedOut;
use http::{Request, Response, header};
use opendal::raw::Operation;
use opendal::{Buffer, HttpBody, HttpTransport, HttpTransporter};
use opendal_http_transport_reqwest::ReqwestTransport;
use reqwest::redirect::Policy;
use std::time::Duration;
use tokio_stream::StreamExt;

/// Times that a request is repeated, at most: when its connection was lost without an answer.
pub(crate) const RETRIES: u32 = 1;

/// How long a connection waits for its next request. A server closes one that waits too long, perhaps
/// while a request is on its way, and that one is lost: servers on Node wait 5 s (Azurite), Apache too.
const POOL_IDLE: Duration = Duration::from_secs(4);

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimits {
    pub(crate) connect: Duration,
    /// Between two signs of life.
    pub(crate) idle: Duration,
}

/// Redirects in a row that are followed, at most.
const REDIRECTS: usize = 5;

/// `read_elsewhere`: the object may be at another address, to which the service redirects. Nothing else is
/// followed: a redirected write would become a `GET`, and a signature is of one address.
pub(crate) fn transporter(limits: TimeLimits, read_elsewhere: bool) -> Result<HttpTransporter> {
    // Fails when there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = |redirects| {
        let client = reqwest::Client::builder()
            .user_agent(concat!("holdall/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(limits.connect)
            .pool_idle_timeout(POOL_IDLE)
            .redirect(redirects)
            // The address of a request may hold a secret: HDFS has its token there.
            .referer(false);
        client.build().map(ReqwestTransport::new).map_err(|cause| {
            Error::new(ErrorKind::Other)
                .with_message("no HTTP client can be made")
                .because(cause)
        })
    };
    Ok(HttpTransporter::new(Client {
        plain: client(Policy::none())?,
        following: read_elsewhere
            .then(|| client(never_to_clear_text()))
            .transpose()?,
        idle: limits.idle,
    }))
}

/// `reqwest` takes credentials off a request to another server.
fn never_to_clear_text() -> Policy {
    Policy::custom(|attempt| {
        let from = attempt.previous().last().map(reqwest::Url::scheme);
        if from == Some("https") && attempt.url().scheme() != "https" {
            attempt.stop()
        } else if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

struct Client {
    plain: ReqwestTransport,
    /// For reading, where redirects are followed.
    following: Option<ReqwestTransport>,
    idle: Duration,
}

impl HttpTransport for Client {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let again = repeatable(&request).then(|| request.clone());
        match (self.once(request).await, again) {
            (Err(error), Some(again)) if is_lost(&error) => self.once(again).await,
            (answer, _) => answer,
        }
    }
}

impl Client {
    async fn once(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let reads = request.extensions().get() == Some(&Operation::Read);
        let following = self.following.as_ref().filter(|_| reads);
        let transport = following.unwrap_or(&self.plain);
        let answer = tokio::time::timeout(self.idle, transport.fetch(request));
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

/// Whether a request does the same when it comes twice (RFC 9110, 9.2.2). A `PUT` does too, but for
/// its conditions, and those have another name with each service.
fn repeatable(request: &Request<Buffer>) -> bool {
    match request.method().as_str() {
        "GET" | "HEAD" | "PROPFIND" => true,
        "DELETE" => !request.headers().contains_key(header::IF_MATCH),
        _ => false,
    }
}

/// Whether the connection ended without an answer, as one does that the server has closed meanwhile.
fn is_lost(error: &opendal::Error) -> bool {
    use std::io::ErrorKind as Io;
    causes(error).any(|cause| {
        let by_hyper = cause.downcast_ref::<hyper::Error>();
        let by_system = cause.downcast_ref::<std::io::Error>();
        by_hyper.is_some_and(hyper::Error::is_incomplete_message)
            || by_system.is_some_and(|error| {
                matches!(
                    error.kind(),
                    Io::ConnectionReset | Io::ConnectionAborted | Io::BrokenPipe
                )
            })
    })
}

fn causes(error: &opendal::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(std::error::Error::source(error), |cause| cause.source())
}

fn timed_out(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> opendal::Error {
    opendal::Error::new(opendal::ErrorKind::Unexpected, "a time limit has passed")
        .set_temporary()
        .set_source(TimedOut(cause.into()))
}

/// Says by type that a time limit has passed: the adapter searches no texts.
fn typed(error: opendal::Error) -> opendal::Error {
    let late = causes(&error).any(|cause| {
        let cause = cause.downcast_ref::<reqwest::Error>();
        cause.is_some_and(reqwest::Error::is_timeout)
    });
    if late { timed_out(error) } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_conformance::wire::{self, Endpoint, Reply};

    const PATIENT: TimeLimits = TimeLimits {
        connect: Duration::from_secs(60),
        idle: Duration::from_secs(60),
    };

    #[tokio::test]
    async fn a_lost_connection_costs_only_those_that_must_not_come_twice() {
        for (method, condition, times) in [
            ("GET", None, 2),
            ("HEAD", None, 2),
            ("DELETE", None, 2),
            ("DELETE", Some("\"etag\""), 1),
            ("PUT", None, 1),
            ("POST", None, 1),
        ] {
            let endpoint = Endpoint::always(Reply::new(200)).await;
            let mut first = true;
            endpoint.then(move |_| match std::mem::take(&mut first) {
                true => Reply::lost(),
                false => Reply::new(200),
            });
            let mut request = Request::builder().method(method).uri(endpoint.url());
            if let Some(etag) = condition {
                request = request.header(header::IF_MATCH, etag);
            }
            let client = transporter(PATIENT, false).unwrap();
            let answer = client.fetch(request.body(Buffer::new()).unwrap()).await;
            assert_eq!(answer.is_ok(), times == 2, "{method}");
            assert_eq!(endpoint.take_seen().len(), times, "{method}");
        }
    }

    #[tokio::test]
    async fn what_is_lost_twice_is_lost() {
        let endpoint = Endpoint::always(Reply::lost()).await;
        let request = Request::get(endpoint.url()).body(Buffer::new()).unwrap();
        let answer = transporter(PATIENT, false).unwrap().fetch(request).await;
        assert!(answer.is_err());
        assert_eq!(endpoint.take_seen().len(), 1 + RETRIES as usize);
    }

    /// One server that redirects, and one that is somewhere else.
    async fn redirected(
        method: &str,
        operation: Operation,
        follows: bool,
    ) -> (u16, Vec<wire::Seen>) {
        let elsewhere = Endpoint::always(Reply::new(200)).await;
        let target = format!("{}/there?signature=1", elsewhere.url());
        let endpoint = Endpoint::always(Reply::new(302).header("location", &target)).await;
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/here?delegation=hunter2", endpoint.url()))
            .header(header::AUTHORIZATION, "Bearer hunter2")
            .extension(operation)
            .body(Buffer::new());
        let client = transporter(PATIENT, follows).unwrap();
        let answer = client.fetch(request.unwrap()).await.unwrap();
        (answer.status().as_u16(), elsewhere.take_seen())
    }

    #[tokio::test]
    async fn a_redirect_is_followed_by_readers_of_some_services_and_takes_no_secret_along() {
        for (method, operation, follows) in [
            ("GET", Operation::Read, false),
            ("PUT", Operation::Write, false),
            ("GET", Operation::List, true),
            ("PUT", Operation::Write, true),
            ("DELETE", Operation::Delete, true),
        ] {
            let (status, elsewhere) = redirected(method, operation, follows).await;
            assert_eq!((status, elsewhere.len()), (302, 0), "{method}");
        }
        let (status, elsewhere) = redirected("GET", Operation::Read, true).await;
        assert_eq!((status, elsewhere.len()), (200, 1));
        let seen = format!("{elsewhere:?}");
        assert!(seen.contains("/there?signature=1"), "{seen}");
        assert!(!seen.contains("hunter2"), "{seen}");
    }
}
