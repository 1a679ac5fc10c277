//! The connections of a server: how each is served, which one makes room, and how they end.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_io_timeout::TimeoutWriter;

use super::Stopped;
use super::stalled::{Reader, Watched};
use crate::state::App;

/// How much of a connection is buffered, in each direction: also the most that all headers of a
/// request may take (431 beyond). Small, because every slow reader has one, and because a chunk that
/// waits here was pulled too early.
const BUFFER: usize = 64 << 10;
/// How much the kernel may hold of an answer that is not on its way yet. Left alone it takes more than
/// a megabyte for each slow reader; a thousand of them use up the memory of TCP, and every other
/// connection of the machine then waits for retransmissions.
const UNSENT: u32 = 128 << 10;
/// How long a connection between two requests is kept open after the server was told to stop. A
/// request that is on its way to us when we close would be lost; one that comes in this time is
/// answered, and told that the connection ends.
const PARTING: Duration = Duration::from_millis(500);

pub(super) struct Connections {
    app: App,
    service: TowerToHyperService<Router>,
    graceful: GracefulShutdown,
    running: JoinSet<()>,
    readers: HashMap<Id, (AbortHandle, Arc<Reader>)>,
}

type Stream = Pin<Box<TimeoutWriter<Watched>>>;

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

impl Connections {
    pub(super) fn new(app: App, router: Router) -> Self {
        Self {
            app,
            service: TowerToHyperService::new(router),
            graceful: GracefulShutdown::new(),
            running: JoinSet::new(),
            readers: HashMap::new(),
        }
    }

    /// Forgets those that have ended.
    pub(super) fn sweep(&mut self) {
        while let Some(ended) = self.running.try_join_next_with_id() {
            self.forget(&ended);
        }
    }

    /// Waits until one ends; for ever when there is none.
    pub(super) async fn next_end(&mut self) {
        match self.running.join_next_with_id().await {
            Some(ended) => self.forget(&ended),
            None => std::future::pending().await,
        }
    }

    fn forget(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.readers.remove(&id);
    }

    /// Whether there is room for one more, if need be in the place of a reader that stands still.
    pub(super) fn has_room(&mut self) -> bool {
        let settings = self.app.settings();
        if self.running.len() < settings.max_connections {
            return true;
        }
        let stalled = |(handle, reader): &(AbortHandle, Arc<Reader>)| {
            let time = reader.stalled_for()?;
            (time >= settings.stall_timeout && !handle.is_finished())
                .then(|| (time, handle.clone()))
        };
        let longest = self.readers.values().filter_map(stalled);
        if let Some((time, longest)) = longest.max_by_key(|(time, _)| *time) {
            tracing::info!(
                seconds = time.as_secs(),
                "a reader that took nothing makes room for another client"
            );
            longest.abort();
        }
        false
    }

    pub(super) fn serve(&mut self, stream: TcpStream) {
        // Small answers leave at once; without this they wait for the client's delayed ACK.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        if let Err(error) = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT) {
            tracing::debug!(%error, "no TCP_NOTSENT_LOWAT");
        }
        let settings = self.app.settings();
        let (stream, reader) = Watched::new(stream);
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(settings.send_timeout);
        let stream: Stream = Box::pin(stream);
        let (http, service) = (http(settings.header_timeout), self.service.clone());
        let handle = match &settings.tls {
            None => {
                let connection = http.serve_connection(TokioIo::new(stream), service);
                let connection = self.graceful.watch(connection);
                self.running.spawn(async move { ended(connection.await) })
            }
            Some(tls) => {
                let handshake = timeout(settings.header_timeout, tls.acceptor().accept(stream));
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
                })
            }
        };
        self.readers.insert(handle.id(), (handle, reader));
    }

    /// Ends all of them: each with its next answer, what is busy until the deadline.
    pub(super) async fn end(mut self, drain: Duration) -> Stopped {
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
