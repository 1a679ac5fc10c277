//! D: what is stored is what was sent, with its metadata, or nothing.

use crate::case::{Case, Outcome, Tag, case, ensure};
use crate::trial::{Trial, not_applicable};
use crate::watch::refused;
use crate::{body, data, unclaimed};
use bytes::Bytes;
use holdall_plugin_api::{Body, Capability, ErrorKind, Head, List, ObjectInfo, Operation, Upload};

pub(super) const CASES: &[Case] = &[
    case!(
        "D-01",
        Tag::Core,
        "sizes around the borders of blocks and parts come back byte for byte",
        sizes
    )
    .within(60),
    case!(
        "D-02",
        Tag::Core,
        "chunks of one byte, of random sizes, and empty ones in between",
        chunks
    ),
    case!(
        "D-03",
        Tag::Core,
        "shorter content leaves no tail of the longer one",
        shorter
    ),
    case!(
        "D-04",
        Tag::Core,
        "an overwrite inherits no content type, header or metadata",
        not_inherited
    ),
    case!(
        "D-05",
        Tag::Op(Operation::Head),
        "size, etag and checksum of the answer are those of head",
        answer_is_head
    ),
    case!(
        "D-06",
        Tag::Core,
        "a body one byte short or long is an error, and nothing becomes visible",
        wrong_length
    ),
    case!(
        "D-07",
        Tag::Cap(Capability::UnknownLength),
        "bodies of unknown length, of no bytes and of several parts",
        unknown_length
    ),
    case!(
        "D-08",
        Tag::Cap(Capability::ContentType),
        "the content type is returned exactly",
        content_type
    ),
    case!(
        "D-09",
        Tag::Core,
        "a malformed content type is an invalid argument",
        malformed_type
    ),
    case!(
        "D-10",
        Tag::Cap(Capability::UserMetadata),
        "user metadata round trips up to its limit, and is refused above",
        user_metadata
    ),
    case!(
        "D-11",
        Tag::Core,
        "each claimed header round trips, alone and with the others",
        headers
    )
    .proves(&[
        Capability::HeaderCacheControl,
        Capability::HeaderContentDisposition,
        Capability::HeaderContentEncoding,
        Capability::HeaderContentLanguage,
    ]),
    case!(
        "D-12",
        Tag::Core,
        "options that are not claimed are refused before a byte is read",
        unclaimed_options
    ),
    case!(
        "D-13",
        Tag::Core,
        "every operation sees a new object as soon as the upload returns",
        seen_at_once
    ),
    case!(
        "D-14",
        Tag::Core,
        "more than the largest size is refused early when the length is known",
        too_large
    ),
    case!(
        "D-15",
        Tag::Core,
        "a body of one chunk is read to its end before the answer",
        read_to_the_end
    ),
];

async fn sizes(t: &Trial) -> Outcome {
    const MIB: usize = 1 << 20;
    let parts = 3 * t.stage().part_bytes() + 1;
    let key = t.key("object");
    for size in [0, 1, 8191, 8192, 8193, MIB - 1, MIB, MIB + 1, parts] {
        let bytes = data::bytes(size, size as u64 + 1);
        t.put(&key, bytes.clone()).await?;
        t.holds(&key, &bytes).await?;
        let pieces = data::pieces(&bytes, 64 << 10);
        t.upload(Upload::new(&key, body::chunked(pieces)).length(size as u64))
            .await?;
        t.holds(&key, &bytes).await?;
    }
    Ok(())
}

async fn chunks(t: &Trial) -> Outcome {
    let key = t.key("object");
    let bytes = data::bytes(2000, 1);
    let single = data::pieces(&bytes, 1);
    t.upload(Upload::new(&key, body::chunked(single)).length(2000))
        .await?;
    t.holds(&key, &bytes).await?;

    let mut numbers = data::Numbers::new(2);
    let bytes = data::bytes(700_000, 3);
    let (mut rest, mut random) = (bytes.clone(), vec![Bytes::new()]);
    while !rest.is_empty() {
        let cut = numbers.below(60_000).min(rest.len());
        random.push(rest.split_to(cut));
        random.push(Bytes::new());
    }
    t.upload(Upload::new(&key, body::chunked(random)).length(bytes.len() as u64))
        .await?;
    t.holds(&key, &bytes).await?;

    t.upload(Upload::new(&key, body::chunked(vec![Bytes::new(); 3])).length(0))
        .await?;
    t.holds(&key, b"").await
}

async fn shorter(t: &Trial) -> Outcome {
    let key = t.key("object");
    for size in [200_000, 70_000, 5000, 5, 1, 0] {
        let bytes = data::bytes(size, size as u64);
        t.put(&key, bytes.clone()).await?;
        t.holds(&key, &bytes).await?;
    }
    Ok(())
}

/// An upload with everything that is claimed.
fn adorned<'a>(t: &Trial, key: &'a str, body: impl Into<Body>) -> Upload<'a> {
    let claims = |capability| t.claims(capability);
    let when = |capability, value: &'static str| claims(capability).then_some(value);
    let metadata = claims(Capability::UserMetadata);
    let mut upload = Upload::new(key, body);
    let options = upload.options_mut();
    options.content_type = when(Capability::ContentType, "text/x-kit; charset=utf-8");
    options.headers.cache_control = when(Capability::HeaderCacheControl, "max-age=60, private");
    options.headers.content_disposition = when(
        Capability::HeaderContentDisposition,
        "attachment; filename=\"a b.txt\"",
    );
    options.headers.content_encoding = when(Capability::HeaderContentEncoding, "gzip");
    options.headers.content_language = when(Capability::HeaderContentLanguage, "de-CH, en");
    if metadata {
        options.metadata = vec![("kit", "1"), ("owner-7", "caf\u{e9}")];
    }
    upload
}

fn headers_of(info: &ObjectInfo) -> [Option<&str>; 4] {
    [
        &info.cache_control,
        &info.content_disposition,
        &info.content_encoding,
        &info.content_language,
    ]
    .map(Option::as_deref)
}

fn sorted(metadata: &[(String, String)]) -> Vec<(&str, &str)> {
    let mut pairs: Vec<_> = metadata
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    pairs.sort_unstable();
    pairs
}

/// What download and, if there is one, head say.
pub(super) async fn infos(t: &Trial, key: &str) -> Outcome<Vec<(&'static str, ObjectInfo)>> {
    let mut infos = vec![("download", t.read(key).await?.0)];
    if t.has(Operation::Head) {
        infos.push(("head", t.head(Head::new(key)).await?));
    }
    Ok(infos)
}

async fn not_inherited(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.upload(adorned(t, &key, "adorned")).await?;
    t.put(&key, "plain").await?;
    for (from, info) in infos(t, &key).await? {
        // A backend may name a type of its own for an object without one, but not the old one.
        ensure!(
            info.content_type.as_deref() != Some("text/x-kit; charset=utf-8"),
            "{from}: the content type is inherited"
        );
        ensure!(
            headers_of(&info) == [None; 4],
            "{from}: headers are inherited: {:?}",
            headers_of(&info)
        );
        ensure!(
            info.metadata.is_empty(),
            "{from}: user metadata is inherited: {:?}",
            info.metadata
        );
    }
    if t.claims(Capability::UserMetadata) {
        t.upload(Upload::new(&key, "x").metadata("a", "1").metadata("b", "2"))
            .await?;
        t.upload(Upload::new(&key, "x").metadata("b", "3")).await?;
        for (from, info) in infos(t, &key).await? {
            ensure!(
                sorted(&info.metadata) == [("b", "3")],
                "{from}: user metadata is merged: {:?}",
                info.metadata
            );
        }
    }
    Ok(())
}

async fn answer_is_head(t: &Trial) -> Outcome {
    let key = t.key("object");
    for size in [0, 10, 300_000] {
        let bytes = data::bytes(size, 4);
        let crc32c = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &bytes) as u32;
        let uploaded = t.upload(adorned(t, &key, bytes)).await?;
        let head = t.head(Head::new(&key)).await?;
        ensure!(
            uploaded.size == size as u64 && head.size == size as u64,
            "sizes {} and {} of {size} bytes",
            uploaded.size,
            head.size
        );
        ensure!(
            uploaded.etag == head.etag,
            "etags {:?} and {:?}",
            uploaded.etag,
            head.etag
        );
        let found = [uploaded.checksums.crc32c, head.checksums.crc32c];
        let right = found.iter().flatten().all(|found| *found == crc32c);
        ensure!(right, "CRC-32C {found:x?} of an object with {crc32c:x}");
        let stated = [uploaded.checksums.sha256, head.checksums.sha256];
        ensure!(
            stated.iter().any(Option::is_none) || stated[0] == stated[1],
            "two different SHA-256"
        );
    }
    Ok(())
}

async fn wrong_length(t: &Trial) -> Outcome {
    let (new, old) = (t.key("new"), t.key("old"));
    t.put(&old, "the old object").await?;
    let bytes = data::bytes(200_000, 5);
    let size = bytes.len() as u64;
    for declared in [size - 1, size + 1, 0] {
        for in_pieces in [false, true] {
            for key in [&new, &old] {
                let body = match in_pieces {
                    false => Body::from(bytes.clone()),
                    true => body::chunked(data::pieces(&bytes, 50_000)),
                };
                let answer = t.upload(Upload::new(key, body).length(declared)).await;
                refused(
                    answer,
                    ErrorKind::InvalidArgument,
                    &format!("{size} bytes declared as {declared}"),
                )?;
            }
            t.is_absent(&new).await?;
            t.holds(&old, b"the old object").await?;
        }
    }
    Ok(())
}

async fn unknown_length(t: &Trial) -> Outcome {
    let key = t.key("object");
    let size = 2 * t.stage().part_bytes() + 12_345;
    for size in [0, 1, size] {
        let bytes = data::bytes(size, 6);
        let upload = Upload::new(&key, body::chunked(data::pieces(&bytes, 100_000)));
        ensure!(upload.length.is_none(), "the kit's body knows its length");
        let uploaded = t.upload(upload).await?;
        ensure!(
            uploaded.size == size as u64,
            "a size of {} for {size} bytes",
            uploaded.size
        );
        t.holds(&key, &bytes).await?;
    }
    Ok(())
}

async fn content_type(t: &Trial) -> Outcome {
    let key = t.key("object.txt");
    for content_type in [
        "image/svg+xml",
        "text/plain; charset=\"utf-8\"; x=y",
        "TEXT/Html",
        "application/vnd.holdall.kit+json",
    ] {
        t.upload(Upload::new(&key, "x").content_type(content_type))
            .await?;
        for (from, info) in infos(t, &key).await? {
            ensure!(
                info.content_type.as_deref() == Some(content_type),
                "{from}: {:?} for {content_type:?}",
                info.content_type
            );
        }
    }
    Ok(())
}

async fn malformed_type(t: &Trial) -> Outcome {
    let key = t.key("object");
    for content_type in [
        "",
        "text",
        "text/",
        "/plain",
        "te xt/plain",
        "text/plain\r\nx: y",
        "text/pl\u{e9}in",
        "text/a/b",
    ] {
        let (body, pulls) = body::counted("x");
        let answer = t
            .upload(Upload::new(&key, body).length(1).content_type(content_type))
            .await;
        refused(
            answer,
            ErrorKind::InvalidArgument,
            &format!("content type {content_type:?}"),
        )?;
        ensure!(
            pulls.count() == 0,
            "the body was read before {content_type:?} was refused"
        );
    }
    t.is_absent(&key).await
}

async fn user_metadata(t: &Trial) -> Outcome {
    let key = t.key("object");
    let limit = t.info().limits.max_metadata_bytes as usize;
    let longest = "v".repeat(limit - 1);
    let too_long = "v".repeat(limit);
    for pairs in [
        vec![("a", "1")],
        vec![("empty", "")],
        vec![
            ("a", "caf\u{e9} \u{1f392}"),
            ("b-2", " inner  blanks "),
            ("0", "%25=;,\""),
        ],
        vec![("k", &longest)],
    ] {
        let mut upload = Upload::new(&key, "x");
        upload.options_mut().metadata = pairs.clone();
        t.upload(upload).await?;
        let mut expected = pairs;
        expected.sort_unstable();
        for (from, info) in infos(t, &key).await? {
            ensure!(
                sorted(&info.metadata) == expected,
                "{from}: {:?} for {expected:?}",
                info.metadata
            );
        }
    }
    t.put(&key, "old").await?;
    for pairs in [
        vec![("k", &*too_long)],
        vec![("a", "1"), ("a", "2")],
        vec![("a", "1"), ("A", "2")],
        vec![("", "1")],
        vec![("a b", "1")],
        vec![("a", "line\nbreak")],
    ] {
        let names: Vec<_> = pairs.iter().map(|(name, _)| *name).collect();
        let mut upload = Upload::new(&key, "new");
        upload.options_mut().metadata = pairs.clone();
        refused(
            t.upload(upload).await,
            ErrorKind::InvalidArgument,
            &format!("metadata named {names:?}"),
        )?;
    }
    t.holds(&key, b"old").await
}

const HEADERS: [Capability; 4] = [
    Capability::HeaderCacheControl,
    Capability::HeaderContentDisposition,
    Capability::HeaderContentEncoding,
    Capability::HeaderContentLanguage,
];

async fn headers(t: &Trial) -> Outcome {
    let claimed: Vec<usize> = (0..4).filter(|index| t.claims(HEADERS[*index])).collect();
    if claimed.is_empty() {
        return not_applicable("no header is claimed");
    }
    let key = t.key("object");
    let texts = [
        "no-cache, max-age=0",
        "attachment; filename*=UTF-8''%C3%A9.txt",
        "br",
        "fr-CA",
    ];
    let alone = claimed.iter().map(|index| vec![*index]);
    for wanted in alone.chain([claimed.clone()]) {
        let value = |index: usize| wanted.contains(&index).then(|| texts[index]);
        let expected = [0, 1, 2, 3].map(value);
        let mut upload = Upload::new(&key, "x");
        let options = upload.options_mut();
        options.headers.cache_control = expected[0];
        options.headers.content_disposition = expected[1];
        options.headers.content_encoding = expected[2];
        options.headers.content_language = expected[3];
        t.upload(upload).await?;
        for (from, info) in infos(t, &key).await? {
            ensure!(
                headers_of(&info) == expected,
                "{from}: {:?} for {expected:?}",
                headers_of(&info)
            );
        }
    }
    Ok(())
}

async fn unclaimed_options(t: &Trial) -> Outcome {
    let options = [
        Capability::CreateOnly,
        Capability::IfMatchPut,
        Capability::ContentType,
        Capability::UserMetadata,
        Capability::Durability,
    ];
    let unclaimed: Vec<_> = options
        .into_iter()
        .chain(HEADERS)
        .filter(|one| !t.claims(*one))
        .collect();
    for capability in &unclaimed {
        unclaimed::is_refused(t, *capability).await?;
    }
    match unclaimed.is_empty() {
        true => not_applicable("every option of an upload is claimed"),
        false => Ok(()),
    }
}

async fn seen_at_once(t: &Trial) -> Outcome {
    for round in 0..20 {
        let key = t.key(&format!("object-{round}"));
        t.put(&key, "at once").await?;
        t.holds(&key, b"at once").await?;
        if t.has(Operation::Head) {
            ensure!(
                t.head(Head::new(&key)).await?.size == 7,
                "head has another size"
            );
        }
        if t.has(Operation::List) {
            let page = t.list(List::new(&key)).await?;
            ensure!(
                page.entries.iter().any(|entry| entry.key == key),
                "the listing lacks {key:?}"
            );
        }
    }
    Ok(())
}

async fn too_large(t: &Trial) -> Outcome {
    let Some(max) = t.info().limits.max_object_size else {
        return not_applicable("the backend states no largest size");
    };
    let key = t.key("object");
    let (body, pulls) = body::counted("x");
    let answer = t
        .upload(Upload::new(&key, body).length(max.saturating_add(1)))
        .await;
    refused(
        answer,
        ErrorKind::TooLarge,
        "one byte over the largest size",
    )?;
    ensure!(pulls.count() == 0, "the body was read before the refusal");
    t.is_absent(&key).await
}

async fn read_to_the_end(t: &Trial) -> Outcome {
    let key = t.key("object");
    let (body, ended) = body::watched("one chunk");
    t.upload(Upload::new(&key, body).length(9)).await?;
    ensure!(
        ended.count() > 0,
        "the upload succeeded, but the end of its body was not read: a wrong length or digest shows there"
    );
    t.holds(&key, b"one chunk").await
}
