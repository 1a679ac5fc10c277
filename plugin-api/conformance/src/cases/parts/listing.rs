//! Pages of parts, and of uploads.

use super::{begin, complete, piece, put};
use crate::case::{Outcome, ensure};
use crate::trial::Trial;
use holdall_plugin_api::{AbortUpload, ListParts, ListUploads, Part};

pub(super) async fn listed(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let mut parts = Vec::new();
    for number in [1, 2, 4, 7, 11] {
        parts.push(put(t, &key, &id, number, piece(t, number)).await?);
    }
    for limit in [1, 2, 5, 1000] {
        let (mut found, mut token) = (Vec::new(), None::<String>);
        loop {
            let list = ListParts::new(&key, &id).limit(limit);
            let page = t.list_parts(list.page_token(token.as_deref())).await?;
            ensure!(
                page.parts.len() <= limit as usize,
                "a page of {} parts, {limit} asked",
                page.parts.len()
            );
            found.extend(page.parts);
            token = page.next;
            if token.is_none() || found.len() > parts.len() {
                break;
            }
        }
        let facts = |parts: &[Part]| -> Vec<(u32, u64, String)> {
            let facts = parts
                .iter()
                .map(|part| (part.number, part.size, part.etag.clone()));
            facts.collect()
        };
        ensure!(
            facts(&found) == facts(&parts),
            "pages of {limit}: {:?} instead of {:?}",
            facts(&found),
            facts(&parts)
        );
    }
    // What a list says is enough to complete.
    let page = t.list_parts(ListParts::new(&key, &id)).await?;
    complete(t, &key, &id, &page.parts).await
}

pub(super) async fn pending(t: &Trial, prefix: &str, limit: u32) -> Outcome<Vec<(String, String)>> {
    let (mut found, mut token) = (Vec::new(), None::<String>);
    loop {
        let list = ListUploads::new(prefix).limit(limit);
        let page = t.list_uploads(list.page_token(token.as_deref())).await?;
        ensure!(
            page.uploads.len() <= limit as usize,
            "a page of {} uploads, {limit} asked",
            page.uploads.len()
        );
        let uploads = page.uploads.into_iter();
        found.extend(uploads.map(|upload| (upload.key, upload.upload_id)));
        token = page.next;
        if token.is_none() {
            return Ok(found);
        }
        ensure!(found.len() < 10_000, "the listing does not end");
    }
}

pub(super) async fn uploads_listed(t: &Trial) -> Outcome {
    let mut begun = Vec::new();
    for name in ["a/1", "a/1", "a/2", "b/1"] {
        let key = t.key(name);
        let id = begin(t, &key).await?;
        begun.push((key, id));
    }
    begun.sort();
    for limit in [1, 3, 1000] {
        let mut found = pending(t, t.prefix(), limit).await?;
        let keys: Vec<&String> = found.iter().map(|(key, _)| key).collect();
        ensure!(keys.is_sorted(), "uploads not by key: {keys:?}");
        found.sort();
        ensure!(
            found == begun,
            "pages of {limit}: {found:?} instead of {begun:?}"
        );
    }
    let below = pending(t, &t.key("a/"), 1000).await?;
    ensure!(below.len() == 3, "below a/: {below:?}");
    let (key, id) = &begun[0];
    t.abort_upload(AbortUpload::new(key, id)).await?;
    let (key, id) = &begun[3];
    let part = put(t, key, id, 1, piece(t, 1)).await?;
    complete(t, key, id, &[part]).await?;
    let mut left = pending(t, t.prefix(), 1000).await?;
    left.sort();
    ensure!(
        left == begun[1..3],
        "{left:?} instead of {:?}",
        &begun[1..3]
    );
    for (key, id) in &left {
        t.abort_upload(AbortUpload::new(key, id)).await?;
    }
    Ok(())
}
