//! `put_opts`.

use super::attributes::Kept;
use super::error::{During, outward};
use super::put_result;
use super::upstream::path::Path;
use super::upstream::{PutMode, PutOptions, PutPayload, PutResult, Result as StoreResult};
use crate::backend::Backend;
use bytes::Bytes;
use holdall_plugin_api::Source;
use holdall_plugin_api::{Body, Error, Result, Upload};
use std::pin::Pin;
use std::task::{Context, Poll};

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
    let kept = Kept::new(&options.attributes, &options.tags).map_err(outward)?;
    let length = payload.content_length() as u64;
    let upload = Upload::new(location.as_ref(), body(payload)).length(length);
    let upload = kept.apply(upload);
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

/// The chunks as they are: no byte is copied.
fn body(payload: PutPayload) -> Body {
    match payload.as_ref() {
        [] => Body::empty(),
        [only] => Body::once(only.clone()),
        _ => Body::source(Chunks(payload.into_iter())),
    }
}

struct Chunks<I>(I);

impl<I: Iterator<Item = Bytes> + Send + Unpin> Source for Chunks<I> {
    fn poll_chunk(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}
