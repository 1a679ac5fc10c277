//! Ids: of whom they are, and how long they are known.

use super::listing::pending;
use super::{begin, complete, is_unknown, leaves_nothing, piece, put};
use crate::case::{Outcome, ensure};
use crate::trial::{MAIN_STORE, Trial, not_applicable};
use holdall_plugin_api::{AbortUpload, CompleteUpload, ListParts, Part, PutPart};

pub(super) async fn another_instance(t: &Trial) -> Outcome {
    if !t.stage().is_shared() {
        return not_applicable("an instance does not see the store of another");
    }
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let first = put(t, &key, &id, 1, piece(t, 1)).await?;
    let other = t.open(MAIN_STORE).await?;
    let second = put(&other, &key, &id, 2, piece(t, 2)).await?;
    let page = other.list_parts(ListParts::new(&key, &id)).await?;
    ensure!(page.parts.len() == 2, "the other sees {:?}", page.parts);
    complete(&other, &key, &id, &[first, second]).await?;
    t.holds(&key, &[piece(t, 1), piece(t, 2)].concat()).await
}

/// Every operation of an upload, under an id that is not known.
pub(super) async fn every_operation(t: &Trial, key: &str, id: &str) -> Outcome {
    let put = t.put_part(PutPart::new(key, id, 1, piece(t, 1))).await;
    is_unknown(put, "put_part")?;
    let list = t.list_parts(ListParts::new(key, id)).await;
    is_unknown(list, "list_parts")?;
    let parts = [Part::new(1, "\"d41d8cd98f00b204e9800998ecf8427e\"", 1)];
    let complete = CompleteUpload::new(key, id, &parts);
    is_unknown(t.complete_upload(complete).await, "complete_upload")?;
    let abort = t.abort_upload(AbortUpload::new(key, id)).await;
    is_unknown(abort, "abort_upload")
}

pub(super) async fn unknown_id(t: &Trial) -> Outcome {
    let key = t.key("object");
    for id in [
        "kit",
        "../../etc/passwd",
        "a b&c=d/e",
        "0123456789abcdef0123456789abcdef",
    ] {
        every_operation(t, &key, id).await?;
    }
    t.is_absent(&key).await
}

pub(super) async fn other_key(t: &Trial) -> Outcome {
    let (key, other) = (t.key("object"), t.key("other"));
    let id = begin(t, &key).await?;
    every_operation(t, &other, &id).await?;
    let part = put(t, &key, &id, 1, piece(t, 1)).await?;
    complete(t, &key, &id, &[part]).await?;
    t.is_absent(&other).await
}

pub(super) async fn aborted(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.put(&key, "before").await?;
    let id = begin(t, &key).await?;
    put(t, &key, &id, 1, piece(t, 1)).await?;
    t.abort_upload(AbortUpload::new(&key, &id)).await?;
    every_operation(t, &key, &id).await?;
    t.holds(&key, b"before").await?;
    let left = pending(t, t.prefix(), 1000).await?;
    ensure!(left.is_empty(), "still listed: {left:?}");
    leaves_nothing(t)
}

pub(super) async fn completed(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let part = put(t, &key, &id, 1, piece(t, 1)).await?;
    complete(t, &key, &id, std::slice::from_ref(&part)).await?;
    every_operation(t, &key, &id).await?;
    t.holds(&key, &piece(t, 1)).await?;
    leaves_nothing(t)
}

pub(super) async fn two_of_one_key(t: &Trial) -> Outcome {
    let key = t.key("object");
    let (one, other) = (begin(t, &key).await?, begin(t, &key).await?);
    ensure!(one != other, "two uploads have the id {one:?}");
    let first = put(t, &key, &one, 1, piece(t, 1)).await?;
    let second = put(t, &key, &other, 1, piece(t, 2)).await?;
    complete(t, &key, &other, &[second]).await?;
    t.holds(&key, &piece(t, 2)).await?;
    complete(t, &key, &one, &[first]).await?;
    t.holds(&key, &piece(t, 1)).await
}
