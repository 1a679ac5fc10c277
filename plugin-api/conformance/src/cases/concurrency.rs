//! O: many callers, callers that go away, and what is handed out comes back.

use super::remote;
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::trial::{Trial, not_applicable, soon};
use crate::watch::Watched;
use crate::{body, data};
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use holdall_plugin_api::{
    Body, ByteRange, Capability, CopyObject, Custom, Delete, Download, Error, ErrorKind, Head,
    List, Operation, Rename, Upload,
};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

pub(super) const CASES: &[Case] = &[
    case!(
        "O-01",
        Tag::Core,
        "32 tasks mix all operations on keys of their own, without cross-talk",
        mixed
    )
    .within(60),
    case!(
        "O-02",
        Tag::Core,
        "an upload and a delete of one key race to one of two ends",
        put_and_delete
    ),
    case!(
        "O-03",
        Tag::Core,
        "calls that are dropped before, during and after their work leave nothing",
        cancelled
    ),
    case!(
        "O-04",
        Tag::Need("deadlines"),
        "a deadline that has passed is Timeout, at once",
        past_deadline
    ),
    case!(
        "O-05",
        Tag::Core,
        "no hostile input makes the plugin panic",
        hostile
    ),
    case!(
        "O-06",
        Tag::Need("http"),
        "the plugin repeats no request more often than it claims",
        remote::own_repeats
    )
    .within(240),
    case!(
        "O-07",
        Tag::Need("a server"),
        "an attempt that took effect and whose answer was lost can be repeated, and is no success twice",
        remote::lost_answers
    )
    .within(60),
    case!(
        "O-08",
        Tag::Core,
        "every buffer that is handed out is given back, once",
        buffers
    ),
    case!(
        "O-09",
        Tag::Core,
        "operations survive spurious polls, each on another thread with another waker",
        polled_anywhere
    ),
    case!(
        "O-10",
        Tag::Core,
        "the waker of the last poll is woken, and no other is needed",
        last_waker
    ),
    case!(
        "O-11",
        Tag::Core,
        "an overwrite that is dropped at any await point leaves the old object or the new one, whole",
        dropped_anywhere
    )
    .within(120),
];

async fn ended<T>(
    tasks: impl IntoIterator<Item = tokio::task::JoinHandle<Outcome<T>>>,
) -> Outcome<Vec<T>> {
    let ended = join_all(tasks).await.into_iter();
    ended
        .map(|one| one.unwrap_or_else(|panic| Err(Stop::Failed(panic.to_string()))))
        .collect()
}

async fn mixed(t: &Trial) -> Outcome {
    let tasks = (0..32_u64).map(|task| {
        let (subject, prefix) = (t.main(), t.key(&format!("task-{task}/")));
        tokio::spawn(async move {
            let mut numbers = data::Numbers::new(task);
            for round in 0..8 {
                let key = format!("{prefix}object-{}", numbers.below(3));
                let bytes = data::bytes(numbers.below(40_000), task * 100 + round);
                subject.put(&key, bytes.clone()).await?;
                subject.holds(&key, &bytes).await?;
                let other = format!("{prefix}other");
                if subject.has(Operation::Copy) {
                    subject.copy(CopyObject::new(&key, &other)).await?;
                    subject.holds(&other, &bytes).await?;
                }
                if subject.has(Operation::Rename) {
                    subject.rename(Rename::new(&key, &other)).await?;
                    subject.is_absent(&key).await?;
                    subject.rename(Rename::new(&other, &key)).await?;
                }
                if subject.has(Operation::List) {
                    let keys = subject.keys(&prefix, 1000).await?;
                    ensure!(
                        keys.contains(&key) && keys.iter().all(|key| key.starts_with(&prefix)),
                        "task {task} sees {keys:?}"
                    );
                }
                subject.delete(Delete::new(&key)).await?;
                subject.is_absent(&key).await?;
            }
            Ok(())
        })
    });
    ended(tasks.collect::<Vec<_>>()).await.map(drop)
}

async fn put_and_delete(t: &Trial) -> Outcome {
    let bytes = data::bytes(100_000, 1);
    for round in 0..40 {
        let key = t.key(&format!("object-{round}"));
        t.put(&key, "old").await?;
        let (writer, deleter) = (t.main(), t.main());
        let (put_key, delete_key, put_bytes) = (key.clone(), key.clone(), bytes.clone());
        let put = tokio::spawn(async move { writer.put(&put_key, put_bytes).await.map(drop) });
        let delete =
            tokio::spawn(
                async move { Ok(deleter.delete(Delete::new(&delete_key)).await.map(drop)?) },
            );
        ended([put, delete]).await?;
        match t.exists(&key).await? {
            true => t.holds(&key, &bytes).await?,
            false => t.is_absent(&key).await?,
        }
    }
    Ok(())
}

async fn cancelled(t: &Trial) -> Outcome {
    let key = t.key("object");
    let bytes = data::bytes(200_000, 2);
    t.put(&key, bytes.clone()).await?;
    for polls in 0..6 {
        // Before the start (never polled), on the way, and after the end.
        drop_after(t.read(&key), polls).await;
        drop_after(t.exists(&key), polls).await;
        drop_after(t.delete(Delete::new(&t.key("missing"))), polls).await;
        if t.has(Operation::Head) {
            drop_after(t.head(Head::new(&key)), polls).await;
        }
        if t.has(Operation::List) {
            drop_after(t.list(List::new(t.prefix())), polls).await;
        }
        if t.has(Operation::Copy) {
            drop_after(t.copy(CopyObject::new(&key, &key)), polls).await;
        }
    }
    let downloaded = t.download(Download::new(&key).chunk_hint(64 << 10)).await?;
    let mut reading = downloaded.body;
    drop(reading.chunk().await);
    drop(reading);
    t.holds(&key, &bytes).await
}

async fn drop_after<T>(future: impl Future<Output = T>, polls: usize) {
    let mut future = pin!(future);
    for _ in 0..polls {
        let ended =
            std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready()))
                .await;
        if ended {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn past_deadline(t: &Trial) -> Outcome {
    let key = t.key("object");
    let started = Instant::now();
    let Some(call) = t
        .subject()
        .exists_within(holdall_plugin_api::Key::new(&key), Duration::ZERO)
    else {
        return not_applicable("calls have no deadline here");
    };
    crate::watch::refused(call.await, ErrorKind::Timeout, "a deadline that has passed")?;
    ensure!(
        started.elapsed() < Duration::from_secs(10),
        "it took {:?}",
        started.elapsed()
    );
    Ok(())
}

async fn hostile(t: &Trial) -> Outcome {
    let key = t.key("object");
    t.put(&key, "object").await?;
    let long = "x".repeat(1 << 16);
    let texts = [
        "",
        "\0",
        "*",
        "\"",
        "\u{202e}",
        "%s%n",
        "../../etc/passwd",
        "\u{10ffff}",
        &long,
        "18446744073709551616",
    ];
    let fine = |answer: Result<(), Error>, what: &str| -> Outcome {
        match answer {
            Err(error) if error.kind() == ErrorKind::PluginFault => {
                Err(Stop::Failed(format!("{what}: {error}")))
            }
            _ => Ok(()),
        }
    };
    for text in texts {
        let shown: String = text.chars().take(20).collect();
        let what = |operation: &str| format!("{operation} with {shown:?}");
        fine(
            t.upload(Upload::new(text, "x")).await.map(drop),
            &what("upload"),
        )?;
        fine(
            t.upload(Upload::new(&key, "object").if_match(text))
                .await
                .map(drop),
            &what("if-match"),
        )?;
        fine(
            t.upload(Upload::new(&key, "object").content_type(text))
                .await
                .map(drop),
            &what("content type"),
        )?;
        fine(
            t.upload(Upload::new(&key, "object").metadata(text, text))
                .await
                .map(drop),
            &what("metadata"),
        )?;
        fine(t.read(text).await.map(drop), &what("download"))?;
        let mut read = Download::new(&key);
        let options = read.options_mut();
        options.if_match = Some(text);
        options.if_none_match = Some(text);
        options.version = Some(text);
        fine(t.download(read).await.map(drop), &what("conditions"))?;
        fine(
            t.delete(Delete::new(&t.key("missing")).if_match(text))
                .await
                .map(drop),
            &what("delete"),
        )?;
        fine(t.exists(text).await.map(drop), &what("exists"))?;
        let list = List::new(text)
            .delimiter(text)
            .start_after(text)
            .page_token(Some(text));
        fine(t.list(list).await.map(drop), &what("list"))?;
        for token in ["k", "g", "kx", &format!("k{text}"), text] {
            let list = List::new(t.prefix()).page_token(Some(token));
            fine(t.list(list).await.map(drop), &what("page token"))?;
        }
        fine(
            t.custom(Custom::new(text, text.to_owned())).await.map(drop),
            &what("custom"),
        )?;
    }
    for range in [
        ByteRange::From(u64::MAX),
        ByteRange::Bounded(u64::MAX - 1..u64::MAX),
        ByteRange::Last(u64::MAX),
    ] {
        fine(
            t.download(Download::new(&key).range(range)).await.map(drop),
            "a range of huge numbers",
        )?;
    }
    for length in [u64::MAX, i64::MAX as u64, 1 << 50] {
        let upload = Upload::new(&key, body::chunked(vec!["x".into()])).length(length);
        let answer = t.upload(upload).await;
        ensure!(answer.is_err(), "one byte was stored as {length}");
        fine(answer.map(drop), "a huge length")?;
    }
    t.exists(&key).await?;
    t.read(&key).await.map(drop).map_err(Stop::from)
}

/// A buffer that counts how often it is given back.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

async fn buffers(t: &Trial) -> Outcome {
    let subject: Watched = t.fresh().await?;
    let given_back = Arc::new(AtomicUsize::new(0));
    let buffer = |size: usize| Bytes::from_owner(Counted(vec![7; size], given_back.clone()));
    let mut handed_out = 0;
    for size in [1, 5000, 300_000] {
        let key = format!("object-{size}");
        subject.upload(Upload::new(&key, buffer(size))).await?;
        let chunks: Vec<Bytes> = (0..4).map(|_| buffer(size)).collect();
        subject
            .upload(Upload::new(&key, body::chunked(chunks)).length(4 * size as u64))
            .await?;
        // Given up half way.
        let (body, gate) = body::gated(vec![buffer(size), buffer(size)], vec![buffer(size)]);
        drop_after(
            subject.upload(Upload::new("given-up", body).length(3 * size as u64)),
            4,
        )
        .await;
        drop(gate);
        // Refused before it is read.
        drop(subject.upload(Upload::new("bad//key", buffer(size))).await);
        handed_out += 9;
        if subject.claims(Capability::UnknownLength) {
            subject
                .upload(Upload::new(&key, body::chunked(vec![buffer(size)])))
                .await?;
            handed_out += 1;
        }
        subject.delete(Delete::new(&key)).await?;
    }
    let all = soon(|| given_back.load(Ordering::SeqCst) == handed_out).await;
    ensure!(
        all,
        "{handed_out} buffers were handed out, {} given back",
        given_back.load(Ordering::SeqCst)
    );
    Ok(())
}

/// How [`drive`] polls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polls {
    /// Also when nothing was woken.
    Spurious,
    /// Twice, with two wakers; then only when the second was woken.
    LastWaker,
}

#[derive(Default)]
struct Woken(tokio::sync::Notify);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

/// Polls a future to its end, each time on another thread, with another waker.
async fn drive<T: Send>(mut future: BoxFuture<'_, T>, how: Polls) -> T {
    let runtime = tokio::runtime::Handle::current();
    loop {
        let times = match how {
            Polls::Spurious => 1,
            Polls::LastWaker => 2,
        };
        let mut last = Arc::new(Woken::default());
        for _ in 0..times {
            last = Arc::new(Woken::default());
            let waker = std::task::Waker::from(last.clone());
            let polled = std::thread::scope(|scope| {
                let poll = || {
                    // A host's: what waits for its caller may want a timer.
                    let _entered = runtime.enter();
                    future.as_mut().poll(&mut Context::from_waker(&waker))
                };
                scope.spawn(poll).join()
            });
            match polled {
                Ok(Poll::Ready(value)) => return value,
                Ok(Poll::Pending) => {}
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        match how {
            Polls::Spurious => {
                let soon = Duration::from_millis(1);
                let _ = tokio::time::timeout(soon, last.0.notified()).await;
            }
            Polls::LastWaker => last.0.notified().await,
        }
    }
}

/// Three chunks, each after a `Pending`.
fn hesitant(text: &'static [u8]) -> Body {
    let mut ready = false;
    let mut chunks = text.chunks(text.len().div_ceil(3));
    Body::stream(futures_util::stream::poll_fn(move |cx| {
        ready = !ready;
        if ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(chunks.next().map(|chunk| Ok(Bytes::from_static(chunk))))
    }))
}

async fn used(t: &Trial, key: &str, how: Polls) -> Outcome {
    let text = b"polled by many threads";
    let upload = Upload::new(key, hesitant(text)).length(text.len() as u64);
    drive(Box::pin(t.upload(upload)), how).await?;
    let downloaded = drive(Box::pin(t.download(Download::new(key))), how).await?;
    let bytes = drive(Box::pin(downloaded.body.collect(100)), how).await?;
    ensure!(bytes == text[..], "{} other bytes came back", bytes.len());
    ensure!(
        drive(Box::pin(t.exists(key)), how).await?,
        "the object is not there"
    );
    if t.has(Operation::List) {
        let page = drive(Box::pin(t.list(List::new(t.prefix()))), how).await?;
        ensure!(page.entries.len() == 1, "not listed: {page:?}");
    }
    drive(Box::pin(t.delete(Delete::new(key))), how).await?;
    t.is_absent(key).await
}

async fn polled_anywhere(t: &Trial) -> Outcome {
    used(t, &t.key("object"), Polls::Spurious).await
}

async fn last_waker(t: &Trial) -> Outcome {
    used(t, &t.key("object"), Polls::LastWaker).await
}

async fn dropped_anywhere(t: &Trial) -> Outcome {
    const OLD: &[u8] = b"the old object";
    const NEW: &[u8] = b"the new one, in three chunks";
    let key = t.key("object");
    for polls in 0..64 {
        t.put(&key, OLD).await?;
        let upload = Upload::new(&key, hesitant(NEW)).length(NEW.len() as u64);
        let mut upload = Box::pin(t.upload(upload));
        let mut left = polls;
        let ended = std::future::poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            upload.as_mut().poll(cx).map(Some)
        });
        let ended = ended.await;
        drop(upload);
        let (_, bytes) = t.read(&key).await?;
        match ended {
            Some(stored) => {
                stored?;
                ensure!(
                    bytes == NEW,
                    "it succeeded and {} other bytes are there",
                    bytes.len()
                );
                return Ok(());
            }
            None => ensure!(
                bytes == OLD || bytes == NEW,
                "dropped after {polls} polls, it leaves {} bytes that are neither object",
                bytes.len()
            ),
        }
    }
    Ok(())
}
