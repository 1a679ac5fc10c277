//! `update`.

use super::{calls, download, etag, may_write, needs};
use crate::backend::Backend;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use holdall_plugin_api::{
    Capability, CopyObject, Error, Head, ObjectInfo, Operation, Result, Update, UploadOptions,
};
use std::pin::pin;
use std::sync::Arc;

impl Backend {
    /// Replaces content type, headers, metadata, tags or class of an object, without its bytes; what is not named
    /// stays. Answers the object as it is then; its etag may be another one. Where the plugin has no such operation but
    /// can copy an object onto itself under a condition (`copy_replace_metadata`, `copy_source_conditions`), the host does
    /// that; it never reads and writes the bytes anew.
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
    /// - `FileNotFound`, `InvalidKey`, `InvalidArgument`; `PreconditionFailed`: `if_match` lost.
    /// - `Unsupported`: what is to change cannot be changed without the bytes.
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

/// Whether a copy of an object onto itself, under a condition, can stand for an update.
fn copies_onto_itself(opened: &Opened) -> bool {
    opened.claims(Capability::CopyReplaceMetadata)
        && opened.claims(Capability::CopySourceConditions)
}

/// A copy onto itself, of the version whose facts were read.
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
    let mut options = UploadOptions::default();
    let kept = |new: Option<Option<&'_ str>>, old: &'_ Option<String>| -> Option<String> {
        new.map_or_else(|| old.clone(), |new| new.map(str::to_owned))
    };
    let texts = [
        kept(update.content_type, &info.content_type),
        kept(update.cache_control, &info.cache_control),
        kept(update.content_disposition, &info.content_disposition),
        kept(update.content_encoding, &info.content_encoding),
        kept(update.content_language, &info.content_language),
    ];
    let claims = |capability, text: &'_ Option<String>| -> Option<String> {
        text.clone().filter(|_| opened.claims(capability))
    };
    let texts = [
        claims(Capability::ContentType, &texts[0]),
        claims(Capability::HeaderCacheControl, &texts[1]),
        claims(Capability::HeaderContentDisposition, &texts[2]),
        claims(Capability::HeaderContentEncoding, &texts[3]),
        claims(Capability::HeaderContentLanguage, &texts[4]),
    ];
    options.content_type = texts[0].as_deref();
    options.headers.cache_control = texts[1].as_deref();
    options.headers.content_disposition = texts[2].as_deref();
    options.headers.content_encoding = texts[3].as_deref();
    options.headers.content_language = texts[4].as_deref();
    let old_pairs = |pairs: &'_ [(String, String)]| -> Vec<(String, String)> { pairs.to_vec() };
    let metadata = old_pairs(&info.metadata);
    options.metadata = match &update.metadata {
        Some(pairs) => pairs.clone(),
        None if opened.claims(Capability::UserMetadata) => views(&metadata),
        None => Vec::new(),
    };
    let tags = old_pairs(info.tags().unwrap_or_default());
    options.tags = update.tags.clone().unwrap_or_else(|| views(&tags));
    let class = info.storage_class().map(str::to_owned);
    options.storage_class = update
        .storage_class
        .or(class.as_deref())
        .filter(|_| opened.claims(Capability::StorageClass));
    let copy = CopyObject::new(update.key, update.key)
        .source_if_match(update.if_match.unwrap_or(&found))
        .replace(options);
    calls::copy(scope, opened, copy).await?;
    let mut info = download::facts(scope, opened, Head::new(update.key)).await?;
    opened.etags.show(&mut info.etag);
    Ok(info)
}

fn views(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = pairs.iter();
    pairs.map(|(name, value)| (&**name, &**value)).collect()
}
