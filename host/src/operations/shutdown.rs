//! `shutdown`.

use super::needs;
use crate::backend::Backend;
use holdall_plugin_api::{Operation, Result};
use std::pin::pin;
use std::sync::atomic::Ordering;

impl Backend {
    /// Ends the open instance: its operations fail from now on. May be called twice. The instance is
    /// not replaced until [`Host::reset_instances`](crate::Host::reset_instances) or another
    /// registration.
    ///
    /// Opens nothing: a backend that was not used has no instance to end. The plugin need not have the
    /// operation: an instance that was shut down is called no more.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// photos.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What keeps the plugin from ending cleanly.
    pub async fn shutdown(&self) -> Result<()> {
        let scope = self.scope(Operation::Shutdown, None);
        scope
            .run(pin!(async {
                let Some(opened) = scope.generation()?.live() else {
                    return Ok(());
                };
                opened.ended.store(true, Ordering::Release);
                if needs(&opened, Operation::Shutdown).is_err() {
                    return Ok(());
                }
                opened.instance.shutdown(scope.call()).await
            }))
            .await
    }
}
