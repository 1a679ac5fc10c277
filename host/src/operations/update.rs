//! `update`.

use super::copy::{kept, pairs};
use super::{calls, download, etag, may_write, needs};
use crate::backend::Backend;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use holdall_plugin_api::{
    Capability, CopyObject, Error, Head, ObjectInfo, Operation, Result, Update,
};
use std::pin::pin;
use std::sync::Arc;

impl Backend {
    /// Replaces content type, headers, metadata, tags or storage class of an object, without its bytes. What the request
    /// does not name stays. Returns the facts about the object after the change; its etag may be another one.
    ///
    /// Where the plugin cannot change what is asked, but can copy an object onto itself under a condition (capabilities
    /// `copy_replace_metadata` and `copy_source_conditions`), the host does that. The host never reads and writes the
    /// bytes for an update.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::Update;
    ///
    /// let update = Update::new("report.pdf").content_type("application/pdf").metadata([("author", "Ada")]);
    /// println!("{:?}", photos.update(update).await?.etag);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `FileNotFound`: no object has this key, or no such version.
    /// - `PreconditionFailed`: the object does not have the etag of `if_match`, or it was changed by another writer
    ///   while the host copied it onto itself.
    /// - `Unsupported`: the backend cannot make this change without writing the bytes anew.
    /// - `InvalidKey`, `InvalidArgument`.
    pub async fn update(&self, update: Update<'_>) -> Result<ObjectInfo> {
        let scope = self.scope(Operation::Update, Some(update.key));
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                change(&scope, opened, update).await
            }))
            .await
    }
}

async fn change(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    mut update: Update<'_>,
) -> Result<ObjectInfo> {
    if !copies_onto_itself(opened) {
        needs(opened, Operation::Update)?;
    }
    opened.terms.update(&update)?;
    may_write(scope)?;
    let condition;
    if let Some(given) = update.if_match {
        condition = etag::native(scope, opened, update.key, given).await;
        update.if_match = Some(&condition);
    }
    if opened.has(Operation::Update) && opened.terms.updates_natively(&update).is_ok() {
        let mut info = calls::update(scope, opened, update).await?;
        opened.etags.show(&mut info.etag);
        return Ok(info);
    }
    onto_itself(scope, opened, update).await
}

/// Whether the host can make an update of a copy of the object onto itself, under a condition.
fn copies_onto_itself(opened: &Opened) -> bool {
    opened.claims(Capability::CopyReplaceMetadata)
        && opened.claims(Capability::CopySourceConditions)
}

/// Copies the object onto itself. The condition is the etag of the version whose facts were read, so that a change by
/// another writer is not lost.
async fn onto_itself(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    update: Update<'_>,
) -> Result<ObjectInfo> {
    if update.version.is_some() || !copies_onto_itself(opened) {
        let why = "the backend cannot change this without the bytes of the object";
        return opened
            .terms
            .updates_natively(&update)
            .and(Err(Error::unsupported(why)));
    }
    let head = Head::new(update.key);
    let head = match opened.claims(Capability::Tags) {
        true => head.with_tags(),
        false => head,
    };
    let info = download::facts(scope, opened, head).await?;
    let Some(found) = info.etag.clone() else {
        return Err(Error::unsupported("an update of an object without an etag"));
    };
    let found = etag::native(scope, opened, update.key, &found).await;
    let mut options = kept(opened, &info);
    let headers = &mut options.headers;
    for (kept, new) in [
        (&mut options.content_type, update.content_type),
        (&mut headers.cache_control, update.cache_control),
        (&mut headers.content_disposition, update.content_disposition),
        (&mut headers.content_encoding, update.content_encoding),
        (&mut headers.content_language, update.content_language),
    ] {
        *kept = new.unwrap_or(*kept);
    }
    if let Some(metadata) = &update.metadata {
        options.metadata = metadata.clone();
    }
    options.tags = match &update.tags {
        Some(tags) => tags.clone(),
        None => pairs(info.tags().unwrap_or_default()),
    };
    options.storage_class = update
        .storage_class
        .or(info.storage_class())
        .filter(|_| opened.claims(Capability::StorageClass));
    let copy = CopyObject::new(update.key, update.key)
        .source_if_match(update.if_match.unwrap_or(&found))
        .replace(options);
    calls::copy(scope, opened, copy).await?;
    let mut info = download::facts(scope, opened, Head::new(update.key)).await?;
    opened.etags.show(&mut info.etag);
    Ok(info)
}
