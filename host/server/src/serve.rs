//! A server of its own: connections, and how they end.

mod connections;
mod stalled;

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use holdall::Host;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use self::connections::Connections;
use crate::router;
use crate::settings::Settings;
use crate::state::App;

/// After a failed accept, which is usually a lack of descriptors.
const BREATH: Duration = Duration::from_millis(50);
/// How often somebody who waits for room looks for a reader that stands still.
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
        let mut connections = Connections::new(self.app.clone(), self.router);
        let mut next = None;
        loop {
            connections.sweep();
            if let Some(stream) = next.take_if(|_| connections.has_room()) {
                connections.serve(stream);
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                accepted = listener.accept(), if next.is_none() => match accepted {
                    Ok((stream, _)) => next = Some(stream),
                    Err(error) => refused(&error).await,
                },
                () = connections.next_end(), if next.is_some() => {}
                () = sleep(LOOK), if next.is_some() => {}
            }
        }
        // What the kernel has accepted for us would be reset: their requests may have begun.
        if let Some(stream) = next {
            connections.serve(stream);
        }
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
