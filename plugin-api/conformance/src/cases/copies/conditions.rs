//! Copies under conditions, and of a version.

use crate::case::{Outcome, Stop, ensure};
use crate::trial::Trial;
use crate::watch::refused;
use holdall_plugin_api::{CopyObject, ErrorKind, Head};

pub(super) async fn etag_of(t: &Trial, key: &str) -> Outcome<String> {
    let head = t.head(Head::new(key)).await?;
    head.etag
        .ok_or_else(|| Stop::Failed("no etag, and conditions on it are claimed".into()))
}

pub(super) async fn target_condition(t: &Trial) -> Outcome {
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

pub(super) async fn source_conditions(t: &Trial) -> Outcome {
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

pub(super) async fn old_version(t: &Trial) -> Outcome {
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

pub(super) async fn target_race(t: &Trial) -> Outcome {
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
