//! Copies without conditions.

use crate::case::{Outcome, ensure};
use crate::cases::keys::{NAMES, content};
use crate::cases::uploads::infos;
use crate::data;
use crate::trial::{Trial, not_applicable};
use crate::watch::refused;
use holdall_plugin_api::{
    Capability, CopyObject, Delete, ErrorKind, Head, Operation, Rename, Upload,
};

pub(super) async fn complete(t: &Trial) -> Outcome {
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

pub(super) async fn missing_source(t: &Trial) -> Outcome {
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

pub(super) async fn replaces(t: &Trial) -> Outcome {
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

pub(super) async fn independent(t: &Trial) -> Outcome {
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

pub(super) async fn onto_itself(t: &Trial) -> Outcome {
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

pub(super) async fn create_only(t: &Trial) -> Outcome {
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

pub(super) async fn server_side(t: &Trial) -> Outcome {
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

pub(super) async fn every_key(t: &Trial) -> Outcome {
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
