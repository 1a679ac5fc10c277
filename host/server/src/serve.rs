//! A server of its own: connections, and how they end.

mod connections;
mod exchange;
mod places;
#[cfg_attr(unix, path = "serve/socket/unix.rs")]
#[cfg_attr(windows, path = "serve/socket/windows.rs")]
mod socket;

use std::fmt;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use holdall::Host;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use self::connections::Connections;
use crate::router;
use crate::settings::Settings;
use crate::state::App;

/// After a failed accept, which is usually a lack of descriptors.
const BREATH: Duration = Duration::from_millis(50);
/// How often a client that stands still is looked for while a request waits for a place.
const LOOK: Duration = Duration::from_millis(500);

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
    ///
    /// # Errors
    ///
    /// As [`Control::check`]; nothing is changed then.
    pub fn apply(&self, settings: Settings) -> Result<(), LessProtected> {
        self.check(&settings)?;
        let listen = self.0.settings().listen;
        if settings.listen != listen {
            tracing::warn!(%listen, "a new address takes effect at the next start");
        }
        self.0.set_settings(settings);
        Ok(())
    }

    /// Whether [`Control::apply`] would take these settings.
    ///
    /// # Errors
    ///
    /// They have no TLS, or no token, where those in force have: a file that was cut off must not open
    /// a server that runs. A restart takes them.
    pub fn check(&self, settings: &Settings) -> Result<(), LessProtected> {
        let now = self.0.settings();
        if now.tls.is_some() && settings.tls.is_none() {
            return Err(LessProtected { missing: "tls" });
        }
        if !now.tokens.is_empty() && settings.tokens.is_empty() {
            return Err(LessProtected { missing: "tokens" });
        }
        Ok(())
    }

    /// Records the outcome of a reload of the configuration, for `/metrics` and `/v1/status`. `error`: why it
    /// failed, without secrets.
    pub fn reloaded(&self, outcome: Result<(), &str>) {
        self.0.requests().reloaded(outcome);
    }
}

/// Settings that would lower the protection of a server that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LessProtected {
    /// What the new settings lack: `tls` or `tokens`.
    pub missing: &'static str,
}

impl fmt::Display for LessProtected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.missing;
        write!(
            f,
            "the new configuration has no server.{missing}, the one in force has; restart to remove it"
        )
    }
}

impl std::error::Error for LessProtected {}

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

    /// Its routes, for the connections of another server. Every path is answered.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// Serves until `stop` is ready, then ends without losing a request that has begun: for
    /// [`Settings::shutdown_delay`] the server is not ready and still accepts; then nothing new is
    /// accepted, each connection ends with its next answer, and what is busy has the time of
    /// [`Settings::drain`].
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) -> Stopped {
        let app = &self.app;
        let mut stop = pin!(async move {
            stop.await;
            app.leave();
            sleep(app.settings().shutdown_delay).await;
        });
        let mut connections = Connections::new(self.app.clone(), self.router);
        let mut quotas = pin!(app.host().keep_quotas());
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            connections.sweep();
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = &mut quotas => unreachable!("it never ends"),
                _ = look.tick() => if connections.places_are_awaited() {
                    connections.make_room();
                },
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => connections.serve(stream, peer),
                    Err(error) => refused(&error).await,
                },
            }
        }
        // What the kernel has accepted for us would be reset: their requests may have begun.
        while let Ok(Ok((stream, peer))) = timeout(Duration::ZERO, listener.accept()).await {
            connections.serve(stream, peer);
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
