//! Changes of stored objects: delete, copy, update, rename.

use super::answers::{etag, info, metadata, pairs};
use super::{Local, while_locked};
use crate::config::sync;
use crate::engine::change::{CopyTerms, Describe};
use crate::engine::metadata_record::Metadata;
use crate::engine::read::ObjectFacts;
use crate::engine::store::Sync;
use crate::engine::write::Publish;
use holdall_plugin_api::{
    Copied, CopyObject, Delete, Deleted, Error, ErrorKind, Key, ObjectInfo, Rename, Renamed,
    Result, Update,
};
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
    let options = copy.options();
    if options.source_version.is_some() {
        return Err(Error::unsupported("the backend does not keep versions"));
    }
    let durability = options.replace.as_ref().and_then(|given| given.durability);
    let replaced = options.replace.as_ref().map(metadata);
    let terms = CopyTerms {
        if_match: options.source_if_match.map(str::to_owned),
        if_none_match: options.source_if_none_match.map(str::to_owned),
        describe: replaced.map(|new| -> Describe { Box::new(move |old| old.clone_from(&new)) }),
    };
    let target = Target {
        sync: sync(durability, local.durability),
        create_only: copy.create_only,
        if_match: options.if_match.map(str::to_owned),
    };
    let facts = copied(local, copy.from, copy.to, target, terms).await?;
    Ok(Copied::new()
        .size(facts.size)
        .etag(etag(local, &facts))
        .last_modified(facts.stamp.time()))
}

/// By a copy onto itself: the bytes are shared where the file system can, and a reader has either all of the old
/// object or all of the new one.
pub(super) async fn update(local: &Local, update: Update<'_>) -> Result<ObjectInfo> {
    if update.version.is_some() {
        return Err(Error::unsupported("the backend does not keep versions"));
    }
    let owned = |new: Option<&str>| new.map(str::to_owned);
    let content_type = update.content_type.map(owned);
    let headers = [
        update.cache_control,
        update.content_disposition,
        update.content_encoding,
        update.content_language,
    ];
    let headers = headers.map(|new| new.map(owned));
    let user = update.metadata.as_deref().map(pairs);
    let describe = move |metadata: &mut Metadata| {
        let slots = metadata.headers.iter_mut().zip(&headers);
        for (slot, new) in slots.chain([(&mut metadata.content_type, &content_type)]) {
            if let Some(new) = new {
                slot.clone_from(new);
            }
        }
        if let Some(user) = &user {
            metadata.user.clone_from(user);
        }
    };
    let terms = CopyTerms {
        describe: Some(Box::new(describe)),
        ..CopyTerms::default()
    };
    let target = Target {
        sync: local.durability.into(),
        create_only: false,
        if_match: update.if_match.map(str::to_owned),
    };
    let facts = copied(local, update.key, update.key, target, terms).await?;
    Ok(info(local, update.key.text(), &facts))
}

/// Conditions on the target of a copy, and its durability.
struct Target {
    sync: Sync,
    create_only: bool,
    if_match: Option<String>,
}

impl Target {
    fn how(&self) -> Publish<'_> {
        Publish {
            sync: self.sync,
            create_only: self.create_only,
            if_match: self.if_match.as_deref(),
        }
    }
}

/// Times that a copy onto itself begins again after another writer has changed the object.
const ATTEMPTS: u32 = 16;

async fn copied(
    local: &Local,
    from: &Key,
    to: &Key,
    target: Target,
    terms: CopyTerms,
) -> Result<ObjectFacts> {
    let names = Arc::new((from.text().to_owned(), to.text().to_owned()));
    let (target, terms) = (Arc::new(target), Arc::new(terms));
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (keys, on, by) = (names.clone(), target.clone(), terms.clone());
        let staged = local.change(move |store| store.stage_copy(&keys.0, &keys.1, on.how(), &by));
        let staged = staged.await?;
        let (keys, on) = (names.clone(), target.clone());
        let publish = move || staged.publish(&keys.1, on.how());
        match while_locked(Arc::new(publish)).await {
            Err(lost) if lost.kind() == ErrorKind::Conflict && from == to && attempt < ATTEMPTS => {
            }
            published => return published,
        }
    }
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
