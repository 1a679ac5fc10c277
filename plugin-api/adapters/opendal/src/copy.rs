//! `copy` and `rename`: by the service where it does them in one step, else by the bytes.

use crate::adapter::{Adapter, OpenOperator};
use crate::fault::{Intent, fault};
use crate::{convert, delete, download, upload};
use holdall_plugin_api::{
    Capability, Copied, CopyObject, Delete, Download, Error, ErrorKind, Head, ObjectInfo, Rename,
    Renamed, Result, Upload,
};
use opendal_core::options::CopyOptions;
use std::time::SystemTime;

pub(crate) async fn copy<A: OpenOperator>(
    this: &Adapter<A>,
    copy: CopyObject<'_>,
) -> Result<Copied> {
    if copy.from == copy.to {
        let info = download::head(this, Head::new(copy.from)).await?;
        if copy.create_only {
            return Err(Error::new(ErrorKind::PreconditionFailed).with_message("the target exists"));
        }
        let mut copied = Copied::default();
        copied.size = Some(info.size);
        copied.etag = info.etag;
        copied.last_modified = info.last_modified;
        return Ok(copied);
    }
    if !this.claims(Capability::ServerCopy) {
        return by_bytes(this, copy).await;
    }
    if let Some(limit) = this.store.copy_limit
        && download::head(this, Head::new(copy.from)).await?.size > limit
    {
        return by_bytes(this, copy).await;
    }
    let (operator, captured) = this.begin()?;
    let options = CopyOptions {
        if_not_exists: copy.create_only,
        ..CopyOptions::default()
    };
    let (from, to) = (copy.from.text(), copy.to.text());
    let metadata = operator
        .copy_options(from, to, options)
        .await
        .map_err(|error| fault(error, &captured, Intent::Write))?;
    let mut copied = Copied::default();
    copied.size = metadata.is_file().then(|| metadata.content_length());
    // Of a document, as in a listing.
    let quotes = this.store.quoted_etags;
    copied.etag = metadata
        .etag()
        .map(|etag| convert::listed_etag(etag, quotes));
    copied.last_modified = metadata.last_modified().map(SystemTime::from);
    Ok(copied)
}

async fn by_bytes<A: OpenOperator>(this: &Adapter<A>, copy: CopyObject<'_>) -> Result<Copied> {
    let source = download::download(this, Download::new(copy.from)).await?;
    let kept = kept(this, source.info);
    let mut target = Upload::new(copy.to, source.body).length(kept.size);
    let options = target.options_mut();
    options.content_type = kept.content_type.as_deref();
    options.headers.cache_control = kept.cache_control.as_deref();
    options.headers.content_disposition = kept.content_disposition.as_deref();
    options.headers.content_encoding = kept.content_encoding.as_deref();
    let pairs = kept.metadata.iter();
    options.metadata = pairs.map(|(name, value)| (&**name, &**value)).collect();
    let uploaded = upload::upload(this, target).await?;
    let mut copied = Copied::default();
    copied.size = Some(uploaded.size);
    copied.etag = uploaded.etag;
    copied.last_modified = uploaded.last_modified;
    Ok(copied)
}

/// What the store gives out without claiming to keep it (a type guessed from the name) is not asked
/// of the target.
fn kept<A: OpenOperator>(this: &Adapter<A>, mut info: ObjectInfo) -> ObjectInfo {
    for (capability, value) in [
        (Capability::ContentType, &mut info.content_type),
        (Capability::HeaderCacheControl, &mut info.cache_control),
        (
            Capability::HeaderContentDisposition,
            &mut info.content_disposition,
        ),
        (
            Capability::HeaderContentEncoding,
            &mut info.content_encoding,
        ),
    ] {
        if !this.claims(capability) {
            *value = None;
        }
    }
    if !this.claims(Capability::UserMetadata) {
        info.metadata.clear();
    }
    info
}

pub(crate) async fn rename<A: OpenOperator>(
    this: &Adapter<A>,
    rename: Rename<'_>,
) -> Result<Renamed> {
    if rename.from == rename.to {
        let info = download::head(this, Head::new(rename.from)).await?;
        let mut renamed = Renamed::new(true);
        renamed.etag = info.etag;
        return Ok(renamed);
    }
    if this.claims(Capability::AtomicMove) {
        let (operator, captured) = this.begin()?;
        let (from, to) = (rename.from.text(), rename.to.text());
        // A folder would move with all that is in it.
        let source = operator.stat(from).await;
        match source.map_err(|error| fault(error, &captured, Intent::Read)) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Err(Error::not_found()),
            Err(error) => return Err(error),
        }
        operator
            .rename(from, to)
            .await
            .map_err(|error| fault(error, &captured, Intent::Write))?;
        return Ok(Renamed::new(true));
    }
    let copied = copy(this, CopyObject::new(rename.from, rename.to)).await?;
    match delete::delete(this, Delete::new(rename.from)).await {
        Err(error) if error.kind() != ErrorKind::FileNotFound => return Err(error),
        _ => {}
    }
    let mut renamed = Renamed::new(false);
    renamed.etag = copied.etag;
    Ok(renamed)
}
