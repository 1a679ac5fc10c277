//! Reads: whole objects, ranges and facts.

use super::Local;
use super::answers::info;
use crate::condition::check_read;
use crate::engine::fault::Outcome;
use crate::engine::read::{Cached, Object, ObjectFacts};
use crate::error::from_fault;
use crate::ranges;
use crate::reader::{Reader, changed_meanwhile, corrupt};
use holdall_plugin_api::{
    Body, Download, DownloadRanges, Downloaded, DownloadedRanges, Error, Head, Key, ObjectInfo,
    Result, SignUrl, Signing,
};
use std::ops::Range;

/// Objects up to this size are sent in one piece, from the cache without a job.
const IN_ONE_PIECE: u64 = 64 << 10;

pub(super) async fn download(local: &Local, download: Download<'_>) -> Result<Downloaded> {
    let (object, range, bytes) = fetch(local, &download).await?;
    let info = info(local, download.key.text(), &object.facts);
    let Some(bytes) = bytes else {
        let chunk = usize::try_from(download.chunk_hint).unwrap_or(usize::MAX);
        let body = Body::source(Reader::new(object, range.clone(), chunk));
        return Ok(Downloaded::new(info, range, body));
    };
    let body = match object
        .facts
        .crc32c
        .filter(|_| range == (0..object.facts.size))
    {
        Some(stored) => {
            let found = crc_fast::crc32_iscsi(&bytes);
            if found != stored {
                return Err(corrupt(stored, found));
            }
            Body::once_with_crc32c(bytes, stored)
        }
        None => Body::once(bytes),
    };
    Ok(Downloaded::new(info, range, body))
}

pub(super) async fn download_ranges(
    local: &Local,
    read: DownloadRanges<'_>,
) -> Result<DownloadedRanges> {
    let key = read.key.text().to_owned();
    let cached = local.store().object_if_cached(&key, |_| None);
    let object = match cached.map_err(from_fault)? {
        Cached::Opened(object) => object,
        _ => {
            let key = key.clone();
            local.job(move |store| store.object(&key)).await?
        }
    };
    check_read(&local.store(), read.options(), &object.facts)?;
    read.within(object.facts.size)?;
    let info = info(local, &key, &object.facts);
    let reader = ranges::reader(object, read.ranges);
    Ok(DownloadedRanges::new(info, reader))
}

pub(super) async fn head(local: &Local, head: Head<'_>) -> Result<ObjectInfo> {
    let facts = facts(local, head.key).await?;
    check_read(&local.store(), head.options(), &facts)?;
    Ok(info(local, head.key.text(), &facts))
}

pub(super) async fn exists(local: &Local, key: &Key) -> Result<bool> {
    if local
        .store()
        .exists_in_cache(key.text())
        .map_err(from_fault)?
    {
        return Ok(true);
    }
    let key = key.text().to_owned();
    local.job(move |store| store.exists(&key)).await
}

pub(super) async fn signed_url(local: &Local, sign: SignUrl<'_>) -> Result<Signing> {
    // Links are refused here too, not only when the URL is used.
    let exists = exists(local, sign.key).await?;
    if sign.must_exist && !exists {
        return Err(Error::not_found());
    }
    Ok(Signing::AtGateway)
}

/// The object with the bytes that are sent, if they come in one piece.
async fn fetch(
    local: &Local,
    download: &Download<'_>,
) -> Result<(Object, Range<u64>, Option<Vec<u8>>)> {
    let key = download.key.text();
    let options = download.options();
    let store = local.store();
    let range = |facts: &ObjectFacts| -> Result<Range<u64>> {
        check_read(&store, options, facts)?;
        download
            .range
            .as_ref()
            .map_or(Ok(0..facts.size), |range| range.within(facts.size))
    };
    let mut picked = None;
    let cached = store.object_if_cached(key, |facts| {
        let wanted = range(facts);
        let small = wanted
            .as_ref()
            .ok()
            .filter(|range| range.end - range.start <= IN_ONE_PIECE)
            .cloned();
        picked = Some(wanted);
        small
    });
    match (cached.map_err(from_fault)?, picked) {
        (Cached::Read(object, bytes), Some(range)) => Ok((object, range?, Some(bytes))),
        (Cached::Opened(object), Some(range)) => {
            let range = range?;
            if range.end - range.start > IN_ONE_PIECE {
                return Ok((object, range, None));
            }
            let wanted = range.clone();
            let (object, bytes) = local.job(move |_| read_all(object, wanted)).await?;
            whole(bytes, &range).map(|bytes| (object, range, Some(bytes)))
        }
        _ => {
            let owned = key.to_owned();
            let asked = download.range.clone();
            let (object, bytes) = local
                .job(move |store| {
                    let object = store.object(&owned)?;
                    // Conditions are checked afterwards: they are rare, and cost one read at most.
                    let size = object.facts.size;
                    match asked.map_or(Ok(0..size), |range| range.within(size)) {
                        Ok(range) if range.end - range.start <= IN_ONE_PIECE => {
                            read_all(object, range).map(|(object, bytes)| (object, Some(bytes)))
                        }
                        _ => Ok((object, None)),
                    }
                })
                .await?;
            let range = range(&object.facts)?;
            let bytes = bytes.map(|bytes| whole(bytes, &range)).transpose()?;
            Ok((object, range, bytes))
        }
    }
}

async fn facts(local: &Local, key: &Key) -> Result<ObjectFacts> {
    let cached = local
        .store()
        .object_if_cached(key.text(), |_| None)
        .map_err(from_fault)?;
    if let Cached::Opened(object) = cached {
        return Ok(object.facts);
    }
    let key = key.text().to_owned();
    local
        .job(move |store| store.object(&key).map(|object| object.facts))
        .await
}

fn read_all(object: Object, range: Range<u64>) -> Outcome<(Object, Vec<u8>)> {
    let wanted = usize::try_from(range.end - range.start).unwrap_or(0);
    let mut bytes = Vec::with_capacity(wanted);
    if wanted > 0 {
        object.read_at(&mut bytes, range.start)?;
        bytes.truncate(wanted);
    }
    if !object.unchanged() {
        // As for a truncated file: the bytes belong to no version.
        bytes.clear();
    }
    Ok((object, bytes))
}

fn whole(bytes: Vec<u8>, range: &Range<u64>) -> Result<Vec<u8>> {
    if bytes.len() as u64 == range.end - range.start {
        Ok(bytes)
    } else {
        Err(changed_meanwhile())
    }
}
