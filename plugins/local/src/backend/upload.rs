//! Uploads.

use super::answers::{metadata, uploaded};
use super::{Local, while_locked};
use crate::condition::Expected;
use crate::config::sync;
use crate::engine::fault::FaultKind;
use crate::engine::write::{Publish, Writer};
use crate::error::{from_fault, from_join};
use crate::writer::{GATHER, Gathered, Sink};
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
    let (_, mut body, length, _) = upload.into_parts();
    // What is known to be larger is not gathered: many uploads at once would hold as many times 1 MiB.
    let gather = match length {
        Some(length) if length > GATHER as u64 => 0,
        _ => GATHER,
    };
    let mut gathered = Gathered::default();
    let mut sink = None;
    while let Some(chunk) = body.chunk().await {
        let chunk = chunk?;
        match &mut sink {
            None if gathered.bytes() == 0 || gathered.bytes() + chunk.len() <= gather => {
                gathered.push(chunk)
            }
            None => {
                let conditions = (key.clone(), if_match.clone());
                local
                    .change(move |store| {
                        let (key, if_match) = &conditions;
                        store.precheck(
                            key,
                            Publish {
                                sync,
                                create_only,
                                if_match: if_match.as_deref(),
                            },
                        )
                    })
                    .await?;
                let mut opened =
                    Sink::open(&local.current, sync, std::mem::take(&mut gathered)).await?;
                opened.push(chunk).await?;
                sink = Some(opened);
            }
            Some(sink) => sink.push(chunk).await?,
        }
    }
    let counted = body
        .trailers()
        .and_then(|trailers| trailers.checksums.crc32c);
    // Frees what the sender holds before the wait for the medium.
    drop(body);
    let expected = Expected {
        length,
        crc32c: [counted, vouched],
    };
    let written = match sink {
        Some(sink) => Some(sink.finish().await?),
        None => None,
    };
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
        let writer = match written {
            Some(writer) => writer,
            None => {
                let begun = current.change(|store| Writer::begin(store, sync));
                let mut writer = begun.map_err(from_fault)?;
                for part in gathered.into_parts() {
                    writer.write(part.as_ref()).map_err(from_fault)?;
                }
                writer
            }
        };
        expected.check(&writer)?;
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
