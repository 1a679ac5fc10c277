//! A server that answers as its script says, and counts.

use super::client;
use super::reply::{How, Reply};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Path and query, as sent.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; empty when it was not read.
    pub body: Bytes,
}

impl Seen {
    /// A header, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

type Script = Box<dyn FnMut(&Seen) -> Reply + Send>;

/// Listens on a free port of 127.0.0.1 until it is dropped.
pub struct Endpoint {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    script: Mutex<Script>,
    seen: Mutex<Vec<Seen>>,
    open: AtomicUsize,
    sent: AtomicU64,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoint {
    /// Answers each request as `script` says, which may count and remember. It is asked once the
    /// head of a request is there, in the order of arrival; the body of [`Seen`] is empty then.
    ///
    /// # Panics
    ///
    /// When no port is free, and outside a tokio runtime.
    pub async fn start(script: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.unwrap_or_else(|why| panic!("no port: {why}"));
        let address = listener.local_addr();
        let address = address.unwrap_or_else(|why| panic!("no address: {why}"));
        let state = Arc::new(State {
            script: Mutex::new(Box::new(script)),
            seen: Mutex::default(),
            open: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            accepting,
        }
    }

    /// Gives every request the same answer.
    pub async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    /// Goes on with another script.
    pub fn then(&self, script: impl FnMut(&Seen) -> Reply + Send + 'static) {
        *lock(&self.state.script) = Box::new(script);
    }

    /// Goes on with the same answer to every request.
    pub fn then_always(&self, reply: Reply) {
        self.then(move |_| reply.clone());
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far, in the order of their heads.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// Forgets the requests so far and returns them.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.state.seen))
    }

    /// Connections that are open.
    pub fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// Bytes of bodies that went to the network so far: what the other side, the kernels of both
    /// and this server's own buffer (some 400 KiB) have taken.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::SeqCst)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        // Its connections end with it: they are tasks of the accepting task's set.
        self.accepting.abort();
    }
}

/// An address of this machine without a listener.
///
/// # Panics
///
/// When no port is free.
pub fn refused_url() -> String {
    // Bound and not listening: connections are refused, and no other process gets the port.
    static BOUND: OnceLock<(TcpSocket, SocketAddr)> = OnceLock::new();
    let bind = || {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = socket.local_addr()?;
        io::Result::Ok((socket, address))
    };
    let (_, address) = BOUND.get_or_init(|| bind().unwrap_or_else(|why| panic!("no port: {why}")));
    format!("http://{address}")
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

/// Counts a connection while it is there.
struct Open(Arc<State>);

impl Open {
    fn new(state: Arc<State>) -> Self {
        state.open.fetch_add(1, Ordering::SeqCst);
        Self(state)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let open = Open::new(state);
    let service = service_fn(|request| answer(request, Arc::clone(&open.0)));
    // A connection that ends early is what scripts ask for, or what the other side did.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type AnyBody = UnsyncBoxBody<Bytes, io::Error>;

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "as the script says")
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> io::Result<Response<AnyBody>> {
    let (head, body) = request.into_parts();
    let mut seen = Seen {
        method: head.method.clone(),
        target: head
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .to_owned(),
        headers: head.headers.clone(),
        body: Bytes::new(),
    };
    let reply = (*lock(&state.script))(&seen);
    let place = {
        let mut all = lock(&state.seen);
        all.push(seen.clone());
        all.len() - 1
    };
    if matches!(reply.how, How::Unread) {
        return std::future::pending().await;
    }
    seen.body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if let Some(own) = lock(&state.seen).get_mut(place) {
        own.body = seen.body.clone();
    }
    let reply = match reply.how {
        How::Later(decide) => (decide.0)(&seen),
        _ => reply,
    };
    match reply.how {
        How::Lost => Err(gone()),
        How::Never | How::Unread => std::future::pending().await,
        How::Forward { to, lost } => {
            let request = Request::from_parts(head, seen.body);
            let answer = client::send_to(to, request)
                .await
                .map_err(io::Error::other)?;
            match lost {
                true => Err(gone()),
                false => Ok(answer.map(|body| {
                    Full::new(body)
                        .map_err(|never| match never {})
                        .boxed_unsync()
                })),
            }
        }
        _ => Ok(respond(reply, head.method == Method::HEAD, state)),
    }
}

fn respond(reply: Reply, bodiless: bool, state: Arc<State>) -> Response<AnyBody> {
    let announced = reply.announced();
    let mut headers = reply.headers;
    if let Some(length) = announced {
        headers.insert(CONTENT_LENGTH, length);
    }
    if let How::Endless { head, pause } = reply.how {
        let body = match bodiless {
            true => StreamBody::new(stream::empty()).boxed_unsync(),
            false => endless(head, reply.body, pause, state),
        };
        let mut response = Response::new(body);
        *response.status_mut() = reply.status;
        *response.headers_mut() = headers;
        return response;
    }
    let whole = if bodiless { Bytes::new() } else { reply.body };
    let (shown, piece, pause) = match reply.how {
        How::Pieces { size, pause } => (whole.len(), size.max(1), pause),
        How::Cut { after } | How::Stall { after } => {
            (after.min(whole.len()), 64 << 10, Duration::ZERO)
        }
        _ => (whole.len(), 64 << 10, Duration::ZERO),
    };
    let starts = (0..shown).step_by(piece);
    let pieces: Vec<Bytes> = starts
        .map(|at| whole.slice(at..shown.min(at + piece)))
        .collect();
    let sending = stream::iter(pieces).then(move |piece| {
        let state = Arc::clone(&state);
        async move {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            state.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
            Ok(Frame::data(piece))
        }
    });
    let body = match reply.how {
        // hyper gives a body that fails no second chance: the connection ends.
        How::Cut { .. } => StreamBody::new(sending.chain(stream::once(async {
            // What was sent is on its way before the end is.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Err(gone())
        })))
        .boxed_unsync(),
        How::Stall { .. } => StreamBody::new(sending.chain(stream::pending())).boxed_unsync(),
        _ => StreamBody::new(sending).boxed_unsync(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = headers;
    response
}

fn endless(head: Bytes, again: Bytes, pause: Duration, state: Arc<State>) -> AnyBody {
    let pieces = stream::once(async { head }).chain(stream::repeat(again));
    StreamBody::new(pieces.then(move |piece| {
        let state = Arc::clone(&state);
        async move {
            tokio::time::sleep(pause).await;
            state.sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
            Ok(Frame::data(piece))
        }
    }))
    .boxed_unsync()
}
