//! P: uploads in parts.

use crate::body;
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::data;
use crate::trial::{MAIN_STORE, Trial, not_applicable};
use crate::watch::{Watched, refused};
use bytes::Bytes;
use futures_util::future::try_join_all;
use holdall_plugin_api::{
    AbortUpload, Capability, Checksums, CompleteUpload, CreateUpload, Delete, Download, ErrorKind,
    Head, List, ListParts, ListUploads, Operation, Part, PutPart, Result, Upload,
};
use std::time::Duration;

const PARTS: Tag = Tag::Cap(Capability::Parts);

pub(super) const CASES: &[Case] = &[
    case!(
        "P-01",
        PARTS,
        "the object is its parts in the order of their numbers, whatever the order of their arrival",
        in_order
    ),
    case!(
        "P-02",
        PARTS,
        "nothing is visible before an upload is completed",
        invisible
    ),
    case!(
        "P-03",
        PARTS,
        "content type, headers and metadata of the beginning are those of the object",
        described
    ),
    case!(
        "P-04",
        PARTS,
        "a part that is stored again replaces the one before",
        again
    ),
    case!(
        "P-05",
        PARTS,
        "parts that are not named are discarded, and gaps between numbers are allowed",
        gaps
    ),
    case!("P-06", PARTS, "eight parts at once", at_once),
    case!(
        "P-07",
        PARTS,
        "another instance goes on with an upload and completes it",
        another_instance
    ),
    case!(
        "P-08",
        PARTS,
        "a list has every part with its number, size and etag, page by page",
        listed
    ),
    case!(
        "P-09",
        PARTS,
        "a list of uploads has those of its prefix, until they are completed or aborted",
        uploads_listed
    ),
    case!(
        "P-10",
        PARTS,
        "an id that is not known is upload_not_found, in every operation",
        unknown_id
    ),
    case!("P-11", PARTS, "an id belongs to its key", other_key),
    case!(
        "P-12",
        PARTS,
        "after an abort the id is not known, and the object that was there is as it was",
        aborted
    ),
    case!(
        "P-13",
        PARTS,
        "a completed id is not known any more",
        completed
    ),
    case!(
        "P-14",
        PARTS,
        "a part that is missing, or has another etag, is invalid_part, and the upload stays",
        invalid_part
    ),
    case!(
        "P-15",
        PARTS,
        "a completed upload replaces the object, and a reader of the old one is not disturbed",
        replaces
    ),
    case!(
        "P-16",
        Tag::Cap(Capability::Parts),
        "a create-only completion spares an existing object, and the upload stays",
        create_only
    ),
    case!(
        "P-17",
        PARTS,
        "a completion under if_match needs the object's etag, and the upload stays",
        if_match
    ),
    case!(
        "P-18",
        PARTS,
        "a part whose body fails is not stored, and what it would have replaced stays",
        failed_part
    ),
    case!(
        "P-19",
        PARTS,
        "a part with a wrong digest is refused and not stored",
        wrong_digest
    ),
    case!("P-20", PARTS, "a part of unknown length", unknown_length),
    case!(
        "P-21",
        Tag::Cap(Capability::PartsAnySize),
        "parts of a few bytes, and an empty one",
        any_size
    ),
    case!(
        "P-22",
        PARTS,
        "two uploads of one key are independent; the one that is completed last wins",
        two_of_one_key
    ),
    case!(
        "P-23",
        PARTS,
        "a part that is dropped half-way is not stored, and leaves nothing behind",
        dropped_part
    ),
    case!(
        "P-24",
        PARTS,
        "of two that complete one upload at once, one succeeds and the object is whole",
        race
    ),
];

/// The smallest part that the backend takes anywhere.
fn part_size(t: &Trial) -> usize {
    (t.info().limits.min_part_bytes as usize).max(1000)
}

/// Bytes of part `number`, as large as it must be.
fn piece(t: &Trial, number: u32) -> Bytes {
    data::bytes(part_size(t) + number as usize, u64::from(number))
}

async fn begin(t: &Watched, key: &str) -> Result<String> {
    t.create_upload(CreateUpload::new(key)).await
}

async fn put(t: &Watched, key: &str, id: &str, number: u32, bytes: Bytes) -> Outcome<Part> {
    let size = bytes.len() as u64;
    let part = t.put_part(PutPart::new(key, id, number, bytes)).await?;
    ensure!(
        part.number == number && part.size == size && !part.etag.is_empty(),
        "part {number} of {size} bytes answered {part:?}"
    );
    Ok(part)
}

async fn complete(t: &Watched, key: &str, id: &str, parts: &[Part]) -> Outcome {
    let size: u64 = parts.iter().map(|part| part.size).sum();
    let uploaded = t
        .complete_upload(CompleteUpload::new(key, id, parts))
        .await?;
    ensure!(
        uploaded.size == size,
        "an object of {} bytes, its parts have {size}",
        uploaded.size
    );
    Ok(())
}

fn is_unknown<T>(answer: Result<T>, what: &str) -> Outcome {
    let error = refused(answer, ErrorKind::FileNotFound, what)?;
    ensure!(
        error.code() == "upload_not_found",
        "{what}: the code is {}, upload_not_found expected",
        error.code()
    );
    Ok(())
}

fn is_invalid_part<T>(answer: Result<T>, number: u32, what: &str) -> Outcome {
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

async fn in_order(t: &Trial) -> Outcome {
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

async fn invisible(t: &Trial) -> Outcome {
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

async fn described(t: &Trial) -> Outcome {
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

async fn again(t: &Trial) -> Outcome {
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

async fn gaps(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let mut parts = Vec::new();
    for number in [2, 5, 900] {
        parts.push(put(t, &key, &id, number, piece(t, number % 100)).await?);
    }
    parts.remove(1);
    complete(t, &key, &id, &parts).await?;
    t.holds(&key, &[piece(t, 2), piece(t, 0)].concat()).await
}

async fn at_once(t: &Trial) -> Outcome {
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

async fn another_instance(t: &Trial) -> Outcome {
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

async fn listed(t: &Trial) -> Outcome {
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

async fn pending(t: &Trial, prefix: &str, limit: u32) -> Outcome<Vec<(String, String)>> {
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

async fn uploads_listed(t: &Trial) -> Outcome {
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

/// Every operation of an upload, under an id that is not known.
async fn every_operation(t: &Trial, key: &str, id: &str) -> Outcome {
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

async fn unknown_id(t: &Trial) -> Outcome {
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

async fn other_key(t: &Trial) -> Outcome {
    let (key, other) = (t.key("object"), t.key("other"));
    let id = begin(t, &key).await?;
    every_operation(t, &other, &id).await?;
    let part = put(t, &key, &id, 1, piece(t, 1)).await?;
    complete(t, &key, &id, &[part]).await?;
    t.is_absent(&other).await
}

async fn aborted(t: &Trial) -> Outcome {
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

fn leaves_nothing(t: &Trial) -> Outcome {
    if let Some(access) = t.stage().direct_access(MAIN_STORE) {
        let left = access.leftovers();
        ensure!(left.is_empty(), "left in the store: {left:?}");
    }
    Ok(())
}

async fn completed(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let part = put(t, &key, &id, 1, piece(t, 1)).await?;
    complete(t, &key, &id, std::slice::from_ref(&part)).await?;
    every_operation(t, &key, &id).await?;
    t.holds(&key, &piece(t, 1)).await?;
    leaves_nothing(t)
}

async fn invalid_part(t: &Trial) -> Outcome {
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

async fn replaces(t: &Trial) -> Outcome {
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

async fn create_only(t: &Trial) -> Outcome {
    if !t.claims(Capability::CreateOnly) {
        return not_applicable("`create_only` is not claimed");
    }
    let key = t.key("object");
    t.put(&key, "before").await?;
    let id = begin(t, &key).await?;
    let part = put(t, &key, &id, 1, piece(t, 1)).await?;
    let parts = [part];
    let lost = CompleteUpload::new(&key, &id, &parts).create_only();
    let answer = t.complete_upload(lost).await;
    refused(
        answer,
        ErrorKind::PreconditionFailed,
        "create-only over an object",
    )?;
    t.holds(&key, b"before").await?;
    t.delete(Delete::new(&key)).await?;
    let won = CompleteUpload::new(&key, &id, &parts).create_only();
    t.complete_upload(won).await?;
    t.holds(&key, &piece(t, 1)).await
}

async fn if_match(t: &Trial) -> Outcome {
    if !t.claims(Capability::IfMatchPut) {
        return not_applicable("`if_match_put` is not claimed");
    }
    let key = t.key("object");
    t.put(&key, "before").await?;
    let etag = t.head(Head::new(&key)).await?.etag;
    let etag = etag.ok_or_else(|| Stop::Failed("no etag, and `if_match_put` is claimed".into()))?;
    let id = begin(t, &key).await?;
    let parts = [put(t, &key, &id, 1, piece(t, 1)).await?];
    let lost = CompleteUpload::new(&key, &id, &parts).if_match("\"kit-other\"");
    let answer = t.complete_upload(lost).await;
    refused(answer, ErrorKind::PreconditionFailed, "another etag")?;
    t.holds(&key, b"before").await?;
    let won = CompleteUpload::new(&key, &id, &parts).if_match(&etag);
    t.complete_upload(won).await?;
    t.holds(&key, &piece(t, 1)).await
}

async fn failed_part(t: &Trial) -> Outcome {
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

async fn wrong_digest(t: &Trial) -> Outcome {
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

async fn unknown_length(t: &Trial) -> Outcome {
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

async fn any_size(t: &Trial) -> Outcome {
    let key = t.key("object");
    let id = begin(t, &key).await?;
    let mut parts = Vec::new();
    for (number, text) in [(1, "a"), (2, ""), (3, "bc"), (4, "")] {
        parts.push(put(t, &key, &id, number, text.into()).await?);
    }
    complete(t, &key, &id, &parts).await?;
    t.holds(&key, b"abc").await
}

async fn two_of_one_key(t: &Trial) -> Outcome {
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

async fn dropped_part(t: &Trial) -> Outcome {
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

async fn race(t: &Trial) -> Outcome {
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
