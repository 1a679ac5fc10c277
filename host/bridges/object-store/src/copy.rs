//! `copy_opts` and `rename_opts`.

use super::attributes::UploadAttributes;
use super::error::{During, outward};
use holdall::Backend;
use holdall_plugin_api::{Capability, CopyObject, Delete, Download, Key, Rename, Result, Upload};
use object_store::path::Path;
use object_store::{CopyMode, RenameTargetMode, Result as StoreResult};

pub(super) async fn copy(
    backend: &Backend,
    from: &Path,
    to: &Path,
    mode: CopyMode,
) -> StoreResult<()> {
    let (from, to) = (Key::new(from.as_ref()), Key::new(to.as_ref()));
    match mode {
        CopyMode::Overwrite => {
            let copied = backend.copy(CopyObject::new(from, to)).await;
            copied.map(drop).map_err(outward(During::Other))
        }
        CopyMode::Create => {
            let copied = copy_new(backend, from, to).await;
            copied.map_err(outward(During::Create))
        }
    }
}

pub(super) async fn rename(
    backend: &Backend,
    from: &Path,
    to: &Path,
    mode: RenameTargetMode,
) -> StoreResult<()> {
    let (from_key, to_key) = (Key::new(from.as_ref()), Key::new(to.as_ref()));
    match mode {
        RenameTargetMode::Overwrite => {
            let renamed = backend.rename(Rename::new(from_key, to_key)).await;
            renamed.map(drop).map_err(outward(During::Other))
        }
        // No backend has a create-only rename: the copy decides the race.
        RenameTargetMode::Create => {
            copy(backend, from, to, CopyMode::Create).await?;
            let deleted = backend.delete(Delete::new(from_key)).await;
            deleted.map(drop).map_err(outward(During::Other))
        }
    }
}

/// Copies without replacing. Where the backend claims `create_only` and not `copy_create_only`, the
/// bytes pass through this process.
async fn copy_new(backend: &Backend, from: &Key, to: &Key) -> Result<()> {
    let terms = backend.terms().await?;
    let native = terms.capabilities.has(Capability::CopyCreateOnly);
    if native || !terms.capabilities.has(Capability::CreateOnly) {
        return backend
            .copy(CopyObject::new(from, to).create_only())
            .await
            .map(drop);
    }
    let downloaded = backend.download(Download::new(from)).await?;
    let attributes = UploadAttributes::of(&downloaded.info, &terms);
    let upload = Upload::new(to, downloaded.body).length(downloaded.info.size);
    backend
        .upload(attributes.apply(upload).create_only())
        .await
        .map(drop)
}
