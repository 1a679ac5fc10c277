//! Changes of stored objects: delete, copy, rename.

use super::answers::etag;
use super::{Local, while_locked};
use crate::engine::write::Publish;
use holdall_plugin_api::{Copied, CopyObject, Delete, Deleted, Error, Rename, Renamed, Result};
use std::sync::Arc;

pub(super) async fn delete(local: &Local, delete: Delete<'_>) -> Result<Deleted> {
    if delete.version.is_some() {
        return Err(Error::unsupported("the backend does not keep versions"));
    }
    let (key, if_match) = (
        delete.key.text().to_owned(),
        delete.if_match.map(str::to_owned),
    );
    let sync = local.durability.into();
    let existed = local
        .change(move |store| store.delete(&key, if_match.as_deref(), sync))
        .await?;
    if delete.must_exist && !existed {
        return Err(Error::not_found());
    }
    Ok(Deleted::new(Some(existed)))
}

pub(super) async fn copy(local: &Local, copy: CopyObject<'_>) -> Result<Copied> {
    let (from, to) = (copy.from.text().to_owned(), copy.to.text().to_owned());
    let (sync, create_only) = (local.durability.into(), copy.create_only);
    let how = Publish {
        sync,
        create_only,
        if_match: None,
    };
    let target = to.clone();
    let staged = local.change(move |store| store.stage_copy(&from, &target, how));
    let staged = staged.await?;
    let facts = while_locked(Arc::new(move || staged.publish(&to, how))).await?;
    let mut copied = Copied::default();
    copied.size = Some(facts.size);
    copied.etag = etag(local, &facts);
    copied.last_modified = Some(facts.stamp.time());
    Ok(copied)
}

pub(super) async fn rename(local: &Local, rename: Rename<'_>) -> Result<Renamed> {
    let (from, to) = (rename.from.text().to_owned(), rename.to.text().to_owned());
    let sync = local.durability.into();
    let facts = local
        .change(move |store| store.rename(&from, &to, sync))
        .await?;
    let mut renamed = Renamed::new(true);
    renamed.etag = etag(local, &facts);
    Ok(renamed)
}
