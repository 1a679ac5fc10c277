//! `shutdown`.

use super::needs;
use crate::backend::Backend;
use holdall_plugin_api::{Operation, Result};
use std::pin::pin;
use std::sync::atomic::Ordering;

impl Backend {
    /// Ends the instance: its operations fail from now on. May be called twice. Where the plugin has
    /// no such operation there is nothing to end, and it goes on. The instance is not replaced until [`Host::reset_instances`](crate::Host::reset_instances) or another
    /// registration.
    ///
    /// # Errors
    ///
    /// What keeps the plugin from ending cleanly.
    pub async fn shutdown(&self) -> Result<()> {
        let scope = self.scope(Operation::Shutdown, None);
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                if needs(opened, Operation::Shutdown).is_err() {
                    return Ok(());
                }
                opened.ended.store(true, Ordering::Release);
                opened.instance.shutdown(scope.call()).await
            }))
            .await
    }
}
