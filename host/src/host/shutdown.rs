//! Orderly end of a host.

use super::Host;
use crate::backend::Backend;
use crate::backend::options::CallOptions;
use futures_util::future::join_all;
use holdall_plugin_api::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::time::Instant;

/// Time that the instances have to shut down, after the operations have ended.
const INSTANCES: Duration = Duration::from_secs(2);
/// Interval at which running operations are looked at.
const INTERVAL: Duration = Duration::from_millis(5);

impl Host {
    /// Ends every backend: refuses new operations, waits up to `limit` for running ones and their
    /// bodies, then shuts each open instance down.
    ///
    /// Opens nothing. All registrations are removed, so that an operation that comes later answers
    /// `BackendNotRegistered`; plugins stay known. The instances have two seconds to shut down after
    /// the wait.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) -> holdall::Result<()> {
    /// host.shutdown(std::time::Duration::from_secs(30)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `Timeout`: operations still ran after `limit`. Each fact `running` names a backend. The
    ///   instances were shut down all the same.
    /// - Otherwise the first error of an instance that did not shut down.
    pub async fn shutdown(&self, limit: Duration) -> Result<()> {
        let until = Instant::now() + limit;
        let mut ending = Vec::new();
        for slot in self.all() {
            let generation = slot.current();
            let pinned = Backend::new(slot.clone()).pin();
            slot.remove();
            ending.extend(generation.zip(pinned.ok()));
        }
        let mut running = Vec::new();
        for (generation, backend) in &ending {
            while !generation.is_idle() {
                if Instant::now() >= until {
                    running.push(backend.name());
                    break;
                }
                tokio::time::sleep(INTERVAL).await;
            }
        }
        let shutdowns = ending.iter().map(|(_, backend)| {
            let bounded = backend.with(CallOptions::new().timeout(INSTANCES));
            async move { bounded.shutdown().await }
        });
        let outcomes = join_all(shutdowns).await;
        if running.is_empty() {
            return outcomes.into_iter().collect();
        }
        let error = Error::new(ErrorKind::Timeout)
            .with_message("operations were still running at the end of the host");
        Err(running
            .into_iter()
            .fold(error, |error, name| error.with_fact("running", name)))
    }
}
