//! `rename`.

use super::calls;
use super::copy::{duplicate, of_target, source};
use super::{delete, may_write, needs, quota};
use crate::backend::Backend;
use crate::ledger::Amount;
use holdall_plugin_api::{CopyObject, Delete, Operation, Rename, Renamed, Result};
use std::pin::pin;

impl Backend {
    /// Renames an object. Where the plugin has no `rename`, the host copies and deletes; `atomic`
    /// of the answer is `false` then. Onto itself: success, and nothing changes.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// let renamed = photos.rename(("2026/cat.txt", "2027/cat.txt")).await?;
    /// println!("in one step: {}", renamed.atomic);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Backend::copy`].
    pub fn rename<'a>(
        &self,
        rename: impl Into<Rename<'a>>,
    ) -> impl Future<Output = Result<Renamed>> + Send {
        let rename = rename.into();
        async move {
            let scope = self
                .scope(Operation::Rename, Some(rename.from))
                .to(rename.to);
            scope
                .run(pin!(async {
                    let opened = scope.opened().await?;
                    opened.terms.rename(&rename)?;
                    may_write(&scope)?;
                    if rename.from == rename.to {
                        let info = source(&scope, opened, rename.from).await?;
                        let mut renamed = Renamed::new(true);
                        renamed.etag = info.etag;
                        return Ok(renamed);
                    }
                    if needs(opened, Operation::Rename).is_ok() {
                        let to = rename.to;
                        let mut begun = Vec::new();
                        if quota::of(&scope)?.is_some() {
                            let size = source(&scope, opened, rename.from).await?.size;
                            let row = quota::row(&scope, rename.from).await?;
                            let moved =
                                row.map_or_else(|| quota::charged(&scope), |row| row.charged);
                            let target = quota::Wanted {
                                bytes: Amount::Known(size),
                                moved: Some(moved),
                            };
                            let target = quota::begin(&scope, opened, to, target).await?;
                            begun.extend(target.map(|(write, _)| (write, Some(size))));
                            let source =
                                quota::begin(&scope, opened, rename.from, Amount::Delete).await?;
                            begun.extend(source.map(|(write, _)| (write, None)));
                        }
                        let mut renamed = calls::rename(&scope, opened, rename).await;
                        for (write, stored) in begun {
                            renamed = write.end(&scope, opened, renamed, |_| Some(stored)).await;
                        }
                        let mut renamed = renamed.map_err(|error| of_target(error, to))?;
                        opened.etags.show(&mut renamed.etag);
                        return Ok(renamed);
                    }
                    let copied =
                        duplicate(&scope, opened, CopyObject::new(rename.from, rename.to)).await?;
                    delete::remove(&scope, opened, Delete::new(rename.from)).await?;
                    let mut renamed = Renamed::new(false);
                    renamed.etag = copied.etag;
                    Ok(renamed)
                }))
                .await
        }
    }
}
