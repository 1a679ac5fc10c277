//! `health`.

use super::calls;
use super::needs;
use crate::backend::Backend;
use holdall_plugin_api::{Error, ErrorKind, Health, Operation, Result};
use std::pin::pin;

impl Backend {
    /// Whether the store answers. Cheap, and writes nothing. After "no" the next operation opens
    /// the instance anew.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// let health = photos.health().await?;
    /// println!("healthy: {} ({})", health.healthy, health.message);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported`: the plugin has no such check.
    pub async fn health(&self) -> Result<Health> {
        let scope = self.scope(Operation::Health, None);
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                needs(opened, Operation::Health)?;
                let mut health = calls::health(&scope, opened).await?;
                health.message = scope.context().secrets.redact(&health.message).into_owned();
                if !health.healthy {
                    let error =
                        Error::new(ErrorKind::Unavailable).with_message(health.message.clone());
                    let error = scope.completed(error);
                    scope
                        .generation()?
                        .give_up(opened, &error, scope.counters());
                }
                Ok(health)
            }))
            .await
    }
}
