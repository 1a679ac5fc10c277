//! `copy`.

use super::calls;
use super::etag;
use super::quota;
use super::spool::spool;
use super::{download, may_write, needs, upload};
use crate::backend::Backend;
use crate::backend::counters::add;
use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use crate::ledger::Amount;
use holdall_plugin_api::{
    Body, Capability, Copied, CopyObject, Download, Error, ErrorKind, Head, Key, ObjectInfo,
    Operation, Result, Upload, UploadOptions,
};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

impl Backend {
    /// Copies an object with content type, headers and metadata. Where the plugin has no `copy`,
    /// the bytes go through the host. Onto itself: success, and nothing changes.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::CopyObject;
    ///
    /// photos.copy(("2026/cat.txt", "cat.txt")).await?;
    /// photos.copy(CopyObject::new("2026/cat.txt", "new.txt").create_only()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `FileNotFound`: there is no source; the error's key is the source.
    /// - `PreconditionFailed`: `create_only`, and there is a target.
    /// - `Unsupported`: `create_only`, and the backend does not claim `copy_create_only`.
    /// - `InvalidKey`, and those of download and upload.
    pub fn copy<'a>(
        &self,
        copy: impl Into<CopyObject<'a>>,
    ) -> impl Future<Output = Result<Copied>> + Send {
        let copy = copy.into();
        async move {
            let scope = self.scope(Operation::Copy, Some(copy.from)).to(copy.to);
            scope
                .run(pin!(async {
                    let opened = scope.opened().await?;
                    duplicate(&scope, opened, copy).await
                }))
                .await
        }
    }
}

/// Names the target in an error of a plugin that only the target can have caused.
pub(super) fn of_target(error: Error, to: &Key) -> Error {
    let is_of_target = matches!(
        error.kind(),
        ErrorKind::PreconditionFailed
            | ErrorKind::Conflict
            | ErrorKind::QuotaExceeded
            | ErrorKind::TooLarge
    );
    at(error, to, is_of_target)
}

fn at(error: Error, key: &Key, applies: bool) -> Error {
    match applies {
        true => error.at(|place| {
            place.key.get_or_insert_with(|| key.text().to_owned());
        }),
        false => error,
    }
}

pub(super) async fn source(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    key: &Key,
) -> Result<ObjectInfo> {
    download::facts(scope, opened, Head::new(key)).await
}

pub(super) async fn duplicate(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    copy: CopyObject<'_>,
) -> Result<Copied> {
    let terms = &opened.terms;
    terms.copy(&copy).map_err(|error| {
        let is_of_target =
            error.kind() == ErrorKind::InvalidKey && terms.key(copy.from.text()).is_ok();
        at(error, copy.to, is_of_target)
    })?;
    may_write(scope)?;
    if copy.from == copy.to && copy.is_plain() {
        let info = source(scope, opened, copy.from).await?;
        if copy.create_only {
            let error = Error::new(ErrorKind::PreconditionFailed);
            return Err(error.with_message("the target exists"));
        }
        return Ok(copied(info));
    }
    let mut copy = copy;
    let (target, source_match, source_none);
    if let Some(given) = copy.options().if_match {
        target = etag::native(scope, opened, copy.to, given).await;
        copy = copy.if_match(&target);
    }
    if let Some(given) = copy.options().source_if_match {
        source_match = etag::native(scope, opened, copy.from, given).await;
        copy = copy.source_if_match(&source_match);
    }
    if let Some(given) = copy.options().source_if_none_match {
        source_none = etag::native(scope, opened, copy.from, given).await;
        copy = copy.source_if_none_match(&source_none);
    }
    if needs(opened, Operation::Copy).is_ok() && opened.terms.copies_natively(&copy).is_ok() {
        let to = copy.to;
        let mut begun = None;
        if quota::of(scope)?.is_some() {
            let size = source(scope, opened, copy.from).await?.size;
            begun = quota::begin(scope, opened, to, Amount::Known(size)).await?;
        }
        let copied = calls::copy(scope, opened, copy).await;
        let copied = match begun {
            None => copied,
            Some((write, _)) => {
                let stored = |copied: &Copied| copied.size.map(Some);
                write.end(scope, opened, copied, stored).await
            }
        };
        let mut copied = copied.map_err(|error| of_target(error, to))?;
        opened.etags.show(&mut copied.etag);
        return Ok(copied);
    }
    if copy.from == copy.to {
        // Read and written anew, the object would be without its bytes for a reader that comes in between, or another's
        // change be lost.
        opened.terms.copies_natively(&copy)?;
        return needs(opened, Operation::Copy).map(|()| Copied::default());
    }
    through_host(scope, opened, copy).await
}

async fn through_host(
    scope: &Scope<'_>,
    opened: &Arc<Opened>,
    copy: CopyObject<'_>,
) -> Result<Copied> {
    let conditions = copy.options();
    let mut download = Download::new(copy.from);
    if !copy.is_plain() {
        let options = download.options_mut();
        options.if_match = conditions.source_if_match;
        options.if_none_match = conditions.source_if_none_match;
        options.version = conditions.source_version;
    }
    let downloaded = download::read(scope, opened, download, Instant::now()).await;
    let downloaded = downloaded.map_err(|error| match error.kind() {
        ErrorKind::NotModified => Error::new(ErrorKind::PreconditionFailed)
            .with_message("the source has the etag that it must not have"),
        _ => error,
    })?;
    let info = downloaded.info;
    let body = detached(scope, opened, downloaded.body).await?;
    let mut target = Upload::new(copy.to, body).length(info.size);
    *target.options_mut() = kept(opened, &info);
    if let Some(replace) = &conditions.replace {
        *target.options_mut() = replace.clone();
    }
    target.options_mut().if_match = conditions.if_match;
    target.options_mut().create_only = copy.create_only;
    let uploaded = upload::send(scope, opened, target)
        .await
        .map_err(|error| error.at(|place| place.key = Some(copy.to.text().to_owned())))?;
    let mut copied = Copied::default();
    copied.size = Some(uploaded.size);
    copied.etag = uploaded.etag;
    copied.last_modified = uploaded.last_modified;
    copied.version = uploaded.version;
    copied.source_version = info.version.clone();
    Ok(copied)
}

/// What a write of the same object states anew so that it stays: type, headers and metadata.
pub(super) fn kept<'a>(opened: &Opened, info: &'a ObjectInfo) -> UploadOptions<'a> {
    // What the store returns without claiming to keep it (a type guessed from the name) is not asked of the target:
    // it will return it again.
    let when = |capability, value: &'a Option<String>| {
        value.as_deref().filter(|_| opened.claims(capability))
    };
    let mut options = UploadOptions::default();
    options.content_type = when(Capability::ContentType, &info.content_type);
    let headers = &mut options.headers;
    headers.cache_control = when(Capability::HeaderCacheControl, &info.cache_control);
    headers.content_disposition = when(
        Capability::HeaderContentDisposition,
        &info.content_disposition,
    );
    headers.content_encoding = when(Capability::HeaderContentEncoding, &info.content_encoding);
    headers.content_language = when(Capability::HeaderContentLanguage, &info.content_language);
    if opened.claims(Capability::UserMetadata) {
        options.metadata = pairs(&info.metadata);
    }
    options
}

pub(super) fn pairs(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = pairs.iter();
    pairs.map(|(name, value)| (&**name, &**value)).collect()
}

/// A body that does not keep the upload out of a plugin that takes few operations at once: a copy
/// for each of them would wait for the others.
async fn detached(scope: &Scope<'_>, opened: &Opened, body: Body) -> Result<Body> {
    if !opened.instance.plugin().is_gated() {
        return Ok(body);
    }
    let (_, body) = spool(body, &scope.context().spool, None, upload::patience(scope)).await?;
    add(&scope.counters().spooled, 1);
    Ok(body)
}

fn copied(info: ObjectInfo) -> Copied {
    let mut copied = Copied::default();
    copied.size = Some(info.size);
    copied.etag = info.etag;
    copied.last_modified = info.last_modified;
    copied
}
