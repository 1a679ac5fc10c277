//! K: copies and renames.

use super::keys::{NAMES, content};
use super::uploads::infos;
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::data;
use crate::trial::{Trial, not_applicable};
use crate::watch::refused;
use holdall_plugin_api::{
    Capability, CopyObject, Delete, ErrorKind, Head, Operation, Rename, Upload, UploadOptions,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const COPY: Tag = Tag::Op(Operation::Copy);

pub(super) const CASES: &[Case] = &[
    case!(
        "K-01",
        COPY,
        "a copy has bytes, content type, headers and metadata; the source stays",
        complete
    ),
    case!(
        "K-02",
        COPY,
        "a missing source is FileNotFound and named; the target stays",
        missing_source
    ),
    case!("K-03", COPY, "a copy replaces its target wholly", replaces),
    case!(
        "K-04",
        COPY,
        "a later write to either side does not show on the other",
        independent
    ),
    case!(
        "K-05",
        COPY,
        "a copy onto itself changes nothing",
        onto_itself
    ),
    case!(
        "K-06",
        Tag::Cap(Capability::CopyCreateOnly),
        "a create-only copy spares an existing target",
        create_only
    ),
    case!(
        "K-07",
        Tag::Cap(Capability::ServerCopy),
        "64 MiB are copied without going through the plugin",
        server_side
    )
    .within(60),
    case!(
        "K-08",
        Tag::Op(Operation::Rename),
        "a rename moves all; where it is atomic, one of the names is there at any time",
        renames
    )
    .proves(&[Capability::AtomicMove]),
    case!("K-09", COPY, "every kind of key on both ends", every_key),
    case!(
        "K-10",
        Tag::Cap(Capability::CopyIfMatch),
        "a copy under if_match needs the target's etag",
        target_condition
    ),
    case!(
        "K-11",
        Tag::Cap(Capability::CopySourceConditions),
        "a copy under conditions on its source",
        source_conditions
    ),
    case!(
        "K-12",
        Tag::Cap(Capability::CopyReplaceMetadata),
        "a copy has what it was given in place of the source's type, headers and metadata",
        replaced
    ),
    case!(
        "K-13",
        Tag::Cap(Capability::CopyReplaceMetadata),
        "a copy onto itself with other metadata keeps the bytes",
        replaced_in_place
    ),
    case!(
        "K-14",
        Tag::Cap(Capability::CopySourceVersion),
        "a copy of an old version",
        old_version
    ),
    case!(
        "K-15",
        Tag::Cap(Capability::CopyIfMatch),
        "of ten copies under one etag of the target, one succeeds",
        target_race
    ),
];

async fn complete(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    for size in [0, 100, 2_500_000] {
        let bytes = data::bytes(size, 1);
        let when = |capability, value: &'static str| t.claims(capability).then_some(value);
        let mut upload = Upload::new(&from, bytes.clone());
        let options = upload.options_mut();
        options.content_type = when(Capability::ContentType, "text/x-kit; a=b");
        options.headers.cache_control = when(Capability::HeaderCacheControl, "no-store");
        options.headers.content_disposition = when(Capability::HeaderContentDisposition, "inline");
        options.headers.content_encoding = when(Capability::HeaderContentEncoding, "br");
        options.headers.content_language = when(Capability::HeaderContentLanguage, "de");
        if t.claims(Capability::UserMetadata) {
            options.metadata = vec![("kit", "caf\u{e9}")];
        }
        t.upload(upload).await?;
        let copied = t.copy(CopyObject::new(&from, &to)).await?;
        ensure!(
            copied.size.is_none_or(|found| found == size as u64),
            "a copy of {:?} bytes",
            copied.size
        );
        t.holds(&to, &bytes).await?;
        t.holds(&from, &bytes).await?;
        let sources = infos(t, &from).await?;
        for ((where_, source), (_, target)) in sources.into_iter().zip(infos(t, &to).await?) {
            ensure!(
                copied.etag.is_none() || copied.etag == target.etag,
                "{where_}: another etag than the answer's"
            );
            let mut expected = source;
            expected.etag.clone_from(&target.etag);
            expected.version.clone_from(&target.version);
            expected.url.clone_from(&target.url);
            expected.last_modified = target.last_modified;
            ensure!(
                expected == target,
                "{where_}: {target:?} is a copy of {expected:?}"
            );
        }
    }
    Ok(())
}

async fn missing_source(t: &Trial) -> Outcome {
    let (from, to) = (t.key("missing"), t.key("to"));
    for there in [false, true] {
        if there {
            t.put(&to, "target").await?;
        }
        let answer = t.copy(CopyObject::new(&from, &to)).await;
        let error = refused(answer, ErrorKind::FileNotFound, "copy of a missing key")?;
        ensure!(
            error.place().key.as_deref() == Some(&from),
            "the error names {:?}",
            error.place().key
        );
        if t.has(Operation::Rename) {
            let answer = t.rename(Rename::new(&from, &to)).await;
            refused(answer, ErrorKind::FileNotFound, "rename of a missing key")?;
        }
        match there {
            true => t.holds(&to, b"target").await?,
            false => t.is_absent(&to).await?,
        }
    }
    Ok(())
}

async fn replaces(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    let metadata = t.claims(Capability::UserMetadata);
    let mut old = Upload::new(&to, data::bytes(5000, 2));
    let options = old.options_mut();
    if metadata {
        options.metadata = vec![("old", "1")];
    }
    t.upload(old).await?;
    t.put(&from, "new").await?;
    t.copy(CopyObject::new(&from, &to)).await?;
    t.holds(&to, b"new").await?;
    for (from, info) in infos(t, &to).await? {
        ensure!(
            info.metadata.is_empty(),
            "{from}: metadata of the old target: {:?}",
            info.metadata
        );
    }
    Ok(())
}

async fn independent(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    for size in [10, 200_000] {
        let bytes = data::bytes(size, 3);
        t.put(&from, bytes.clone()).await?;
        t.copy(CopyObject::new(&from, &to)).await?;
        t.put(&from, "changed").await?;
        t.holds(&to, &bytes).await?;
        t.put(&from, bytes.clone()).await?;
        t.copy(CopyObject::new(&from, &to)).await?;
        t.put(&to, "changed").await?;
        t.holds(&from, &bytes).await?;
        t.copy(CopyObject::new(&from, &to)).await?;
        t.delete(Delete::new(&from)).await?;
        t.holds(&to, &bytes).await?;
    }
    Ok(())
}

async fn onto_itself(t: &Trial) -> Outcome {
    let key = t.key("object");
    let bytes = data::bytes(70_000, 4);
    let mut upload = Upload::new(&key, bytes.clone());
    let options = upload.options_mut();
    if t.claims(Capability::UserMetadata) {
        options.metadata = vec![("kit", "1")];
    }
    t.upload(upload).await?;
    let before = t.read(&key).await?.0;
    t.copy(CopyObject::new(&key, &key)).await?;
    t.holds(&key, &bytes).await?;
    let after = t.read(&key).await?.0;
    ensure!(before == after, "{before:?} became {after:?}");
    if t.has(Operation::Rename) {
        t.rename(Rename::new(&key, &key)).await?;
        t.holds(&key, &bytes).await?;
    }
    let missing = t.key("missing");
    refused(
        t.copy(CopyObject::new(&missing, &missing)).await,
        ErrorKind::FileNotFound,
        "copy of nothing onto itself",
    )
    .map(drop)
}

async fn create_only(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    t.put(&from, "source").await?;
    t.copy(CopyObject::new(&from, &to).create_only()).await?;
    t.holds(&to, b"source").await?;
    t.put(&to, "target").await?;
    let answer = t.copy(CopyObject::new(&from, &to).create_only()).await;
    refused(
        answer,
        ErrorKind::PreconditionFailed,
        "create-only copy onto an object",
    )?;
    t.holds(&to, b"target").await?;
    for round in 0..20 {
        let to = t.key(&format!("raced-{round}"));
        let copies = (0..8).map(|_| {
            let (subject, from, to) = (t.main(), from.clone(), to.clone());
            tokio::spawn(async move {
                subject
                    .copy(CopyObject::new(&from, &to).create_only())
                    .await
                    .is_ok()
            })
        });
        let ended = futures_util::future::join_all(copies).await;
        let won = ended.iter().filter(|one| matches!(one, Ok(true))).count();
        ensure!(won == 1, "{won} of 8 create-only copies at once succeeded");
    }
    Ok(())
}

async fn server_side(t: &Trial) -> Outcome {
    const SIZE: usize = 64 << 20;
    let Some(before) = t.subject().bytes_moved() else {
        return not_applicable("the stage does not count the bytes that go through the plugin");
    };
    let (from, to) = (t.key("from"), t.key("to"));
    let piece = data::bytes(1 << 20, 5);
    let body = crate::body::chunked(vec![piece; 64]);
    t.upload(Upload::new(&from, body).length(SIZE as u64))
        .await?;
    let stored = t.subject().bytes_moved().unwrap_or(0);
    ensure!(
        stored - before >= SIZE as u64,
        "the count of bytes does not count"
    );
    t.copy(CopyObject::new(&from, &to)).await?;
    let moved = t.subject().bytes_moved().unwrap_or(0) - stored;
    ensure!(moved < 1 << 20, "{moved} bytes went through the plugin");
    if t.has(Operation::Head) {
        ensure!(
            t.head(Head::new(&to)).await?.size == SIZE as u64,
            "the copy has another size"
        );
    }
    Ok(())
}

async fn renames(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    let bytes = data::bytes(30_000, 6);
    t.put(&to, "replaced").await?;
    let mut upload = Upload::new(&from, bytes.clone());
    let options = upload.options_mut();
    if t.claims(Capability::UserMetadata) {
        options.metadata = vec![("kit", "1")];
    }
    t.upload(upload).await?;
    let metadata = t.read(&from).await?.0.metadata;
    let renamed = t.rename(Rename::new(&from, &to)).await?;
    t.is_absent(&from).await?;
    t.holds(&to, &bytes).await?;
    ensure!(
        t.read(&to).await?.0.metadata == metadata,
        "the rename lost metadata"
    );
    let claimed = t.claims(Capability::AtomicMove);
    if renamed.atomic != claimed {
        let why = format!(
            "`atomic_move` is claimed: {claimed}; the answer says {}",
            renamed.atomic
        );
        return Err(if claimed {
            Stop::Failed(why)
        } else {
            Stop::Lied(format!("modestly: {why}"))
        });
    }
    match claimed {
        true => never_neither(t).await,
        false => Ok(()),
    }
}

/// While an object goes from one name to the next, a look at the old name and then at the new one
/// finds it.
async fn never_neither(t: &Trial) -> Outcome {
    const HOPS: usize = 50;
    let name = |hop: usize| t.key(&format!("hop-{hop:03}"));
    t.put(&name(0), "hopping").await?;
    let names: Vec<String> = (0..=HOPS).map(name).collect();
    let done = Arc::new(AtomicBool::new(false));
    let (mover, hops, ended) = (t.main(), names.clone(), done.clone());
    let moving = tokio::spawn(async move {
        let mut result = Ok(());
        for pair in hops.windows(2) {
            result = mover
                .rename(Rename::new(&pair[0], &pair[1]))
                .await
                .map(drop);
            if result.is_err() {
                break;
            }
        }
        ended.store(true, Ordering::Release);
        result
    });
    let mut hop = 0;
    while hop < HOPS && !done.load(Ordering::Acquire) {
        if t.exists(&names[hop]).await? {
            tokio::task::yield_now().await;
            continue;
        }
        // It may be several hops ahead by now, but it never comes back.
        let mut found = None;
        for (ahead, name) in names.iter().enumerate().skip(hop + 1) {
            if t.exists(name).await? {
                found = Some(ahead);
                break;
            }
        }
        let Some(ahead) = found else {
            return Err(Stop::Failed("the object was under neither name".into()));
        };
        hop = ahead;
    }
    match moving.await {
        Ok(moved) => moved?,
        Err(panic) => return Err(Stop::Failed(panic.to_string())),
    }
    t.holds(&names[HOPS], b"hopping").await
}

async fn every_key(t: &Trial) -> Outcome {
    let hub = t.key("hub");
    for name in NAMES {
        let (from, to) = (t.key(&format!("from/{name}")), t.key(&format!("to/{name}")));
        t.put(&from, content(&from)).await?;
        t.copy(CopyObject::new(&from, &to)).await?;
        t.holds(&to, from.as_bytes()).await?;
        t.copy(CopyObject::new(&to, &hub)).await?;
        t.holds(&hub, from.as_bytes()).await?;
        if t.has(Operation::Rename) {
            t.rename(Rename::new(&to, &hub)).await?;
            t.rename(Rename::new(&hub, &to)).await?;
            t.holds(&to, from.as_bytes()).await?;
        }
    }
    Ok(())
}

async fn etag_of(t: &Trial, key: &str) -> Outcome<String> {
    let head = t.head(Head::new(key)).await?;
    head.etag
        .ok_or_else(|| Stop::Failed("no etag, and conditions on it are claimed".into()))
}

async fn target_condition(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    t.put(&from, "new").await?;
    let copy = || CopyObject::new(&from, &to);
    let answer = t.copy(copy().if_match("\"kit-other\"")).await;
    refused(answer, ErrorKind::PreconditionFailed, "no target")?;
    t.is_absent(&to).await?;
    t.put(&to, "old").await?;
    let answer = t.copy(copy().if_match("\"kit-other\"")).await;
    refused(answer, ErrorKind::PreconditionFailed, "another etag")?;
    t.holds(&to, b"old").await?;
    let etag = etag_of(t, &to).await?;
    t.copy(copy().if_match(&etag)).await?;
    t.holds(&to, b"new").await
}

async fn source_conditions(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    t.put(&from, "bytes").await?;
    let etag = etag_of(t, &from).await?;
    let copy = || CopyObject::new(&from, &to);
    for lost in [
        copy().source_if_match("\"kit-other\""),
        copy().source_if_none_match(&etag),
    ] {
        let answer = t.copy(lost).await;
        refused(answer, ErrorKind::PreconditionFailed, "the source's etag")?;
        t.is_absent(&to).await?;
    }
    t.copy(copy().source_if_match(&etag)).await?;
    t.holds(&to, b"bytes").await?;
    t.copy(copy().source_if_none_match("\"kit-other\"")).await?;
    t.holds(&to, b"bytes").await
}

fn described(t: &Trial) -> UploadOptions<'static> {
    let mut options = UploadOptions::default();
    if t.claims(Capability::ContentType) {
        options.content_type = Some("application/x-kit-2");
    }
    if t.claims(Capability::UserMetadata) {
        options.metadata.push(("kit", "new"));
    }
    options
}

async fn is_replaced(t: &Trial, key: &str) -> Outcome {
    let wanted = described(t);
    for (what, info) in infos(t, key).await? {
        ensure!(
            wanted.content_type.is_none() || info.content_type.as_deref() == wanted.content_type,
            "{what}: content type {:?}",
            info.content_type
        );
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let expected: Vec<_> = wanted.metadata.iter().map(own).collect();
        ensure!(
            info.metadata == expected,
            "{what}: metadata {:?} instead of {expected:?}",
            info.metadata
        );
        ensure!(
            info.cache_control.is_none(),
            "{what}: Cache-Control of the source: {:?}",
            info.cache_control
        );
    }
    Ok(())
}

async fn source(t: &Trial, key: &str) -> Outcome {
    let mut upload = Upload::new(key, "bytes");
    if t.claims(Capability::UserMetadata) {
        upload = upload.metadata("old", "1");
    }
    if t.claims(Capability::HeaderCacheControl) {
        upload = upload.cache_control("no-store");
    }
    t.upload(upload).await?;
    Ok(())
}

async fn replaced(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    source(t, &from).await?;
    t.copy(CopyObject::new(&from, &to).replace(described(t)))
        .await?;
    t.holds(&to, b"bytes").await?;
    is_replaced(t, &to).await
}

async fn replaced_in_place(t: &Trial) -> Outcome {
    let key = t.key("object");
    source(t, &key).await?;
    t.copy(CopyObject::new(&key, &key).replace(described(t)))
        .await?;
    t.holds(&key, b"bytes").await?;
    is_replaced(t, &key).await
}

async fn old_version(t: &Trial) -> Outcome {
    let (from, to) = (t.key("from"), t.key("to"));
    let old = t.put(&from, "old").await?.version;
    let old = old.ok_or_else(|| Stop::Failed("an upload without a version".into()))?;
    t.put(&from, "new").await?;
    let copied = t
        .copy(CopyObject::new(&from, &to).source_version(&old))
        .await?;
    t.holds(&to, b"old").await?;
    ensure!(
        copied.source_version.is_none() || copied.source_version == Some(old),
        "the answer names {:?}",
        copied.source_version
    );
    Ok(())
}

async fn target_race(t: &Trial) -> Outcome {
    let to = t.key("to");
    t.put(&to, "old").await?;
    let etag = etag_of(t, &to).await?;
    let mut sources = Vec::new();
    for number in 0..10 {
        let from = t.key(&format!("from-{number}"));
        t.put(&from, format!("new-{number}")).await?;
        sources.push(from);
    }
    let copies = sources
        .iter()
        .map(|from| t.copy(CopyObject::new(from, &to).if_match(&etag)));
    let answers = futures_util::future::join_all(copies).await;
    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    ensure!(won == 1, "{won} of ten copies under one etag succeeded");
    for answer in answers.into_iter().filter(Result::is_err) {
        let kind = answer.map_err(|error| error.kind()).err();
        ensure!(
            matches!(
                kind,
                Some(ErrorKind::PreconditionFailed | ErrorKind::Conflict)
            ),
            "one of the others met {kind:?}"
        );
    }
    Ok(())
}
