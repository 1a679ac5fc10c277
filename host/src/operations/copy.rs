//! `copy` and `rename`.

use super::{delete, download, needs, upload};
use crate::backend::Backend;
use crate::counters::add;
use crate::frame::Frame;
use crate::generation::Opened;
use crate::spool::spool;
use holdall_plugin_api::{
    Body, Capability, Copied, Copy, Delete, Download, Error, ErrorKind, Head, Key, ObjectInfo,
    Operation, Rename, Renamed, Result, Upload,
};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

impl Backend {
    /// Copies an object with content type, headers and metadata. Where the plugin has no `copy`,
    /// the bytes go through the host. Onto itself: success, and nothing changes.
    ///
    /// # Errors
    ///
    /// - `FileNotFound`: there is no source; the error's key is the source.
    /// - `PreconditionFailed`: `create_only`, and there is a target.
    /// - `Unsupported`: `create_only`, and the backend does not claim `copy_create_only`.
    /// - `InvalidKey`, and those of download and upload.
    pub async fn copy(&self, copy: Copy<'_>) -> Result<Copied> {
        let frame = self.frame(Operation::Copy, Some(copy.from));
        frame
            .run(pin!(async {
                let opened = frame.opened().await?;
                duplicate(&frame, opened, copy).await
            }))
            .await
    }

    /// Renames an object. Where the plugin has no `rename`, the host copies and deletes; `atomic`
    /// of the answer is `false` then. Onto itself: success, and nothing changes.
    ///
    /// # Errors
    ///
    /// As [`Backend::copy`].
    pub async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        let frame = self.frame(Operation::Rename, Some(rename.from));
        frame
            .run(pin!(async {
                let opened = frame.opened().await?;
                opened.terms.rename(&rename)?;
                if rename.from == rename.to {
                    let info = source(&frame, opened, rename.from).await?;
                    let mut renamed = Renamed::new(true);
                    renamed.etag = info.etag;
                    return Ok(renamed);
                }
                if needs(opened, Operation::Rename).is_ok() {
                    return opened.instance.rename(rename, frame.call()).await;
                }
                let copied = duplicate(&frame, opened, Copy::new(rename.from, rename.to)).await?;
                delete::remove(&frame, opened, Delete::new(rename.from)).await?;
                let mut renamed = Renamed::new(false);
                renamed.etag = copied.etag;
                Ok(renamed)
            }))
            .await
    }
}

async fn source(frame: &Frame<'_>, opened: &Arc<Opened>, key: &Key) -> Result<ObjectInfo> {
    download::facts(frame, opened, Head::new(key)).await
}

async fn duplicate(frame: &Frame<'_>, opened: &Arc<Opened>, copy: Copy<'_>) -> Result<Copied> {
    opened.terms.copy(&copy)?;
    if copy.from == copy.to {
        let info = source(frame, opened, copy.from).await?;
        if copy.create_only {
            return Err(Error::new(ErrorKind::PreconditionFailed).message("the target exists"));
        }
        return Ok(copied(info));
    }
    if needs(opened, Operation::Copy).is_ok() {
        return opened.instance.copy(copy, frame.call()).await;
    }
    through_host(frame, opened, copy).await
}

async fn through_host(frame: &Frame<'_>, opened: &Arc<Opened>, copy: Copy<'_>) -> Result<Copied> {
    let download = Download::new(copy.from);
    let downloaded = download::read(frame, opened, download, Instant::now()).await?;
    let info = downloaded.info;
    let body = apart(frame, opened, downloaded.body).await?;
    let mut target = Upload::new(copy.to, body).length(info.size);
    // What the store gives out without claiming to keep it (a type guessed from the name) is not
    // asked of the target: it will give it out again.
    fn when(claimed: bool, value: &Option<String>) -> Option<&str> {
        value.as_deref().filter(|_| claimed)
    }
    target = target.option(|options| {
        let headers = &mut options.headers;
        options.content_type = when(opened.claims(Capability::ContentType), &info.content_type);
        headers.cache_control = when(
            opened.claims(Capability::HeaderCacheControl),
            &info.cache_control,
        );
        headers.content_disposition = when(
            opened.claims(Capability::HeaderContentDisposition),
            &info.content_disposition,
        );
        headers.content_encoding = when(
            opened.claims(Capability::HeaderContentEncoding),
            &info.content_encoding,
        );
        headers.content_language = when(
            opened.claims(Capability::HeaderContentLanguage),
            &info.content_language,
        );
        if opened.claims(Capability::UserMetadata) {
            let pairs = info.metadata.iter();
            options.metadata = pairs.map(|(name, value)| (&**name, &**value)).collect();
        }
    });
    let uploaded = upload::store(frame, opened, target)
        .await
        .map_err(|error| error.at(|place| place.key = Some(copy.to.text().to_owned())))?;
    let mut copied = Copied::default();
    copied.size = Some(uploaded.size);
    copied.etag = uploaded.etag;
    copied.last_modified = uploaded.last_modified;
    Ok(copied)
}

/// A body that does not keep the upload out of a plugin that takes few operations at once: a copy
/// for each of them would wait for the others.
async fn apart(frame: &Frame<'_>, opened: &Opened, body: Body) -> Result<Body> {
    if !opened.instance.plugin().is_gated() {
        return Ok(body);
    }
    let (_, body) = spool(body, &frame.context().spool).await?;
    add(&frame.counters().spooled, 1);
    Ok(body)
}

fn copied(info: ObjectInfo) -> Copied {
    let mut copied = Copied::default();
    copied.size = Some(info.size);
    copied.etag = info.etag;
    copied.last_modified = info.last_modified;
    copied
}
