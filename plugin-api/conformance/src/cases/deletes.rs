//! I: facts about an object, and its end.

use super::uploads::infos;
use super::{configuration, remote};
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::data;
use crate::subject::Broken;
use crate::trial::{Trial, not_applicable};
use crate::watch::refused;
use holdall_plugin_api::{
    Capability, Delete, DeleteMany, Deleted, Download, Error, ErrorKind, Head, List, Operation,
};
use std::time::{Duration, SystemTime};

pub(super) const CASES: &[Case] = &[
    case!(
        "I-01",
        Tag::Core,
        "the facts of an object are right, and its time is not in the future",
        facts
    ),
    case!(
        "I-02",
        Tag::Core,
        "head of a missing key is FileNotFound, exists is false",
        missing
    ),
    case!(
        "I-03",
        Tag::Core,
        "a mere prefix does not exist, nor a key of which only keys below exist",
        mere_prefix
    ),
    case!(
        "I-04",
        Tag::Need("a store that cannot answer"),
        "exists is an error where absence is not proven",
        not_proven
    )
    .within(120),
    case!(
        "I-05",
        Tag::Core,
        "after a delete no operation sees the object",
        gone
    ),
    case!(
        "I-06",
        Tag::Core,
        "to delete a missing key is fine, and the answer does not say that it existed",
        nothing_to_delete
    ),
    case!(
        "I-07",
        Tag::Core,
        "to delete a missing key that must exist is FileNotFound",
        must_exist
    )
    .proves(&[Capability::ExactDelete]),
    case!(
        "I-08",
        Tag::Core,
        "a delete spares keys below, beside and beginning with its key",
        spares_others
    ),
    case!(
        "I-09",
        Tag::Core,
        "a read that began before the delete ends whole or in an error",
        while_read
    ),
    case!(
        "I-10",
        Tag::Op(Operation::DeleteMany),
        "a batch answers for each key, in order, mixed and of any size",
        batch
    )
    .within(30),
    case!(
        "I-11",
        Tag::Op(Operation::DeleteMany),
        "a batch of keys that XML, URLs and UTF-16 find hard",
        batch_of_hard_keys
    ),
    case!(
        "I-12",
        Tag::Core,
        "glob characters in a key delete that key only",
        globs
    ),
];

/// Longest by which two clocks may differ.
const SKEW: Duration = Duration::from_secs(5);

async fn facts(t: &Trial) -> Outcome {
    let key = t.key("object");
    let before = SystemTime::now();
    t.put(&key, data::bytes(1234, 1)).await?;
    let infos = infos(t, &key).await?;
    for (from, info) in &infos {
        ensure!(info.size == 1234, "{from}: a size of {}", info.size);
        ensure!(info.etag.as_deref() != Some(""), "{from}: an empty etag");
        if let Some(time) = info.last_modified {
            ensure!(
                time + SKEW >= before,
                "{from}: modified before it was stored"
            );
            ensure!(
                time <= SystemTime::now() + SKEW,
                "{from}: modified in the future"
            );
        }
    }
    if let [(_, download), (_, head)] = &infos[..] {
        ensure!(
            download == head,
            "download says {download:?}, head says {head:?}"
        );
    }
    let etag = infos[0].1.etag.clone();
    t.put(&key, data::bytes(1234, 2)).await?;
    let (changed, _) = t.read(&key).await?;
    ensure!(
        etag.is_none() || etag != changed.etag,
        "other bytes under the same etag {etag:?}"
    );
    Ok(())
}

async fn missing(t: &Trial) -> Outcome {
    t.is_absent(&t.key("object")).await?;
    t.is_absent(&t.key("no/such/folder/object")).await
}

async fn mere_prefix(t: &Trial) -> Outcome {
    t.put(&t.key("folder/object"), "x").await?;
    t.put(&t.key("deep/er/object"), "x").await?;
    t.put(&t.key("name.txt"), "x").await?;
    for name in [
        "folder",
        "folder/obj",
        "fold",
        "deep",
        "deep/er",
        "name",
        "name.tx",
        "name.txt/below",
    ] {
        t.is_absent(&t.key(name)).await?;
        let deleted = t.delete(Delete::new(&t.key(name))).await?;
        ensure!(
            deleted.existed != Some(true),
            "delete says that {name:?} existed"
        );
    }
    t.holds(&t.key("folder/object"), b"x").await?;
    t.holds(&t.key("name.txt"), b"x").await
}

async fn not_proven(t: &Trial) -> Outcome {
    let told = remote::not_proven(t).await;
    configuration::both(told, broken(t).await)
}

async fn broken(t: &Trial) -> Outcome {
    let mut asked = 0;
    for how in [Broken::Credentials, Broken::Container] {
        let Some(opening) = t.stage().broken(how) else {
            continue;
        };
        asked += 1;
        // To refuse at once is as good.
        let Ok(subject) = opening.await else { continue };
        let subject = t.watch(subject);
        let key = t.key("object");
        let answer = subject.exists(&key).await;
        ensure!(answer.is_err(), "{how:?}: exists answers {answer:?}");
        let Err(error) = subject.read(&key).await else {
            return Err(Stop::Failed(format!("{how:?}: a download succeeds")));
        };
        ensure!(
            error.kind() != ErrorKind::FileNotFound,
            "{how:?}: a download says that the key is missing"
        );
    }
    match asked {
        0 => not_applicable("no store that cannot answer"),
        _ => Ok(()),
    }
}

async fn gone(t: &Trial) -> Outcome {
    for name in ["object", "folder/object"] {
        let key = t.key(name);
        t.put(&key, "x").await?;
        let deleted = t.delete(Delete::new(&key)).await?;
        ensure!(
            deleted.existed != Some(false),
            "delete says that {key:?} did not exist"
        );
        t.is_absent(&key).await?;
    }
    if t.has(Operation::List) {
        let left = t.keys(t.prefix(), 1000).await?;
        ensure!(left.is_empty(), "the listing shows {left:?}");
        let page = t.list(List::new(t.prefix()).delimiter("/")).await?;
        ensure!(
            page.common_prefixes.is_empty(),
            "empty folders are listed: {:?}",
            page.common_prefixes
        );
    }
    Ok(())
}

async fn nothing_to_delete(t: &Trial) -> Outcome {
    for name in ["object", "no/such/folder/object"] {
        for _ in 0..2 {
            let deleted = t.delete(Delete::new(&t.key(name))).await?;
            ensure!(
                deleted.existed != Some(true),
                "delete says that {name:?} existed"
            );
        }
    }
    Ok(())
}

async fn must_exist(t: &Trial) -> Outcome {
    let key = t.key("object");
    refused(
        t.delete(Delete::new(&key).must_exist()).await,
        ErrorKind::FileNotFound,
        "delete of a missing key",
    )?;
    t.put(&key, "x").await?;
    t.delete(Delete::new(&key).must_exist()).await?;
    t.is_absent(&key).await?;
    refused(
        t.delete(Delete::new(&key).must_exist()).await,
        ErrorKind::FileNotFound,
        "a second delete",
    )?;
    if !t.claims(Capability::ExactDelete) {
        return Ok(());
    }
    // Decided in the store: of many deletes at once exactly one finds the object.
    for _ in 0..20 {
        t.put(&key, "x").await?;
        let deletes = (0..8).map(|_| {
            let (subject, key) = (t.main(), key.clone());
            tokio::spawn(
                async move { subject.delete(Delete::new(&key).must_exist()).await.is_ok() },
            )
        });
        let ended = futures_util::future::join_all(deletes).await;
        let found = ended.iter().filter(|one| matches!(one, Ok(true))).count();
        ensure!(found == 1, "{found} of 8 deletes at once found the object");
    }
    Ok(())
}

async fn spares_others(t: &Trial) -> Outcome {
    let mut others = vec!["ab", "a.txt", "a-", "b/a"];
    if t.claims(Capability::KeyAndPrefix) {
        others.extend(["a/b", "a/b/c"]);
    }
    let others: Vec<String> = others.into_iter().map(|name| t.key(name)).collect();
    let key = t.key("a");
    t.put(&key, "a").await?;
    for other in &others {
        t.put(other, "other").await?;
    }
    t.delete(Delete::new(&key)).await?;
    t.is_absent(&key).await?;
    for other in &others {
        t.holds(other, b"other").await?;
    }
    // Nothing to delete now: it is still no prefix.
    t.delete(Delete::new(&key)).await?;
    let folder = t.key("b");
    t.delete(Delete::new(&folder)).await?;
    for other in &others {
        t.holds(other, b"other").await?;
    }
    Ok(())
}

async fn while_read(t: &Trial) -> Outcome {
    let key = t.key("object");
    let bytes = data::bytes(3 << 20, 3);
    t.put(&key, bytes.clone()).await?;
    let mut reading = t.download(Download::new(&key).chunk_hint(64 << 10)).await?;
    let mut got = Vec::new();
    if let Some(first) = reading.body.chunk().await {
        got.extend_from_slice(&first?);
    }
    t.delete(Delete::new(&key)).await?;
    t.is_absent(&key).await?;
    let ended: Result<(), Error> = async {
        while let Some(chunk) = reading.body.chunk().await {
            got.extend_from_slice(&chunk?);
        }
        Ok(())
    }
    .await;
    ensure!(
        ended.is_err() || got == bytes,
        "the read ended well after {} bytes of {}",
        got.len(),
        bytes.len()
    );
    Ok(())
}

async fn many(t: &Trial, keys: &[String]) -> Outcome<Vec<Result<Deleted, Error>>> {
    let answers = t
        .delete_many(DeleteMany::new(keys.iter().map(String::as_str)))
        .await?;
    ensure!(
        answers.len() == keys.len(),
        "{} answers for {} keys",
        answers.len(),
        keys.len()
    );
    Ok(answers)
}

async fn batch(t: &Trial) -> Outcome {
    ensure!(many(t, &[]).await?.is_empty(), "answers for no key");

    let (a, b) = (t.key("a"), t.key("b"));
    t.put(&a, "x").await?;
    t.put(&b, "x").await?;
    let keys = [
        a.clone(),
        t.key("missing"),
        t.key("bad//key"),
        b.clone(),
        a.clone(),
    ];
    let answers = many(t, &keys).await?;
    for (index, answer) in answers.into_iter().enumerate() {
        match index {
            2 => drop(refused(
                answer,
                ErrorKind::InvalidKey,
                "the invalid key of a batch",
            )?),
            1 => ensure!(
                answer?.existed != Some(true),
                "the missing key of a batch existed"
            ),
            // A key that is given twice: one of the two may have found it gone.
            0 | 4 => drop(answer?),
            _ => ensure!(
                answer?.existed != Some(false),
                "the key at {index} of a batch did not exist"
            ),
        }
    }
    t.is_absent(&a).await?;
    t.is_absent(&b).await?;

    let keys: Vec<String> = (0..1001)
        .map(|index| t.key(&format!("many/{index}")))
        .collect();
    let there = [0, 1, 500, 999, 1000];
    for index in there {
        t.put(&keys[index], "x").await?;
    }
    for (index, answer) in many(t, &keys).await?.into_iter().enumerate() {
        let wrong = Some(!there.contains(&index));
        ensure!(
            answer?.existed != wrong,
            "the answer at {index} is another key's"
        );
    }
    for index in there {
        t.is_absent(&keys[index]).await?;
    }
    Ok(())
}

async fn batch_of_hard_keys(t: &Trial) -> Outcome {
    let names = [
        "<a>&amp;'\"",
        "a&b",
        "]]>",
        "\u{1f392}",
        "\u{fffd}",
        "caf\u{e9}",
        "a+b%20c",
        "a b",
        "<!--x-->",
        "&#10;",
    ];
    let keys = names.map(|name| t.key(name));
    let spared = t.key("a");
    t.put(&spared, "x").await?;
    for key in &keys {
        t.put(key, "x").await?;
    }
    for answer in many(t, &keys).await? {
        ensure!(
            answer?.existed != Some(false),
            "a key of the batch did not exist"
        );
    }
    for key in &keys {
        t.is_absent(key).await?;
    }
    t.holds(&spared, b"x").await
}

async fn globs(t: &Trial) -> Outcome {
    let spared = ["ab", "abc", "a", "b", "a/x"].map(|name| t.key(name));
    for key in &spared {
        let below = key.ends_with("/x") && !t.claims(Capability::KeyAndPrefix);
        if !below {
            t.put(key, "spared").await?;
        }
    }
    for name in ["a*", "a?", "[ab]", "*", "a**", "{a,b}", "?"] {
        let key = t.key(name);
        let deleted = t.delete(Delete::new(&key)).await?;
        ensure!(
            deleted.existed != Some(true),
            "{name:?} is taken for another key"
        );
        t.put(&key, "glob").await?;
        t.delete(Delete::new(&key)).await?;
        t.is_absent(&key).await?;
    }
    for key in &spared {
        let below = key.ends_with("/x") && !t.claims(Capability::KeyAndPrefix);
        if !below {
            t.holds(key, b"spared").await?;
        }
    }
    if t.has(Operation::Head) {
        t.head(Head::new(&spared[0])).await?;
    }
    Ok(())
}
