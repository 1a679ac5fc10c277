//! Parts as they are stored: order, size, bodies that fail.

use super::completing::is_invalid_part;
use super::{begin, complete, leaves_nothing, part_size, piece, put};
use crate::body;
use crate::case::{Outcome, ensure};
use crate::data;
use crate::trial::{Trial, not_applicable};
use crate::watch::refused;
use bytes::Bytes;
use futures_util::future::try_join_all;
use holdall_plugin_api::{
    AbortUpload, Capability, Checksums, CompleteUpload, Download, ErrorKind, ListParts, Operation,
    PutPart,
};
use std::time::Duration;

pub(super) async fn in_order(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let mut parts = Vec::new();
    for number in [3, 1, 2] {
        parts.push(put(t, &key, &id, number, piece(t, number)).await?);
    }
    parts.sort_by_key(|part| part.number);
    complete(t, &key, &id, &parts).await?;
    let whole = [piece(t, 1), piece(t, 2), piece(t, 3)].concat();
    t.holds(&key, &whole).await?;
    let middle = part_size(t) as u64 - 5;
    let range = Download::new(&key).range(middle..middle + 20);
    let read = t.download(range).await?.body.collect(100).await?;
    ensure!(
        read == whole[middle as usize..middle as usize + 20],
        "a range over the border of two parts has other bytes"
    );
    Ok(())
}

pub(super) async fn invisible(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let part = put(t, &key, &id, 1, piece(t, 1)).await?;
    t.is_absent(&key).await?;
    if t.has(Operation::List) {
        let keys = t.keys(t.prefix(), 1000).await?;
        ensure!(keys.is_empty(), "the listing shows {keys:?}");
    }
    complete(t, &key, &id, &[part]).await?;
    t.holds(&key, &piece(t, 1)).await?;
    if t.has(Operation::List) {
        let keys = t.keys(t.prefix(), 1000).await?;
        ensure!(keys == [key], "the listing shows {keys:?}");
    }
    Ok(())
}

pub(super) async fn again(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    put(t, &key, &id, 1, piece(t, 9)).await?;
    let last = put(t, &key, &id, 1, piece(t, 1)).await?;
    let page = t.list_parts(ListParts::new(&key, &id)).await?;
    ensure!(
        page.parts.len() == 1 && page.parts[0].size == last.size,
        "one part was stored twice, and the list has {:?}",
        page.parts
    );
    complete(t, &key, &id, &[last]).await?;
    t.holds(&key, &piece(t, 1)).await
}

pub(super) async fn gaps(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let mut parts = Vec::new();
    for number in [2, 5, 900] {
        parts.push(put(t, &key, &id, number, piece(t, number % 100)).await?);
    }
    let unnamed = parts.remove(1);
    let some = CompleteUpload::new(&key, &id, &parts);
    let Err(error) = t.complete_upload(some).await else {
        return t.holds(&key, &[piece(t, 2), piece(t, 0)].concat()).await;
    };
    // A store may want every part that it has. Then it says which is missing, and the upload stays.
    ensure!(
        error.fact("part") == Some(&*unnamed.number.to_string()),
        "a completion without a part that is stored: {error}"
    );
    is_invalid_part::<()>(Err(error), unnamed.number, "a part that is not named")?;
    t.is_absent(&key).await?;
    parts.insert(1, unnamed);
    complete(t, &key, &id, &parts).await?;
    let whole = [piece(t, 2), piece(t, 5), piece(t, 0)].concat();
    t.holds(&key, &whole).await
}

pub(super) async fn at_once(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let parts = (1..=8).map(|number| {
        let (key, id) = (&key, &id);
        async move { put(t, key, id, number, piece(t, number)).await }
    });
    let parts = try_join_all(parts).await?;
    complete(t, &key, &id, &parts).await?;
    let pieces: Vec<Bytes> = (1..=8).map(|number| piece(t, number)).collect();
    t.holds(&key, &pieces.concat()).await
}

pub(super) async fn failed_part(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let before = put(t, &key, &id, 1, piece(t, 1)).await?;
    let bytes = piece(t, 9);
    let length = bytes.len() as u64;
    let half = bytes.slice(..bytes.len() / 2);
    let failing = body::failing(vec![half]);
    let again = PutPart::new(&key, &id, 1, failing).length(length);
    let answer = t.put_part(again).await;
    refused(answer, ErrorKind::Cancelled, "a body that fails")?;
    let short = PutPart::new(&key, &id, 2, body::chunked(vec!["abc".into()])).length(length);
    let answer = t.put_part(short).await;
    refused(
        answer,
        ErrorKind::InvalidArgument,
        "a body that is too short",
    )?;
    let page = t.list_parts(ListParts::new(&key, &id)).await?;
    ensure!(
        page.parts.len() == 1 && page.parts[0].etag == before.etag,
        "the list has {:?}",
        page.parts
    );
    complete(t, &key, &id, &[before]).await?;
    t.holds(&key, &piece(t, 1)).await
}

pub(super) async fn wrong_digest(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let part = PutPart::new(&key, &id, 1, piece(t, 1));
    let wrong = part.checksums(Checksums::NONE.sha256([7; 32]));
    let answer = t.put_part(wrong).await;
    refused(answer, ErrorKind::ChecksumMismatch, "another digest")?;
    let page = t.list_parts(ListParts::new(&key, &id)).await?;
    ensure!(page.parts.is_empty(), "the list has {:?}", page.parts);
    t.abort_upload(AbortUpload::new(&key, &id)).await?;
    Ok(())
}

pub(super) async fn unknown_length(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let bytes = piece(t, 3);
    let chunks = data::pieces(&bytes, 70_000);
    let part = PutPart::new(&key, &id, 1, body::chunked(chunks));
    if !t.claims(Capability::UnknownLength) && t.info().level == crate::Level::Rust {
        return not_applicable("the host spools bodies of unknown length");
    }
    let part = t.put_part(part).await?;
    ensure!(
        part.size == bytes.len() as u64,
        "a part of {} bytes",
        part.size
    );
    complete(t, &key, &id, &[part]).await?;
    t.holds(&key, &bytes).await
}

pub(super) async fn any_size(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let mut parts = Vec::new();
    for (number, text) in [(1, "a"), (2, ""), (3, "bc"), (4, "")] {
        parts.push(put(t, &key, &id, number, text.into()).await?);
    }
    complete(t, &key, &id, &parts).await?;
    t.holds(&key, b"abc").await
}

pub(super) async fn dropped_part(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let bytes = piece(t, 1);
    let length = bytes.len() as u64;
    let (stuck, _gate) = body::gated(vec![bytes.slice(..bytes.len() / 2)], Vec::new());
    let part = PutPart::new(&key, &id, 1, stuck).length(length);
    // Long enough for the plugin to be at work; nothing depends on how far it is.
    let answer = tokio::time::timeout(Duration::from_millis(200), t.put_part(part)).await;
    ensure!(
        answer.is_err(),
        "a body without an end was stored: {answer:?}"
    );
    let page = t.list_parts(ListParts::new(&key, &id)).await?;
    ensure!(page.parts.is_empty(), "the list has {:?}", page.parts);
    let part = put(t, &key, &id, 1, bytes.clone()).await?;
    complete(t, &key, &id, &[part]).await?;
    t.holds(&key, &bytes).await?;
    leaves_nothing(t)
}
