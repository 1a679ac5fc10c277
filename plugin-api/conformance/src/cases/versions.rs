//! R: versions, where a store keeps them.

use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::trial::{Trial, not_applicable};
use crate::watch::refused;
use holdall_plugin_api::{
    Capability, CopyObject, Delete, DeleteMany, Download, ErrorKind, Head, ListVersions,
    ObjectVersion, Operation,
};

const VERSIONS: Tag = Tag::Cap(Capability::ListVersions);

pub(super) const CASES: &[Case] = &[
    case!(
        "R-01",
        VERSIONS,
        "every version of a key, the newest first, the current one marked",
        newest_first
    ),
    case!(
        "R-02",
        VERSIONS,
        "a version that is listed can be read and asked for, with the bytes of its time",
        readable
    ),
    case!(
        "R-03",
        VERSIONS,
        "a delete leaves a marker, and the versions before it",
        marker
    ),
    case!(
        "R-04",
        VERSIONS,
        "deleting a version removes only that one; deleting the newest uncovers the one before",
        one_version
    ),
    case!(
        "R-05",
        VERSIONS,
        "the deletion of a delete marker brings the object back",
        marker_deleted
    ),
    case!(
        "R-06",
        VERSIONS,
        "pages of any size, over several keys, with nothing twice or left out",
        pages
    ),
    case!("R-07", VERSIONS, "a prefix and a delimiter", grouped),
    case!(
        "R-08",
        VERSIONS,
        "a version that is not known is FileNotFound",
        unknown
    ),
    case!(
        "R-09",
        Tag::Cap(Capability::DeleteManyVersions),
        "a batch of deletes with a version for each key",
        batch
    ),
    case!(
        "R-10",
        VERSIONS,
        "a batch of deletes takes versions, in one request or one after the other",
        batch_composed
    ),
];

async fn stored(t: &Trial, key: &str, texts: &[&'static str]) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for text in texts {
        let uploaded = t.put(key, *text).await?;
        names.push(uploaded.version.ok_or_else(|| {
            Stop::Failed("an upload without a version, and `versions` is claimed".into())
        })?);
    }
    Ok(names)
}

async fn all(t: &Trial, prefix: &str, limit: u32) -> Outcome<Vec<ObjectVersion>> {
    let (mut found, mut token) = (Vec::new(), None::<String>);
    loop {
        let list = ListVersions::new(prefix).limit(limit);
        let page = t.list_versions(list.page_token(token.as_deref())).await?;
        ensure!(
            page.versions.len() <= limit as usize && page.common_prefixes.is_empty(),
            "a page of {} versions and {} groups, {limit} asked",
            page.versions.len(),
            page.common_prefixes.len()
        );
        found.extend(page.versions);
        token = page.next;
        if token.is_none() {
            return Ok(found);
        }
        ensure!(found.len() < 10_000, "the listing does not end");
    }
}

async fn newest_first(t: &Trial) -> Outcome {
    let key = t.key("object");
    let names = stored(t, &key, &["one", "two two", "three three three"]).await?;
    let found = all(t, &key, 1000).await?;
    let facts: Vec<_> = found
        .iter()
        .map(|version| (&version.version, version.size, version.is_latest))
        .collect();
    let expected = [
        (&names[2], 17, true),
        (&names[1], 7, false),
        (&names[0], 3, false),
    ];
    ensure!(facts == expected, "{facts:?} instead of {expected:?}");
    let head = t.head(Head::new(&key)).await?;
    ensure!(
        head.version.as_ref() == Some(&names[2]) && found[0].etag == head.etag,
        "the head says {head:?}, the list {:?}",
        found[0]
    );
    Ok(())
}

async fn readable(t: &Trial) -> Outcome {
    let key = t.key("object");
    let texts = ["one", "two", "three"];
    let names = stored(t, &key, &texts).await?;
    for (name, text) in names.iter().zip(texts) {
        let read = t.download(Download::new(&key).version(name)).await?;
        ensure!(
            read.info.version.as_ref() == Some(name),
            "version {name} says that it is {:?}",
            read.info.version
        );
        let bytes = read.body.collect(100).await?;
        ensure!(bytes == text, "version {name} has {bytes:?}");
        let head = t.head(Head::new(&key).version(name)).await?;
        ensure!(head.size == text.len() as u64, "{name}: {head:?}");
    }
    Ok(())
}

async fn marker(t: &Trial) -> Outcome {
    let key = t.key("object");
    let names = stored(t, &key, &["one", "two"]).await?;
    let deleted = t.delete(Delete::new(&key)).await?;
    ensure!(
        deleted.marker,
        "a delete in a store with versions answered {deleted:?}"
    );
    t.is_absent(&key).await?;
    let found = all(t, &key, 1000).await?;
    ensure!(
        found.len() == 3 && found[0].is_delete_marker && found[0].is_latest && found[0].size == 0,
        "the list has {found:?}"
    );
    ensure!(
        deleted.version.is_none() || deleted.version.as_ref() == Some(&found[0].version),
        "the delete answered {:?}, the marker is {:?}",
        deleted.version,
        found[0].version
    );
    let old = t.download(Download::new(&key).version(&names[1])).await?;
    ensure!(old.body.collect(10).await? == "two", "an old version");
    Ok(())
}

async fn one_version(t: &Trial) -> Outcome {
    let key = t.key("object");
    let names = stored(t, &key, &["one", "two", "three"]).await?;
    t.delete(Delete::new(&key).version(&names[1])).await?;
    t.holds(&key, b"three").await?;
    let gone = t.download(Download::new(&key).version(&names[1])).await;
    refused(gone, ErrorKind::FileNotFound, "a deleted version")?;
    t.delete(Delete::new(&key).version(&names[2])).await?;
    t.holds(&key, b"one").await?;
    let left: Vec<_> = all(t, &key, 1000).await?;
    ensure!(
        left.len() == 1 && left[0].version == names[0] && left[0].is_latest,
        "left: {left:?}"
    );
    t.delete(Delete::new(&key).version(&names[0])).await?;
    t.is_absent(&key).await?;
    let left = all(t, &key, 1000).await?;
    ensure!(left.is_empty(), "left: {left:?}");
    Ok(())
}

async fn marker_deleted(t: &Trial) -> Outcome {
    let key = t.key("object");
    stored(t, &key, &["one"]).await?;
    t.delete(Delete::new(&key)).await?;
    let found = all(t, &key, 1000).await?;
    let deleted = t
        .delete(Delete::new(&key).version(&found[0].version))
        .await?;
    ensure!(
        deleted.marker,
        "the deletion of a delete marker answered {deleted:?}"
    );
    t.holds(&key, b"one").await
}

async fn pages(t: &Trial) -> Outcome {
    let mut expected = Vec::new();
    for name in ["a", "a/b", "b", "c"] {
        let key = t.key(name);
        let mut names = stored(t, &key, &["1", "2", "3"]).await?;
        names.reverse();
        expected.extend(names.into_iter().map(|name| (key.clone(), name)));
    }
    for limit in [1, 2, 5, 1000] {
        let found = all(t, t.prefix(), limit).await?;
        let found: Vec<_> = found
            .into_iter()
            .map(|version| (version.key, version.version))
            .collect();
        ensure!(
            found == expected,
            "pages of {limit}: {found:?} instead of {expected:?}"
        );
    }
    Ok(())
}

async fn grouped(t: &Trial) -> Outcome {
    for name in ["a/1", "a/2", "b", "c/1"] {
        stored(t, &t.key(name), &["1", "2"]).await?;
    }
    let page = t
        .list_versions(ListVersions::new(t.prefix()).delimiter("/"))
        .await?;
    let keys: Vec<_> = page.versions.iter().map(|version| &version.key).collect();
    ensure!(
        keys == [&t.key("b"), &t.key("b")] && page.common_prefixes == [t.key("a/"), t.key("c/")],
        "keys {keys:?}, groups {:?}",
        page.common_prefixes
    );
    let below = all(t, &t.key("a/"), 1000).await?;
    ensure!(below.len() == 4, "below a/: {below:?}");
    Ok(())
}

async fn unknown(t: &Trial) -> Outcome {
    let key = t.key("object");
    let other = stored(t, &t.key("other"), &["x"]).await?;
    stored(t, &key, &["one"]).await?;
    // A name of the right form: that of another key.
    let answer = t.download(Download::new(&key).version(&other[0])).await;
    refused(answer, ErrorKind::FileNotFound, "a version of another key")?;
    let answer = t.head(Head::new(&key).version(&other[0])).await;
    refused(answer, ErrorKind::FileNotFound, "a version of another key")?;
    if t.claims(Capability::CopySourceVersion) {
        let to = t.key("copy");
        let copy = CopyObject::new(&key, &to).source_version(&other[0]);
        refused(
            t.copy(copy).await,
            ErrorKind::FileNotFound,
            "a copy of such a version",
        )?;
    }
    t.holds(&key, b"one").await
}

async fn batch(t: &Trial) -> Outcome {
    if !t.has(Operation::DeleteMany) {
        return not_applicable("no batch of deletes");
    }
    batch_composed(t).await
}

async fn batch_composed(t: &Trial) -> Outcome {
    let (one, two, three) = (t.key("one"), t.key("two"), t.key("three"));
    let first = stored(t, &one, &["a", "b"]).await?;
    let second = stored(t, &two, &["c", "d"]).await?;
    stored(t, &three, &["e"]).await?;
    let delete = DeleteMany::of_versions([
        (&one[..], Some(&first[1][..])),
        (&two[..], Some(&second[0][..])),
        (&three[..], None),
    ]);
    for (at, answer) in t.delete_many(delete).await?.into_iter().enumerate() {
        let deleted = answer?;
        ensure!(
            deleted.existed != Some(false),
            "answer {at} says {deleted:?}"
        );
    }
    t.holds(&one, b"a").await?;
    t.holds(&two, b"d").await?;
    t.is_absent(&three).await?;
    let left = all(t, t.prefix(), 1000).await?;
    let versions = left.iter().filter(|version| !version.is_delete_marker);
    ensure!(versions.count() == 3, "left: {left:?}");
    Ok(())
}
