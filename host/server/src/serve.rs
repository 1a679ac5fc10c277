//! A server of its own: connections, and how they end.

use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::Router;
use holdall::Host;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_io_timeout::TimeoutWriter;

use crate::router;
use crate::settings::Settings;
use crate::state::App;

/// How much of a connection is buffered, in each direction: also the most that all headers of a
/// request may take (431 beyond). Small, because every slow reader has one, and because a chunk that
/// waits here was pulled too early.
const BUFFER: usize = 64 << 10;
/// After a failed accept, which is usually a lack of descriptors.
const BREATH: Duration = Duration::from_millis(50);
/// How long a connection between two requests is kept open after the server was told to stop. A
/// request that is on its way to us when we close would be lost; one that comes in this time is
/// answered, and told that the connection ends.
const PARTING: Duration = Duration::from_millis(500);

/// HTTP over the backends of a host.
pub struct Server {
    app: App,
    router: Router,
}

/// Changes a server that runs.
#[derive(Clone)]
pub struct Control(App);

impl Control {
    /// Puts these settings in force. Requests that run keep what they began with; the address, and
    /// [`Settings::transfer_memory`], are those of the start.
    pub fn apply(&self, settings: Settings) {
        self.0.set_settings(settings);
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Connections that were still busy at the deadline, and were cut off.
    pub cut_off: usize,
}

impl Server {
    /// A server that behaves so.
    pub fn new(host: Host, settings: Settings) -> Self {
        let app = App::new(host, settings);
        Self {
            router: router::whole(&app),
            app,
        }
    }

    /// For changes while it runs.
    pub fn control(&self) -> Control {
        Control(self.app.clone())
    }

    /// Its routes, for somebody else's connections. Every path is answered.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves until `stop` is ready, then ends without losing a request that has begun: nothing new
    /// is accepted, each connection ends with its next answer, and what is busy has the time of
    /// [`Settings::drain`].
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Stopped {
        let mut stop = pin!(stop);
        let mut connections = Connections {
            app: self.app.clone(),
            service: TowerToHyperService::new(self.router),
            graceful: GracefulShutdown::new(),
            running: JoinSet::new(),
        };
        loop {
            while connections.running.try_join_next().is_some() {}
            let full = connections.running.len() >= self.app.settings().max_connections;
            tokio::select! {
                biased;
                () = &mut stop => break,
                _ = connections.running.join_next(), if full => {}
                accepted = listener.accept(), if !full => match accepted {
                    Ok((stream, _)) => connections.serve(stream),
                    Err(error) => refused(&error).await,
                },
            }
        }
        // What the kernel has accepted for us would be reset: their requests may have begun.
        while let Ok(Ok((stream, _))) = timeout(Duration::ZERO, listener.accept()).await {
            connections.serve(stream);
        }
        drop(listener);
        self.app.stop();
        connections.end(self.app.settings().drain).await
    }
}

/// A failure of one connection is its own affair; any other is waited out, lest the loop spins.
async fn refused(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        tracing::warn!(%error, "a connection cannot be accepted");
        sleep(BREATH).await;
    }
}

fn http(header_timeout: Duration) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(BUFFER);
    http
}

fn ended(outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "a connection ended");
    }
}

struct Connections {
    app: App,
    service: TowerToHyperService<Router>,
    graceful: GracefulShutdown,
    running: JoinSet<()>,
}

impl Connections {
    fn serve(&mut self, stream: TcpStream) {
        // Small answers leave at once; without this they wait for the client's delayed ACK.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let settings = self.app.settings();
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(settings.stall_timeout));
        let Some(tls) = &settings.tls else {
            return self.talk(Box::pin(stream));
        };
        let handshake = timeout(
            settings.header_timeout,
            tls.acceptor().accept(Box::pin(stream)),
        );
        let (http, service) = (http(settings.header_timeout), self.service.clone());
        let watcher = self.graceful.watcher();
        self.running.spawn(async move {
            match handshake.await {
                Ok(Ok(stream)) => {
                    let connection = http.serve_connection(TokioIo::new(stream), service);
                    ended(watcher.watch(connection).await);
                }
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        });
    }

    fn talk(&mut self, stream: Pin<Box<TimeoutWriter<TcpStream>>>) {
        let http = http(self.app.settings().header_timeout);
        let connection = http.serve_connection(TokioIo::new(stream), self.service.clone());
        let connection = self.graceful.watch(connection);
        self.running.spawn(async move { ended(connection.await) });
    }

    async fn end(mut self, drain: Duration) -> Stopped {
        let deadline = Instant::now() + drain;
        let mut all_gone = async |until: Instant| {
            let gone = async { while self.running.join_next().await.is_some() {} };
            timeout_at(until, gone).await.is_ok()
        };
        let parting = (Instant::now() + PARTING).min(deadline);
        if !all_gone(parting).await {
            let graceful = std::mem::take(&mut self.graceful);
            tokio::spawn(graceful.shutdown());
            all_gone(deadline).await;
        }
        let cut_off = self.running.len();
        if cut_off > 0 {
            tracing::warn!(cut_off, "connections were still busy at the deadline");
        }
        self.running.shutdown().await;
        Stopped { cut_off }
    }
}
