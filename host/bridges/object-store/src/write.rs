//! `put_opts`.

use super::attributes::UploadAttributes;
use super::error::{During, outward};
use futures_util::stream;
use holdall::Backend;
use holdall_plugin_api::{Body, Error, Upload, Uploaded};
use object_store::path::Path;
use object_store::{Extensions, PutMode, PutOptions, PutPayload, PutResult, Result as StoreResult};

pub(super) async fn put(
    backend: &Backend,
    location: &Path,
    payload: PutPayload,
    options: &PutOptions,
) -> StoreResult<PutResult> {
    let outward = outward(match options.mode {
        PutMode::Create => During::Create,
        _ => During::Put,
    });
    let attributes = UploadAttributes::new(&options.attributes, &options.tags).map_err(outward)?;
    let length = payload.content_length() as u64;
    let upload = Upload::new(location.as_ref(), body(payload)).length(length);
    let upload = attributes.apply(upload);
    let upload = match &options.mode {
        PutMode::Overwrite => upload,
        PutMode::Create => upload.create_only(),
        PutMode::Update(version) => match &version.e_tag {
            Some(etag) => upload.if_match(etag),
            None => {
                let why =
                    "an update names the etag that it replaces; a version alone is not enough";
                return Err(outward(Error::unsupported(why)));
            }
        },
    };
    backend
        .upload(upload)
        .await
        .map(put_result)
        .map_err(outward)
}

/// Converts the answer to an upload, with all its facts in the extensions.
pub(super) fn put_result(uploaded: Uploaded) -> PutResult {
    let mut extensions = Extensions::new();
    let (e_tag, version) = (uploaded.etag.clone(), uploaded.version.clone());
    extensions.insert(uploaded);
    PutResult {
        e_tag,
        version,
        extensions,
    }
}

/// Converts a payload without copying its bytes.
pub(super) fn body(payload: PutPayload) -> Body {
    match payload.as_ref() {
        [] => Body::empty(),
        [only] => Body::once(only.clone()),
        _ => Body::stream(stream::iter(payload.into_iter().map(Ok))),
    }
}
