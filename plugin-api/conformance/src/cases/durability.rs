//! E: readers see whole objects, whatever happens to a writer.

use crate::body::{self, BROKEN, Gate};
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::data;
use crate::trial::{Trial, not_applicable, soon};
use crate::watch::Watched;
use bytes::Bytes;
use futures_util::future::join;
use holdall_plugin_api::{
    Body, Capability, Delete, Download, Error, ErrorKind, Head, List, Operation, Upload,
};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

pub(super) const CASES: &[Case] = &[
    case!(
        "E-01",
        Tag::Core,
        "a new key is not visible while its upload runs",
        new_is_unseen
    )
    .proves(&[Capability::AtomicPut]),
    case!(
        "E-02",
        Tag::Core,
        "readers see the whole old object while an overwrite runs",
        old_is_whole
    )
    .proves(&[Capability::AtomicPut]),
    case!(
        "E-03",
        Tag::Core,
        "a reader that began before an overwrite gets one version or an error",
        no_mixture
    ),
    case!(
        "E-04",
        Tag::Core,
        "two writers of one key: one of them, with its own metadata",
        two_writers
    ),
    case!(
        "E-05",
        Tag::Core,
        "an upload that ends after 0, 1 or n chunks changes nothing",
        abandoned
    ),
    case!(
        "E-06",
        Tag::Core,
        "a source that fails is the cause of the error, and nothing changes",
        source_fails
    ),
    case!(
        "E-07",
        Tag::Core,
        "an upload dropped at any moment leaves the old object or the whole new one",
        dropped
    ),
    case!(
        "E-08",
        Tag::Core,
        "nothing remains of uploads that came to nothing",
        no_residue
    ),
    case!(
        "E-09",
        Tag::Need("another process"),
        "a process killed in mid-upload leaves the old object, and the next one sweeps",
        killed
    )
    .within(120),
    case!(
        "E-10",
        Tag::Need("a full disk"),
        "a disk that fills up in mid-upload: storage full, the old object intact",
        disk_full
    )
    .within(120),
    case!(
        "E-11",
        Tag::Need("a trace of system calls"),
        "durability full: file sync, rename, directory sync, in this order",
        sync_order
    )
    .within(120),
    case!(
        "E-12",
        Tag::Cap(Capability::UserMetadata),
        "metadata and data become visible together",
        together
    )
    .within(120),
    case!(
        "E-13",
        Tag::Cap(Capability::Usage),
        "usage counts what is stored, and no longer what was deleted",
        usage
    ),
];

/// A body of `first` and `rest` with a gate between them, and its upload.
fn slow(first: &Bytes, rest: &Bytes) -> (Body, u64, Gate) {
    let (body, gate) = body::gated(data::pieces(first, 64 << 10), data::pieces(rest, 64 << 10));
    (body, (first.len() + rest.len()) as u64, gate)
}

async fn at(gate: &mut Gate) -> Outcome {
    ensure!(gate.reached().await, "the upload ended before its body did");
    Ok(())
}

/// Small, so that it may be held in memory; larger than any buffer of one chunk.
const SIZES: [usize; 3] = [10, 100_000, 1_500_000];

async fn new_is_unseen(t: &Trial) -> Outcome {
    for size in SIZES {
        let key = t.key(&format!("object-{size}"));
        let (first, rest) = (data::bytes(size, 1), data::bytes(size, 2));
        let (body, length, mut gate) = slow(&first, &rest);
        let looking = async {
            at(&mut gate).await?;
            t.is_absent(&key).await?;
            if t.has(Operation::List) {
                let keys = t.keys(t.prefix(), 1000).await?;
                let unseen = keys.iter().all(|key| {
                    SIZES
                        .iter()
                        .any(|size| key.ends_with(&format!("object-{size}")))
                });
                ensure!(
                    unseen && !keys.contains(&key),
                    "the listing shows a part of an upload: {keys:?}"
                );
            }
            gate.open();
            Ok(())
        };
        let (uploaded, looked) =
            join(t.upload(Upload::new(&key, body).length(length)), looking).await;
        looked?;
        uploaded?;
        t.holds(&key, &[first, rest].concat()).await?;
    }
    Ok(())
}

async fn old_is_whole(t: &Trial) -> Outcome {
    for size in SIZES {
        let key = t.key("object");
        let old = data::bytes(50_000, 3);
        t.put(&key, old.clone()).await?;
        let (first, rest) = (data::bytes(size, 4), data::bytes(size, 5));
        let (body, length, mut gate) = slow(&first, &rest);
        let looking = async {
            at(&mut gate).await?;
            for _ in 0..5 {
                t.holds(&key, &old).await?;
            }
            if t.has(Operation::Head) {
                ensure!(
                    t.head(Head::new(&key)).await?.size == 50_000,
                    "head has the size of the new object"
                );
            }
            gate.open();
            Ok(())
        };
        let (uploaded, looked) =
            join(t.upload(Upload::new(&key, body).length(length)), looking).await;
        looked?;
        uploaded?;
        t.holds(&key, &[first, rest].concat()).await?;
    }
    Ok(())
}

async fn no_mixture(t: &Trial) -> Outcome {
    let key = t.key("object");
    for (old, new) in [
        (3 << 20, 3 << 20),
        (3 << 20, 10),
        (3 << 20, 0),
        (100_000, 3 << 20),
    ] {
        let old = data::bytes(old, 6);
        t.put(&key, old.clone()).await?;
        let mut reading = t.download(Download::new(&key).chunk_hint(64 << 10)).await?;
        let mut got = Vec::new();
        if let Some(first) = reading.body.chunk().await {
            got.extend_from_slice(&first?);
        }
        t.put(&key, data::bytes(new, 7)).await?;
        let ended: Result<(), Error> = async {
            while let Some(chunk) = reading.body.chunk().await {
                got.extend_from_slice(&chunk?);
            }
            Ok(())
        }
        .await;
        if ended.is_ok()
            && let Some(difference) = data::difference(&got, &old)
        {
            return Err(Stop::Failed(format!(
                "a reader got a mixture of two versions: {difference}"
            )));
        }
    }
    Ok(())
}

async fn two_writers(t: &Trial) -> Outcome {
    let key = t.key("object");
    let metadata = t.claims(Capability::UserMetadata);
    for round in 0..20 {
        let halves = |seed| {
            (
                data::bytes(20_000 + 7 * seed as usize, seed),
                data::bytes(30_000, seed + 100),
            )
        };
        let writers = [2 * round, 2 * round + 1].map(|seed| (seed.to_string(), halves(seed)));
        let mut uploads = Vec::new();
        let mut gates = Vec::new();
        for (name, (first, rest)) in &writers {
            let (body, length, gate) = slow(first, rest);
            let mut upload = Upload::new(&key, body).length(length);
            if metadata {
                upload = upload.metadata("writer", name);
            }
            uploads.push(t.upload(upload));
            gates.push(gate);
        }
        let both = async {
            for gate in &mut gates {
                at(gate).await?;
            }
            gates.into_iter().for_each(Gate::open);
            Ok::<_, Stop>(())
        };
        let (uploaded, reached) = join(futures_util::future::join_all(uploads), both).await;
        reached?;
        for one in uploaded {
            // A store may tell the loser; what it may not do is mix.
            if let Err(error) = one {
                ensure!(
                    error.kind() == ErrorKind::Conflict,
                    "a writer failed: {error}"
                );
            }
        }
        let (info, bytes) = t.read(&key).await?;
        let winner = writers
            .iter()
            .find(|(_, (first, rest))| [&first[..], &rest[..]].concat() == bytes);
        let Some((name, _)) = winner else {
            return Err(Stop::Failed("the object is neither writer's".into()));
        };
        if metadata {
            let of = info
                .metadata
                .iter()
                .find(|(key, _)| key == "writer")
                .map(|(_, value)| value);
            ensure!(
                of == Some(name),
                "bytes of writer {name} with metadata of {of:?}"
            );
        }
    }
    Ok(())
}

/// Runs uploads that come to nothing on a new key and on an existing one, and finds both as before.
async fn come_to_nothing<'k, F>(
    t: &Watched,
    new: &'k str,
    old: &'k str,
    mut attempt: impl FnMut(&'k str) -> F,
) -> Outcome
where
    F: Future<Output = Outcome>,
{
    t.put(old, "the old object").await?;
    for key in [new, old] {
        attempt(key).await?;
        t.is_absent(new).await?;
        t.holds(old, b"the old object").await?;
    }
    Ok(())
}

/// How many chunks go through before an upload ends.
const AFTER: [usize; 4] = [0, 1, 5, 40];

fn some_chunks(count: usize) -> Vec<Bytes> {
    data::pieces(&data::bytes(count * (64 << 10), 8), 64 << 10)
}

/// Ends an upload that waits for its next chunk.
async fn abandon(t: &Watched, key: &str, chunks: usize) -> Outcome {
    let (body, mut gate) = body::gated(some_chunks(chunks), vec!["never".into()]);
    let length = (chunks * (64 << 10)) as u64 + 5;
    let mut upload = pin!(t.upload(Upload::new(key, body).length(length)));
    let waits = async { at(&mut gate).await };
    tokio::select! {
        ended = &mut upload => Err(Stop::Failed(format!("the upload ended before its body: {ended:?}"))),
        waits = waits => waits,
    }
}

async fn abandoned(t: &Trial) -> Outcome {
    for chunks in AFTER {
        come_to_nothing(t, &t.key("new"), &t.key("old"), |key| {
            abandon(t, key, chunks)
        })
        .await?;
    }
    Ok(())
}

/// An upload whose source fails after some chunks.
async fn fail(t: &Watched, key: &str, chunks: usize, length: Option<u64>) -> Outcome {
    let mut upload = Upload::new(key, body::failing(some_chunks(chunks)));
    upload.length = length;
    let Err(error) = t.upload(upload).await else {
        return Err(Stop::Failed(
            "an upload whose source failed succeeded".into(),
        ));
    };
    let mut texts = vec![error.message().to_owned()];
    texts.extend(
        error
            .cause()
            .into_iter()
            .flat_map(|cause| cause.chain())
            .map(|cause| cause.text.clone()),
    );
    ensure!(
        texts.iter().any(|text| text.contains(BROKEN)),
        "the source's error is not the cause: {error:?}"
    );
    Ok(())
}

async fn source_fails(t: &Trial) -> Outcome {
    for chunks in AFTER {
        let whole = (chunks * (64 << 10)) as u64;
        // All bytes may be there already: the failure counts all the same.
        for length in [whole + 5, whole] {
            come_to_nothing(t, &t.key("new"), &t.key("old"), |key| {
                fail(t, key, chunks, Some(length))
            })
            .await?;
        }
    }
    if t.claims(Capability::UnknownLength) {
        come_to_nothing(t, &t.key("new"), &t.key("old"), |key| fail(t, key, 3, None)).await?;
    }
    Ok(())
}

/// Polls a future so many times; `true` when it ended meanwhile.
async fn polled(future: impl Future, times: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        let ended =
            std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
        if ended {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

async fn dropped(t: &Trial) -> Outcome {
    let (new, old) = (t.key("new"), t.key("old"));
    // The body has not ended, so the object cannot be published.
    for times in 0..8 {
        come_to_nothing(t, &new, &old, async |key| {
            let (body, _gate) = body::gated(some_chunks(2), vec!["never".into()]);
            let length = (128 << 10) + 5;
            ensure!(
                !polled(t.upload(Upload::new(key, body).length(length)), times).await,
                "the upload ended before its body"
            );
            Ok(())
        })
        .await?;
    }
    // The body has ended: the object may be published or not, but whole.
    let bytes = data::bytes(300_000, 9);
    for times in 0..12 {
        t.put(&old, "the old object").await?;
        let ended = polled(t.upload(Upload::new(&old, bytes.clone())), times).await;
        let (_, found) = t.read(&old).await?;
        let whole = found == bytes || (!ended && &*found == b"the old object");
        ensure!(
            whole,
            "an upload dropped after {times} polls left {} bytes",
            found.len()
        );
    }
    Ok(())
}

async fn no_residue(t: &Trial) -> Outcome {
    let store = t.new_store();
    let subject = t.open(store).await?;
    let access = t.stage().direct_access(store);
    if access.is_none() && !subject.claims(Capability::Usage) {
        return not_applicable("no look at the store from outside, and no usage to compare");
    }
    let used = async |subject: &Watched| match subject.claims(Capability::Usage) {
        true => subject
            .usage()
            .await
            // With a total it is the space of a medium, on which others write too.
            .map(|usage| {
                // Old versions stay.
                let versions = subject.claims(Capability::ListVersions);
                let alone = access.is_none() && usage.total.is_none() && !versions;
                (usage.objects, alone.then_some(usage.used))
            }),
        false => Ok((None, None)),
    };
    let (new, old) = (t.key("new"), t.key("old"));
    subject.put(&old, "the old object").await?;
    let before = used(&subject).await?;
    for chunks in AFTER {
        come_to_nothing(&subject, &new, &old, |key| abandon(&subject, key, chunks)).await?;
        come_to_nothing(&subject, &new, &old, |key| {
            fail(&subject, key, chunks, Some(9 << 20))
        })
        .await?;
    }
    for times in 0..6 {
        let (body, _gate) = body::gated(some_chunks(2), vec!["never".into()]);
        polled(
            subject.upload(Upload::new(&new, body).length(9 << 20)),
            times,
        )
        .await;
    }
    let after = used(&subject).await?;
    ensure!(before == after, "usage was {before:?} and is {after:?}");
    if subject.has(Operation::List) {
        let page = subject.list(List::new("")).await?;
        ensure!(
            page.entries.len() == 1 && page.skipped == 0,
            "the store has more than one object: {page:?}"
        );
    }
    if let Some(access) = access {
        // A dropped upload may be cleaned up by another thread.
        let gone = soon(|| access.leftovers().is_empty()).await;
        ensure!(gone, "left behind: {:?}", access.leftovers());
    }
    Ok(())
}

async fn usage(t: &Trial) -> Outcome {
    const SIZE: u64 = 300_000;
    let subject = t.open(t.new_store()).await?;
    let key = t.key("counted");
    let before = subject.usage().await?;
    let stored = subject.put(&key, vec![b'u'; SIZE as usize]).await?;
    let with = subject.usage().await?;
    for part in [with.used, with.free] {
        let fits = part <= with.total || with.total.is_none();
        ensure!(fits, "used or free is more than the total: {with:?}");
    }
    if let (Some(objects), None, true) = (with.objects, with.total, subject.has(Operation::List)) {
        let page = subject.list(List::new("")).await?;
        let listed = page.entries.len() as u64;
        ensure!(
            page.next.is_some() || listed == objects,
            "{objects} objects are counted, {listed} are listed"
        );
    }
    let mut delete = Delete::new(&key);
    // Without its name a version stays, and is counted.
    delete.version = stored
        .version
        .as_deref()
        .filter(|_| subject.claims(Capability::ListVersions));
    subject.delete(delete).await?;
    let after = subject.usage().await?;
    let grown = |counted: Option<u64>, from: Option<u64>, by| {
        let both = counted.zip(from);
        both.is_none_or(|(counted, from)| counted >= from.saturating_add(by))
    };
    ensure!(
        grown(with.objects, before.objects, 1) && after.objects == before.objects,
        "an object came and went; objects were {:?}, {:?}, {:?}",
        before.objects,
        with.objects,
        after.objects
    );
    // With a total it is the space of a medium, on which others write too.
    ensure!(
        with.total.is_some() || grown(with.used, before.used, SIZE) && after.used == before.used,
        "an object of {SIZE} bytes came and went; used was {:?}, {:?}, {:?}",
        before.used,
        with.used,
        after.used
    );
    Ok(())
}

async fn supplied(t: &Trial, case: &str) -> Outcome {
    match t.stage().supplies(case) {
        Some(doing) => doing.await.map_err(Stop::Failed),
        None => not_applicable("the stage has no way to do it"),
    }
}

async fn killed(t: &Trial) -> Outcome {
    supplied(t, "E-09").await
}

async fn disk_full(t: &Trial) -> Outcome {
    supplied(t, "E-10").await
}

async fn sync_order(t: &Trial) -> Outcome {
    supplied(t, "E-11").await
}

async fn together(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.upload(Upload::new(&key, "0").metadata("round", "0"))
        .await?;
    let (done, rounds) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (writer, halt, written, writing_key) =
        (t.main(), done.clone(), rounds.clone(), key.clone());
    let writing = tokio::spawn(async move {
        let mut round: usize = 0;
        while !halt.load(Ordering::Relaxed) {
            round += 1;
            let text = round.to_string();
            let body = text.repeat(round % 9 + 1);
            written.store(round, Ordering::Relaxed);
            writer
                .upload(Upload::new(&writing_key, body).metadata("round", &text))
                .await?;
        }
        Ok::<_, Error>(())
    });
    let looking = async {
        let mut polls = 0;
        // However the two are scheduled, there is something to see.
        while (polls < 1000 || rounds.load(Ordering::Relaxed) < 20) && !writing.is_finished() {
            polls += 1;
            let (info, bytes) = t.read(&key).await?;
            let metadata = info.metadata.iter().find(|(name, _)| name == "round");
            let Some(round) = metadata.and_then(|(_, text)| text.parse::<usize>().ok()) else {
                return Err(Stop::Failed("data without its metadata".into()));
            };
            let expected = round.to_string().repeat(round % 9 + 1);
            ensure!(
                bytes == expected,
                "metadata of round {round} with other data"
            );
        }
        Ok(())
    }
    .await;
    done.store(true, Ordering::Relaxed);
    match writing.await {
        Ok(written) => written?,
        Err(panic) => return Err(Stop::Failed(panic.to_string())),
    }
    looking
}
