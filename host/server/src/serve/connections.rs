//! The connections of a server: how each is served, which one makes room, and how they end.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::Stopped;
use super::exchange::Exchange;
use super::places::{Permit, Places};
use super::socket;
use crate::connection::{Connection, LeastRate, Watched};
use crate::state::App;

/// How much the kernel may hold of an answer that is not on its way yet. Left alone it takes more than
/// a megabyte for each slow reader; a thousand of them use up the memory of TCP, and every other
/// connection of the machine then waits for retransmissions.
const UNSENT: u32 = 128 << 10;
/// How long a connection between two requests is kept open after the server was told to stop. A
/// request that is on its way to us when we close would be lost; one that comes in this time is
/// answered, and its answer ends the connection.
const PARTING: Duration = Duration::from_millis(500);
/// Connections beyond `max_connections`; one more ends the oldest of them.
const EXTRA: usize = 256;

pub(super) struct Connections {
    app: App,
    router: Router,
    stop: watch::Sender<bool>,
    running: JoinSet<()>,
    open: HashMap<Id, Open>,
    places: Arc<Places>,
}

struct Open {
    handle: AbortHandle,
    connection: Arc<Connection>,
    /// Not kept from here: the place is free as soon as the connection has ended.
    place: Weak<OnceLock<Permit>>,
}

impl Open {
    fn has_no_place(&self) -> bool {
        match self.place.upgrade() {
            Some(place) => place.get().is_none(),
            None => self.connection.is_idle(),
        }
    }
}

impl Connections {
    pub(super) fn new(app: App, router: Router) -> Self {
        Self {
            app,
            router,
            stop: watch::Sender::new(false),
            running: JoinSet::new(),
            open: HashMap::new(),
            places: Arc::default(),
        }
    }

    /// Forgets those that have ended.
    pub(super) fn sweep(&mut self) {
        while let Some(ended) = self.running.try_join_next_with_id() {
            self.forget(&ended);
        }
    }

    fn forget(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.open.remove(&id);
    }

    /// Whether a request waits for a place.
    pub(super) fn places_are_awaited(&self) -> bool {
        self.places.are_awaited()
    }

    /// Ends the client that is most overdue.
    pub(super) fn make_room(&mut self) {
        let stall_timeout = self.app.settings().stall_timeout;
        let overdue = |open: &Open| {
            let time = open.connection.overdue(stall_timeout)?;
            (!open.handle.is_finished()).then(|| (time, open.handle.clone()))
        };
        let overdue = self.open.values().filter_map(overdue);
        if let Some((time, handle)) = overdue.max_by_key(|(time, _)| *time) {
            tracing::info!(
                overdue_ms = time.as_millis() as u64,
                "a client that stands still makes room for another"
            );
            handle.abort();
        }
    }

    /// Ends the oldest connection without a place when there are too many of them.
    fn bound_extra(&mut self) {
        let most = self.app.settings().max_connections.saturating_add(EXTRA);
        if self.open.len() < most {
            return;
        }
        let extra = self
            .open
            .values()
            .filter(|open| open.has_no_place() && !open.handle.is_finished());
        if let Some(oldest) = extra.min_by_key(|open| open.connection.accepted()) {
            oldest.handle.abort();
        }
    }

    pub(super) fn serve(&mut self, stream: TcpStream, peer: SocketAddr) {
        // Small answers leave at once; without this they wait for the client's delayed ACK.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        if let Err(error) = socket::limit_unsent(&stream, UNSENT) {
            tracing::debug!(%error, "no TCP_NOTSENT_LOWAT");
        }
        self.bound_extra();
        let settings = self.app.settings();
        let peer = peer.ip().to_canonical();
        let least_rate = LeastRate {
            bytes_per_second: settings.min_body_rate,
            window: settings.body_rate_window,
        };
        let connection = Arc::new(Connection::new(peer, least_rate));
        let place = Arc::new(OnceLock::new());
        let of_open = Arc::downgrade(&place);
        if let Some(free) = self.places.try_take(settings.max_connections) {
            let _ = place.set(free);
        }
        let exchange = Exchange {
            app: self.app.clone(),
            router: self.router.clone(),
            places: self.places.clone(),
            connection: connection.clone(),
            place,
            stop: self.stop.subscribe(),
        };
        let stream = Watched::new(stream, connection.clone());
        let handle = self.running.spawn(exchange.serve(stream, settings));
        let open = Open {
            handle,
            connection,
            place: of_open,
        };
        self.open.insert(open.handle.id(), open);
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
            self.stop.send_replace(true);
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
