//! The object that an upload becomes: its description, its conditions, races.

use super::{begin, complete, piece, put};
use crate::case::{Outcome, Stop, ensure};
use crate::data;
use crate::trial::{Trial, not_applicable};
use crate::watch::refused;
use holdall_plugin_api::{
    Capability, CompleteUpload, CreateUpload, Delete, Download, ErrorKind, Head, List, Operation,
    Part, Result, Upload,
};

pub(super) async fn described(t: &Trial) -> Outcome {
    let key = t.key("object");
    let mut create = CreateUpload::new(&key);
    let options = create.options_mut();
    let when = |capability, value: &'static str| t.claims(capability).then_some(value);
    options.content_type = when(Capability::ContentType, "text/x-kit; a=b");
    options.headers.cache_control = when(Capability::HeaderCacheControl, "no-store");
    options.headers.content_disposition = when(Capability::HeaderContentDisposition, "inline");
    options.headers.content_language = when(Capability::HeaderContentLanguage, "de");
    if t.claims(Capability::UserMetadata) {
        options.metadata.push(("kit", "caf\u{e9}"));
    }
    let wanted = options.clone();
    let id = t.create_upload(create).await?;
    let part = put(t, &key, &id, 1, piece(t, 1)).await?;
    complete(t, &key, &id, &[part]).await?;
    let (info, _) = t.read(&key).await?;
    for (what, found, expected) in [
        ("content type", &info.content_type, wanted.content_type),
        (
            "Cache-Control",
            &info.cache_control,
            wanted.headers.cache_control,
        ),
        (
            "Content-Disposition",
            &info.content_disposition,
            wanted.headers.content_disposition,
        ),
        (
            "Content-Language",
            &info.content_language,
            wanted.headers.content_language,
        ),
    ] {
        ensure!(
            expected.is_none() || found.as_deref() == expected,
            "{what}: {expected:?} expected, {found:?} found"
        );
    }
    if t.claims(Capability::UserMetadata) {
        let expected = [("kit".to_owned(), "caf\u{e9}".to_owned())];
        ensure!(
            info.metadata == expected,
            "metadata {:?} instead of {expected:?}",
            info.metadata
        );
    }
    Ok(())
}

pub(super) fn is_invalid_part<T>(answer: Result<T>, number: u32, what: &str) -> Outcome {
    let error = refused(answer, ErrorKind::InvalidArgument, what)?;
    ensure!(
        error.code() == "invalid_part",
        "{what}: the code is {}, invalid_part expected",
        error.code()
    );
    // Not every store tells which.
    ensure!(
        error
            .fact("part")
            .is_none_or(|part| part == number.to_string()),
        "{what}: the fact `part` is {:?}, {number} expected",
        error.fact("part")
    );
    Ok(())
}

pub(super) async fn invalid_part(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let first = put(t, &key, &id, 1, piece(t, 1)).await?;
    let second = put(t, &key, &id, 2, piece(t, 2)).await?;
    let missing = [
        first.clone(),
        Part::new(7, second.etag.clone(), second.size),
    ];
    let answer = t
        .complete_upload(CompleteUpload::new(&key, &id, &missing))
        .await;
    is_invalid_part(answer, 7, "a part that was never stored")?;
    let wrong = [first.clone(), Part::new(2, first.etag.clone(), second.size)];
    let answer = t
        .complete_upload(CompleteUpload::new(&key, &id, &wrong))
        .await;
    is_invalid_part(answer, 2, "the etag of another part")?;
    t.is_absent(&key).await?;
    complete(t, &key, &id, &[first, second]).await?;
    t.holds(&key, &[piece(t, 1), piece(t, 2)].concat()).await
}

pub(super) async fn replaces(t: &Trial) -> Outcome {
    let key = t.key("object");
    let old = data::bytes(300_000, 77);
    let mut upload = Upload::new(&key, old.clone());
    if t.claims(Capability::UserMetadata) {
        upload = upload.metadata("kit", "old");
    }
    t.upload(upload).await?;
    let reader = t.download(Download::new(&key)).await?;
    let id = begin(t, &key).await?;
    let part = put(t, &key, &id, 1, piece(t, 1)).await?;
    complete(t, &key, &id, &[part]).await?;
    t.holds(&key, &piece(t, 1)).await?;
    let (info, _) = t.read(&key).await?;
    ensure!(
        info.metadata.is_empty(),
        "metadata of the object before: {:?}",
        info.metadata
    );
    // A store behind a network may end the old one's body; other bytes it never gives.
    match reader.body.collect(old.len()).await {
        Ok(bytes) => ensure!(bytes == old, "the reader of the old object got other bytes"),
        Err(error) => ensure!(
            error.kind() != ErrorKind::PluginFault,
            "the reader of the old object: {error}"
        ),
    }
    Ok(())
}

/// How a condition that does not hold ends a completion.
fn lost(t: &Trial) -> ErrorKind {
    match t.info().limits.max_conditional_size {
        None => ErrorKind::PreconditionFailed,
        // Conditions hold in single requests: refused, whether they hold or not.
        Some(_) => ErrorKind::Unsupported,
    }
}

pub(super) async fn create_only(t: &Trial) -> Outcome {
    if !t.claims(Capability::CreateOnly) {
        return not_applicable("`create_only` is not claimed");
    }
    let key = t.key("object");
    t.put(&key, "before").await?;
    let id = begin(t, &key).await?;
    let part = put(t, &key, &id, 1, piece(t, 1)).await?;
    let parts = [part];
    let over = CompleteUpload::new(&key, &id, &parts).create_only();
    let answer = t.complete_upload(over).await;
    refused(answer, lost(t), "create-only over an object")?;
    t.holds(&key, b"before").await?;
    t.delete(Delete::new(&key)).await?;
    let mut won = CompleteUpload::new(&key, &id, &parts);
    won.create_only = lost(t) == ErrorKind::PreconditionFailed;
    t.complete_upload(won).await?;
    t.holds(&key, &piece(t, 1)).await
}

pub(super) async fn if_match(t: &Trial) -> Outcome {
    if !t.claims(Capability::IfMatchPut) {
        return not_applicable("`if_match_put` is not claimed");
    }
    let key = t.key("object");
    t.put(&key, "before").await?;
    let etag = t.head(Head::new(&key)).await?.etag;
    let etag = etag.ok_or_else(|| Stop::Failed("no etag, and `if_match_put` is claimed".into()))?;
    let id = begin(t, &key).await?;
    let parts = [put(t, &key, &id, 1, piece(t, 1)).await?];
    let other = CompleteUpload::new(&key, &id, &parts).if_match("\"kit-other\"");
    let answer = t.complete_upload(other).await;
    refused(answer, lost(t), "another etag")?;
    t.holds(&key, b"before").await?;
    let mut won = CompleteUpload::new(&key, &id, &parts);
    won.if_match = (lost(t) == ErrorKind::PreconditionFailed).then_some(&etag);
    t.complete_upload(won).await?;
    t.holds(&key, &piece(t, 1)).await
}

pub(super) async fn race(t: &Trial) -> Outcome {
    let key = t.key("object");
    for round in 0..10 {
        let id = begin(t, &key).await?;
        let parts = [put(t, &key, &id, 1, piece(t, round + 1)).await?];
        let both = [0, 1].map(|_| {
            let complete = CompleteUpload::new(&key, &id, &parts);
            t.complete_upload(complete)
        });
        let answers = futures_util::future::join_all(both).await;
        let won = answers.iter().filter(|answer| answer.is_ok()).count();
        // A store may answer the second as the first.
        ensure!(won >= 1, "round {round}: neither completed it: {answers:?}");
        for answer in answers {
            match answer {
                Ok(_) => {}
                Err(error) => ensure!(
                    matches!(error.kind(), ErrorKind::FileNotFound | ErrorKind::Conflict),
                    "round {round}: the other met {error} [{}]",
                    error.code()
                ),
            }
        }
        t.holds(&key, &piece(t, round + 1)).await?;
    }
    if t.has(Operation::List) {
        let page = t.list(List::new(t.prefix())).await?;
        ensure!(
            page.entries.len() == 1,
            "the listing has {:?}",
            page.entries
        );
    }
    Ok(())
}
