//! What a server does about quotas while it runs.

use super::Host;
use crate::backend::Backend;

impl Host {
    /// Books what ended processes have left, then reconciles every backend that has a quota, each time that
    /// `ledger.reconcile` of the configuration has passed. Never ends; logs what it mends.
    pub async fn keep_quotas(&self) {
        for backend in self.counted() {
            match backend.settle_interrupted().await {
                Ok(0) => {}
                Ok(released) => tracing::info!(
                    target: "holdall",
                    backend = backend.name(),
                    released,
                    "writes of ended processes were booked"
                ),
                Err(error) => failed(&backend, &error),
            }
        }
        loop {
            let every = self.config().ledger.reconcile;
            if every.is_zero() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(every).await;
            for backend in self.counted() {
                match backend.reconcile_quota().await {
                    Ok(mended) => tracing::info!(
                        target: "holdall",
                        backend = backend.name(),
                        ?mended,
                        "quota reconciled"
                    ),
                    Err(error) => failed(&backend, &error),
                }
            }
        }
    }

    /// Backends with a quota.
    fn counted(&self) -> Vec<Backend> {
        let names = self.backends().into_iter();
        let handles = names.filter_map(|name| self.handle(&name).ok());
        handles.filter(Backend::has_quota).collect()
    }
}

fn failed(backend: &Backend, error: &holdall_plugin_api::Error) {
    tracing::warn!(target: "holdall", backend = backend.name(), %error, "quota not reconciled");
}
