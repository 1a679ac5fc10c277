//! What is spoken on one connection, HTTP/1.1 or HTTP/2, and how each request on it is answered.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, HeaderValue};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch::Receiver;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutWriter;
use tower::Service as _;

use super::places::{Permit, Places};
use crate::connection::{Connection, NoPlace, Stream, Watched};
use crate::router::HEALTH;
use crate::settings::Settings;
use crate::state::App;
use crate::tls::Tls;
use crate::watch;

/// How much of a connection is buffered, in each direction: also the most that all headers of a
/// request may take (431 beyond). Small, because every slow reader has one, and because a chunk that
/// waits here was pulled too early.
const BUFFER: usize = 64 << 10;
/// How long a request on a connection without a place waits for one.
const WAIT: Duration = Duration::from_secs(10);
/// Requests at once on one connection of HTTP/2. Each takes a place, as a connection of HTTP/1.1 does.
const MOST_STREAMS: u32 = 100;
/// Requests that the client took back before they were accepted; more end the connection.
const MOST_TAKEN_BACK: usize = 20;
/// How much of the bodies of one connection of HTTP/2 may be on its way.
const WINDOW: u32 = 1 << 20;

/// One connection while it is served.
pub(super) struct Exchange {
    pub(super) app: App,
    pub(super) router: Router,
    pub(super) places: Arc<Places>,
    pub(super) connection: Arc<Connection>,
    /// The place of a connection of HTTP/1.1.
    pub(super) place: Arc<OnceLock<Permit>>,
    /// Becomes true when the server ends.
    pub(super) stop: Receiver<bool>,
}

impl Exchange {
    pub(super) async fn serve(mut self, mut stream: Watched, settings: Arc<Settings>) {
        let header_timeout = settings.header_timeout;
        let Some(tls) = &settings.tls else {
            let is_http2 = tokio::select! {
                is_http2 = timeout(header_timeout, stream.begins_http2()) => is_http2,
                _ = self.stop.wait_for(|stop| *stop) => return,
            };
            match is_http2 {
                Ok(Ok(is_http2)) => {
                    let stream = bounded(stream, &settings);
                    self.speak(stream, is_http2, header_timeout).await;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a connection ended"),
                Err(_) => tracing::debug!("a client sent nothing"),
            }
            return;
        };
        let stream = bounded(stream, &settings);
        match handshake(tls, stream, header_timeout).await {
            Ok(stream) => {
                let protocol = stream.get_ref().1.alpn_protocol();
                let is_http2 = protocol == Some(Tls::HTTP2);
                Box::pin(self.speak(stream, is_http2, header_timeout)).await;
            }
            Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
        }
    }

    async fn speak<S>(self, stream: S, is_http2: bool, header_timeout: Duration)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = TokioIo::new(stream);
        match is_http2 {
            // Boxed, because a connection of HTTP/1.1 would carry the room for it.
            true => Box::pin(self.speak_http2(stream, header_timeout)).await,
            false => self.speak_http1(stream, header_timeout).await,
        }
    }

    async fn speak_http1<S>(self, stream: S, header_timeout: Duration)
    where
        S: Read + Write + Send + Unpin + 'static,
    {
        let connection = self.connection.clone();
        let Self {
            app,
            router,
            places,
            place,
            stop,
            connection: of_requests,
        } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let shared = (app.clone(), router.clone(), places.clone());
            respond(request, shared, of_requests.clone(), place.clone())
        });
        let serving = http1(header_timeout).serve_connection(stream, service);
        until_stopped(serving, stop, connection, None).await;
    }

    async fn speak_http2<S>(self, stream: S, header_timeout: Duration)
    where
        S: Read + Write + Send + Unpin + 'static,
    {
        // Its requests take places of their own.
        drop(self.place);
        let connection = self.connection;
        connection.multiplex();
        let of_requests = connection.clone();
        let (app, router, places) = (self.app, self.router, self.places);
        let service = service_fn(move |request: Request<Incoming>| {
            let shared = (app.clone(), router.clone(), places.clone());
            respond_on_stream(request, shared, of_requests.clone())
        });
        let serving = http2(header_timeout).serve_connection(stream, service);
        let idle = Some(header_timeout);
        tokio::select! {
            () = until_stopped(serving, self.stop, connection.clone(), idle) => {}
            () = connection.flooded() => {
                let client = connection.peer;
                tracing::info!(%client, "a client takes back its requests; its connection ends");
            }
        }
    }
}

type Bounded = Pin<Box<TimeoutWriter<Watched>>>;

fn bounded(stream: Watched, settings: &Settings) -> Bounded {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(settings.send_timeout);
    Box::pin(stream)
}

async fn handshake(
    tls: &Tls,
    stream: Bounded,
    limit: Duration,
) -> io::Result<tokio_rustls::server::TlsStream<Bounded>> {
    let shaken = timeout(limit, tls.acceptor().accept(stream)).await;
    shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

fn http1(header_timeout: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        // A client may close its side once its request is complete, and read the answer.
        .half_close(true)
        .max_buf_size(BUFFER);
    http
}

fn http2(header_timeout: Duration) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_pending_accept_reset_streams(MOST_TAKEN_BACK)
        .max_local_error_reset_streams(MOST_TAKEN_BACK)
        // Headers, also in CONTINUATION frames without an end.
        .max_header_list_size(BUFFER as u32)
        .max_send_buf_size(BUFFER)
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW / 4)
        // A client that has gone without a word.
        .keep_alive_interval(header_timeout)
        .keep_alive_timeout(header_timeout);
    http
}

/// Runs a connection until it ends: by itself, or with its next answers when the server stops or, of
/// HTTP/2, when it had no request for `idle`.
async fn until_stopped<C>(
    serving: C,
    mut stop: Receiver<bool>,
    connection: Arc<Connection>,
    idle: Option<Duration>,
) where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut serving = pin!(serving);
    let quiet = async {
        match idle {
            Some(idle) => connection.quiet(idle).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        outcome = serving.as_mut() => return ended(outcome, &connection),
        _ = stop.wait_for(|stop| *stop) => {}
        () = quiet => {}
    }
    serving.as_mut().graceful_shutdown();
    ended(serving.await, &connection);
}

fn ended(outcome: hyper::Result<()>, connection: &Connection) {
    let Err(error) = outcome else { return };
    if error.is_parse() {
        watch::log_malformed(connection.peer, error.is_parse_too_large());
    }
    tracing::debug!(%error, "a connection ended");
}

/// The answer to one request of a connection of HTTP/1.1, which must have a place for anything but
/// `/healthz`.
async fn respond(
    mut request: Request<Incoming>,
    (app, mut router, places): (App, Router, Arc<Places>),
    connection: Arc<Connection>,
    place: Arc<OnceLock<Permit>>,
) -> Result<Response, Infallible> {
    if place.get().is_none() && request.uri().path() != HEALTH {
        match timeout(WAIT, places.take(|| app.settings().max_connections)).await {
            Ok(free) => drop(place.set(free)),
            Err(_) => drop(request.extensions_mut().insert(NoPlace)),
        }
    }
    request.extensions_mut().insert(connection);
    let mut response = router.call(request.map(Body::new)).await?;
    if place.get().is_none() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    Ok(response)
}

/// The answer to one request of a connection of HTTP/2. It has a place until the answer is whole.
async fn respond_on_stream(
    mut request: Request<Incoming>,
    (app, mut router, places): (App, Router, Arc<Places>),
    connection: Arc<Connection>,
) -> Result<Response, Infallible> {
    let mut stream = Stream::begin(&connection);
    let mut place = None;
    if request.uri().path() != HEALTH {
        match timeout(WAIT, places.take(|| app.settings().max_connections)).await {
            Ok(free) => place = Some(free),
            Err(_) => drop(request.extensions_mut().insert(NoPlace)),
        }
    }
    request.extensions_mut().insert(stream.connection().clone());
    let mut response = router.call(request.map(Body::new)).await?;
    stream.answered();
    // HTTP/2 has no such header, and the same end.
    if response.headers_mut().remove(CONNECTION).is_some() {
        connection.part();
    }
    Ok(response.map(|inner| {
        Body::new(OnStream {
            inner,
            stream,
            _place: place,
        })
    }))
}

/// The body of an answer on a stream, whose reader is slow when it does not ask for more.
struct OnStream {
    inner: Body,
    stream: Stream,
    _place: Option<Permit>,
}

impl http_body::Body for OnStream {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.stream.connection().wrote(true);
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        // What was handed out waits for the reader, who then asks for more.
        if polled.is_ready() {
            self.stream.connection().wrote(false);
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
