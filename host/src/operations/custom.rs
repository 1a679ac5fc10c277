//! `custom`.

use super::calls;
use super::{claimed, may_write, needs};
use crate::backend::Backend;
use holdall_plugin_api::{Bytes, Capability, Custom, Operation, Result};
use std::pin::pin;

impl Backend {
    /// A call of the vendor's own, as the plugin's documentation says.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::Custom;
    ///
    /// let answer = photos.custom(Custom::new("vendor.call", "payload")).await?;
    /// println!("{} bytes", answer.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Unsupported`: the backend does not claim `custom`, or does not know the call.
    pub async fn custom(&self, custom: Custom<'_>) -> Result<Bytes> {
        let scope = self.scope(Operation::Custom, None);
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                needs(opened, Operation::Custom)?;
                claimed(opened.claims(Capability::Custom), Capability::Custom)?;
                may_write(&scope)?;
                calls::custom(&scope, opened, custom).await
            }))
            .await
    }
}
