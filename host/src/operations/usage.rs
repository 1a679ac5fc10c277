//! `usage`.

use super::calls;
use super::{claimed, needs};
use crate::backend::Backend;
use holdall_plugin_api::{Capability, Operation, Result, Usage};
use std::pin::pin;

impl Backend {
    /// Space that is used and free.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// let usage = photos.usage().await?;
    /// println!("{usage:?}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported`: the backend does not claim `usage`.
    pub async fn usage(&self) -> Result<Usage> {
        let scope = self.scope(Operation::Usage, None);
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                needs(opened, Operation::Usage)?;
                claimed(opened.claims(Capability::Usage), Capability::Usage)?;
                calls::usage(&scope, opened).await
            }))
            .await
    }
}
