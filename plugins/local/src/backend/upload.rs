//! Uploads of whole objects.

use super::answers::{metadata, uploaded};
use super::receive::receive;
use super::{Local, while_locked};
use crate::config::sync;
use crate::engine::fault::FaultKind;
use crate::engine::store::LocalStore;
use crate::engine::write::{Publish, Writer};
use crate::error::{from_fault, from_join};
use holdall_plugin_api::{Result, Upload, Uploaded};
use std::sync::Arc;
use tokio::task::spawn_blocking;

pub(super) async fn upload(local: &Local, upload: Upload<'_>) -> Result<Uploaded> {
    local.store().usable().map_err(from_fault)?;
    let key = upload.key.text().to_owned();
    let options = upload.options();
    let sync = sync(options.durability, local.durability);
    let (create_only, if_match) = (options.create_only, options.if_match.map(str::to_owned));
    let metadata = metadata(options);
    let vouched = options.checksums.crc32c;
    let (_, body, length, _) = upload.into_parts();
    let begin = async {
        let conditions = (key.clone(), if_match.clone());
        let begin = move |store: &Arc<LocalStore>| {
            let (key, if_match) = &conditions;
            let how = Publish {
                sync,
                create_only,
                if_match: if_match.as_deref(),
            };
            // A large body that can only fail is not transferred.
            store.precheck(key, how)?;
            Writer::begin(store, sync)
        };
        local.change(begin).await
    };
    let received = receive(body, length, vouched, begin).await?;
    let publish = move |writer: &Writer| {
        let how = Publish {
            sync,
            create_only,
            if_match: if_match.as_deref(),
        };
        writer.publish(&key, metadata.clone(), how)
    };
    let current = Arc::clone(&local.current);
    let first = move || -> Result<_> {
        let begin = |_| current.change(|store| Writer::begin(store, sync));
        let writer = received.written(begin)?;
        match publish(&writer) {
            Ok(facts) => Ok(Ok(facts)),
            Err(fault) if fault.kind == FaultKind::Locked => Ok(Err((writer, publish))),
            Err(fault) => Err(from_fault(fault)),
        }
    };
    let facts = match spawn_blocking(first).await.map_err(from_join)?? {
        Ok(facts) => facts,
        Err((writer, publish)) => while_locked(Arc::new(move || publish(&writer))).await?,
    };
    Ok(uploaded(local, &facts))
}
