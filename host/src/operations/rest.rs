//! `health`, `usage`, `shutdown` and `custom`.

use super::needs;
use crate::backend::Backend;
use holdall_plugin_api::{
    Bytes, Capability, Custom, Error, ErrorKind, Health, Operation, Result, Usage,
};
use std::pin::pin;
use std::sync::atomic::Ordering;

impl Backend {
    /// Whether the store answers. Cheap, and writes nothing. After "no" the next operation opens
    /// the instance anew.
    ///
    /// # Errors
    ///
    /// `Unsupported`: the plugin has no such check.
    pub async fn health(&self) -> Result<Health> {
        let frame = self.frame(Operation::Health, None);
        frame
            .run(pin!(async {
                let opened = frame.opened().await?;
                needs(opened, Operation::Health)?;
                let mut health = opened.instance.health(frame.call()).await?;
                health.message = frame.context().secrets.redact(&health.message).into_owned();
                if !health.healthy {
                    let error = Error::new(ErrorKind::Unavailable).message(health.message.clone());
                    let error = frame.completed(error);
                    frame
                        .generation()?
                        .give_up(opened, &error, frame.counters());
                }
                Ok(health)
            }))
            .await
    }

    /// Space that is used and free.
    ///
    /// # Errors
    ///
    /// `Unsupported`: the backend does not claim `usage`.
    pub async fn usage(&self) -> Result<Usage> {
        let frame = self.frame(Operation::Usage, None);
        frame
            .run(pin!(async {
                let opened = frame.opened().await?;
                needs(opened, Operation::Usage)?;
                claimed(opened.claims(Capability::Usage), Capability::Usage)?;
                opened.instance.usage(frame.call()).await
            }))
            .await
    }

    /// Ends the instance: its operations fail from now on. May be called twice. Where the plugin has
    /// no such operation there is nothing to end, and it goes on. The instance is not replaced until [`Host::reset_instances`](crate::Host::reset_instances) or another
    /// registration.
    ///
    /// # Errors
    ///
    /// What keeps the plugin from ending cleanly.
    pub async fn shutdown(&self) -> Result<()> {
        let frame = self.frame(Operation::Shutdown, None);
        frame
            .run(pin!(async {
                let opened = frame.opened().await?;
                if needs(opened, Operation::Shutdown).is_err() {
                    return Ok(());
                }
                opened.ended.store(true, Ordering::Release);
                opened.instance.shutdown(frame.call()).await
            }))
            .await
    }

    /// A call of the vendor's own, as the plugin's documentation says.
    ///
    /// # Errors
    ///
    /// `Unsupported`: the backend does not claim `custom`, or does not know the call.
    pub async fn custom(&self, custom: Custom<'_>) -> Result<Bytes> {
        let frame = self.frame(Operation::Custom, None);
        frame
            .run(pin!(async {
                let opened = frame.opened().await?;
                needs(opened, Operation::Custom)?;
                claimed(opened.claims(Capability::Custom), Capability::Custom)?;
                opened.instance.custom(custom, frame.call()).await
            }))
            .await
    }
}

fn claimed(claims: bool, capability: Capability) -> Result<()> {
    if claims {
        return Ok(());
    }
    Err(
        Error::unsupported(format!("the backend does not claim `{capability}`"))
            .fact("capability", capability),
    )
}
