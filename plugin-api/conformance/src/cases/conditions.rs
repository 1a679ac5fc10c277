//! G: conditional writes, exact under a race.

use crate::body;
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::data;
use crate::trial::Trial;
use crate::watch::{Watched, refused};
use futures_util::future::join_all;
use holdall_plugin_api::{Capability, Delete, Error, ErrorKind, Upload};

pub(super) const CASES: &[Case] = &[
    case!(
        "G-01",
        Tag::Cap(Capability::CreateOnly),
        "create-only takes a new key and spares an existing object",
        create_only
    ),
    case!(
        "G-02",
        Tag::Cap(Capability::CreateOnly),
        "create-only works again after a delete",
        create_again
    ),
    case!(
        "G-03",
        Tag::Cap(Capability::CreateOnly),
        "a large create-only upload obeys too, also when it loses while it runs",
        large_create_only
    ),
    case!(
        "G-04",
        Tag::Cap(Capability::CreateOnly),
        "16 create-only writers, 100 rounds: one winner each",
        create_race
    )
    // Some servers let losers wait for a second.
    .within(600),
    case!(
        "G-05",
        Tag::Cap(Capability::IfMatchPut),
        "an overwrite with the right etag, and with wrong ones",
        if_match_put
    ),
    case!(
        "G-06",
        Tag::Cap(Capability::IfMatchPut),
        "5 workers count to 50 by compare-and-swap",
        counter
    ),
    case!(
        "G-07",
        Tag::Cap(Capability::IfMatchDelete),
        "a delete with a stale etag deletes nothing",
        if_match_delete
    ),
    case!(
        "G-08",
        Tag::Core,
        "both conditions at once and an empty etag are invalid arguments",
        contradictions
    ),
];

const LOST: ErrorKind = ErrorKind::PreconditionFailed;

/// How a store may answer the loser of a race: the condition failed, or another writer was in the way.
fn is_loss(error: &Error) -> bool {
    [LOST, ErrorKind::Conflict].contains(&error.kind())
}

async fn create_only(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.upload(Upload::new(&key, "first").create_only()).await?;
    let before = t.read(&key).await?.0;
    let mut second = Upload::new(&key, "second").create_only();
    let options = second.options_mut();
    if t.claims(Capability::UserMetadata) {
        options.metadata = vec![("second", "1")];
    }
    refused(
        t.upload(second).await,
        LOST,
        "create-only on an existing key",
    )?;
    t.holds(&key, b"first").await?;
    let after = t.read(&key).await?.0;
    ensure!(
        before == after,
        "a lost create-only changed {before:?} to {after:?}"
    );
    Ok(())
}

async fn create_again(t: &Trial) -> Outcome {
    let key = t.key("object");
    for round in 0..3 {
        let text = round.to_string();
        t.upload(Upload::new(&key, text.clone()).create_only())
            .await?;
        t.holds(&key, text.as_bytes()).await?;
        t.delete(Delete::new(&key)).await?;
    }
    Ok(())
}

async fn large_create_only(t: &Trial) -> Outcome {
    let key = t.key("object");
    let bytes = data::bytes(2 * t.stage().part_bytes() + 1, 1);
    let pieces = || data::pieces(&bytes, 256 << 10);
    let size = bytes.len() as u64;
    let large = || {
        Upload::new(&key, body::chunked(pieces()))
            .length(size)
            .create_only()
    };
    t.upload(large()).await?;
    t.holds(&key, &bytes).await?;
    t.put(&key, "small").await?;
    refused(
        t.upload(large()).await,
        LOST,
        "a large create-only on an existing key",
    )?;
    t.holds(&key, b"small").await?;

    let raced = t.key("raced");
    let (body, mut gate) = body::gated(pieces(), vec!["end".into()]);
    let slow = t.upload(Upload::new(&raced, body).length(size + 3).create_only());
    let quick = async {
        ensure!(gate.reached().await, "the upload ended before its body did");
        t.upload(Upload::new(&raced, "quick").create_only()).await?;
        gate.open();
        Ok(())
    };
    let (slow, quick) = futures_util::future::join(slow, quick).await;
    quick?;
    refused(slow, LOST, "a create-only that lost while it ran")?;
    t.holds(&raced, b"quick").await
}

async fn create_race(t: &Trial) -> Outcome {
    for round in 0..100 {
        let key = t.key(&format!("object-{round}"));
        let writers = (0..16).map(|writer: usize| {
            let (subject, key) = (t.main(), key.clone());
            tokio::spawn(async move {
                let upload = Upload::new(&key, writer.to_string()).create_only();
                (writer, subject.upload(upload).await)
            })
        });
        let mut winners = Vec::new();
        for ended in join_all(writers).await {
            let (writer, answer) = ended.map_err(|panic| Stop::Failed(panic.to_string()))?;
            match answer {
                Ok(_) => winners.push(writer),
                Err(error) => ensure!(is_loss(&error), "a loser was told {error}"),
            }
        }
        ensure!(
            winners.len() == 1,
            "round {round}: {} winners",
            winners.len()
        );
        t.holds(&key, winners[0].to_string().as_bytes()).await?;
    }
    Ok(())
}

async fn etag(t: &Watched, key: &str) -> Outcome<String> {
    let etag = t.read(key).await?.0.etag;
    etag.ok_or_else(|| Stop::Failed("conditions on etags are claimed, but there is none".into()))
}

async fn if_match_put(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.put(&key, "1").await?;
    let first = etag(t, &key).await?;
    let uploaded = t.upload(Upload::new(&key, "2").if_match(&first)).await?;
    t.holds(&key, b"2").await?;
    let second = etag(t, &key).await?;
    ensure!(
        uploaded
            .etag
            .as_deref()
            .is_none_or(|answer| answer == second),
        "the answer has another etag"
    );
    for wrong in [&*first, "unknown"] {
        let answer = t.upload(Upload::new(&key, "3").if_match(wrong)).await;
        refused(answer, LOST, &format!("if-match {wrong:?}"))?;
    }
    t.holds(&key, b"2").await?;
    let missing = t.key("missing");
    let answer = t.upload(Upload::new(&missing, "3").if_match(&second)).await;
    refused(answer, LOST, "if-match on a missing key")?;
    t.is_absent(&missing).await?;
    t.put(&key, "2").await?;
    // Equal bytes, but another object: a compare-and-swap must notice.
    let answer = t.upload(Upload::new(&key, "3").if_match(&first)).await;
    refused(answer, LOST, "if-match with the etag of two objects ago").map(drop)
}

async fn counter(t: &Trial) -> Outcome {
    let key = t.key("counter");
    t.put(&key, "0").await?;
    let workers = (0..5).map(|_| {
        let (subject, key) = (t.main(), key.clone());
        tokio::spawn(async move {
            let mut done = 0;
            while done < 10 {
                let (info, bytes) = subject.read(&key).await?;
                let count: u32 = std::str::from_utf8(&bytes)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0);
                let known = info.etag.unwrap_or_default();
                // Another writer may be first now.
                tokio::task::yield_now().await;
                let next = Upload::new(&key, (count + 1).to_string()).if_match(&known);
                match subject.upload(next).await {
                    Ok(_) => done += 1,
                    Err(error) if is_loss(&error) => tokio::task::yield_now().await,
                    Err(error) => return Err(error),
                }
            }
            Ok::<_, Error>(())
        })
    });
    for ended in join_all(workers).await {
        ended.map_err(|panic| Stop::Failed(panic.to_string()))??;
    }
    t.holds(&key, b"50").await
}

async fn if_match_delete(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.put(&key, "1").await?;
    let first = etag(t, &key).await?;
    t.put(&key, "2").await?;
    for wrong in [&*first, "unknown"] {
        refused(
            t.delete(Delete::new(&key).if_match(wrong)).await,
            LOST,
            &format!("if-match {wrong:?}"),
        )?;
        t.holds(&key, b"2").await?;
    }
    let second = etag(t, &key).await?;
    t.delete(Delete::new(&key).if_match(&second)).await?;
    t.is_absent(&key).await
}

async fn contradictions(t: &Trial) -> Outcome {
    let key = t.key("object");
    let invalid = ErrorKind::InvalidArgument;
    let both = Upload::new(&key, "x").create_only().if_match("etag");
    refused(t.upload(both).await, invalid, "create-only with if-match")?;
    refused(
        t.upload(Upload::new(&key, "x").if_match("")).await,
        invalid,
        "an upload with an empty etag",
    )?;
    refused(
        t.delete(Delete::new(&key).if_match("")).await,
        invalid,
        "a delete with an empty etag",
    )?;
    t.is_absent(&key).await
}
