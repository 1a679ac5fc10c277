//! A: the file, the instance, its life and its end.
//!
//! What looks at the file runs on the loaded plugin only. The life of an instance is the same
//! question at every level.

use crate::body;
use crate::case::{Case, Outcome, Stop, Tag, case, ensure};
use crate::subject::Loader;
use crate::trial::{Trial, not_applicable};
use crate::watch::{Watched, refused};
use holdall_plugin_api::{
    CopyObject, Delete, DeleteMany, Download, ErrorKind, Head, Key, List, Operation, Operations,
    Rename, Upload,
};
use std::time::{Duration, Instant};

pub(super) const CASES: &[Case] = &[
    case!(
        "A-01",
        Tag::Loaded,
        "the file loads and says twice the same of itself",
        handshake
    ),
    case!(
        "A-02",
        Tag::Loaded,
        "a host with a higher ABI major refuses it cleanly",
        higher_major
    ),
    case!(
        "A-03",
        Tag::Loaded,
        "tables that are larger or smaller than the plugin's are handled",
        table_sizes
    ),
    case!(
        "A-04",
        Tag::Loaded,
        "all that is claimed is filled, the required operations above all",
        slots
    ),
    case!(
        "A-05",
        Tag::Core,
        "two instances with stores of their own do not see each other's objects",
        isolation
    ),
    case!(
        "A-06",
        Tag::Loaded,
        "open, use, shut down, 50 times, without growth",
        no_growth
    )
    .within(60),
    case!(
        "A-07",
        Tag::Core,
        "shutdown is idempotent, and bounded while an upload stalls",
        shutdown_is_bounded
    ),
    case!(
        "A-08",
        Tag::Core,
        "every call after the shutdown fails cleanly",
        after_shutdown
    ),
    case!(
        "A-09",
        Tag::Core,
        "an instance is used from many threads and dropped on another",
        threads
    ),
    case!(
        "A-10",
        Tag::Loaded,
        "the plugin prints nothing and installs no signal handler",
        quiet
    ),
    case!(
        "A-11",
        Tag::Core,
        "every operation that is listed exists, and every one that exists is listed",
        listed
    ),
];

fn loader(t: &Trial) -> Outcome<&dyn Loader> {
    let loader = t.stage().loader();
    loader.ok_or_else(|| Stop::NotApplicable("the stage does not show the loader".into()))
}

async fn handshake(t: &Trial) -> Outcome {
    let first = loader(t)?.handshake().map_err(Stop::Failed)?;
    let second = loader(t)?.handshake().map_err(Stop::Failed)?;
    ensure!(first == second, "{first:?} became {second:?}");
    ensure!(
        first.name == t.info().plugin,
        "the name is {:?}",
        first.name
    );
    ensure!(!first.version.is_empty(), "no version");
    ensure!(first.abi.0 >= 1, "ABI {:?}", first.abi);
    Ok(())
}

async fn higher_major(t: &Trial) -> Outcome {
    let loader = loader(t)?;
    let major = loader.handshake().map_err(Stop::Failed)?.abi.0;
    match loader.accepts_major(major + 1) {
        None => not_applicable("the loader has one ABI major only"),
        Some(Ok(())) => Err(Stop::Failed("a host of the next major loads it".into())),
        Some(Err(why)) => {
            ensure!(!why.is_empty(), "refused without a reason");
            ensure!(
                matches!(loader.accepts_major(major), Some(Ok(()))),
                "its own major is refused"
            );
            Ok(())
        }
    }
}

async fn table_sizes(t: &Trial) -> Outcome {
    for change in [-8, 8, 64] {
        match loader(t)?.with_table_size(change) {
            None => return not_applicable("the loader cannot change the size of a table"),
            Some(using) => using
                .await
                .map_err(|why| Stop::Failed(format!("{change} bytes: {why}")))?,
        }
    }
    Ok(())
}

async fn slots(t: &Trial) -> Outcome {
    let facts = loader(t)?.handshake().map_err(Stop::Failed)?;
    let claimed = Operations::REQUIRED.with(facts.operations);
    let empty = claimed.without(facts.filled);
    ensure!(
        empty.is_empty(),
        "claimed, but not filled: {:?}",
        empty.names()
    );
    let broken = holdall_plugin_api::rules::broken(facts.operations, facts.capabilities);
    ensure!(
        broken.is_empty(),
        "rules that are broken: {:?}",
        broken.iter().map(|rule| rule.id).collect::<Vec<_>>()
    );
    Ok(())
}

async fn listed(t: &Trial) -> Outcome {
    let subject = t.subject();
    let mut asked = false;
    let mut wrong = Vec::new();
    for operation in Operation::ALL.iter().copied() {
        let Some(is_written) = subject.is_written(operation) else {
            continue;
        };
        asked = true;
        match (is_written.await, t.stage().lists(operation)) {
            (true, Some(false)) => wrong.push(format!(
                "`{operation}` is written, but not in `operations`: no host calls it"
            )),
            (false, Some(true)) => {
                wrong.push(format!("`{operation}` is in `operations`, but not written"));
            }
            _ => {}
        }
    }
    if let Some(loader) = t.stage().loader() {
        asked = true;
        let facts = loader.handshake().map_err(Stop::Failed)?;
        let unlisted = facts.filled.without(facts.operations).names();
        let empty = facts.operations.without(facts.filled).names();
        wrong.extend(unlisted.iter().map(|operation| {
            format!("the slot of `{operation}` is filled, but the descriptor does not claim it")
        }));
        wrong.extend(
            empty.iter().map(|operation| {
                format!("the descriptor claims `{operation}`, but its slot is null")
            }),
        );
    }
    if !asked {
        return not_applicable("the stage shows neither methods nor slots");
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

async fn isolation(t: &Trial) -> Outcome {
    let (one, other) = (t.fresh().await?, t.fresh().await?);
    one.put("shared/name", "one").await?;
    other.is_absent("shared/name").await?;
    other.put("shared/name", "other").await?;
    one.holds("shared/name", b"one").await?;
    other.holds("shared/name", b"other").await?;
    other.delete(Delete::new("shared/name")).await?;
    one.holds("shared/name", b"one").await?;
    t.is_absent("shared/name").await?;
    if one.has(Operation::List) {
        ensure!(
            one.keys("", 1000).await? == ["shared/name"],
            "more than its own object"
        );
        ensure!(other.keys("", 1000).await?.is_empty(), "the other's object");
    }
    Ok(())
}

/// Threads, descriptors and resident bytes of this process.
fn process() -> Option<[usize; 3]> {
    let count = |dir: &str| Some(std::fs::read_dir(dir).ok()?.count());
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = resident.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some([
        count("/proc/self/task")?,
        count("/proc/self/fd")?,
        kib << 10,
    ])
}

/// Fifty of them are more than what allocators keep.
const OBJECT: usize = 1_000_000;

async fn no_growth(t: &Trial) -> Outcome {
    // Opened past the trial, which would keep each instance until the case ends.
    let life = async || {
        let subject = t.stage().open(t.new_store()).await?;
        let key = Key::new("object");
        subject.upload(Upload::new(key, vec![7; OBJECT])).await?;
        let body = subject.download(Download::new(key)).await?.body;
        let bytes = body.collect(OBJECT).await?;
        ensure!(bytes == vec![7; OBJECT], "other bytes came back");
        subject.delete(Delete::new(key)).await?;
        subject.shutdown().await?;
        Ok::<_, Stop>(())
    };
    // The first few start what stays: a runtime, caches.
    for _ in 0..10 {
        life().await?;
    }
    let Some(before) = process() else {
        return not_applicable("the process does not tell its threads and descriptors");
    };
    for _ in 0..50 {
        life().await?;
    }
    let after = process().unwrap_or(before);
    // Allocators keep a little.
    let allowed = [8, 20, 16 << 20];
    for (what, index) in [("threads", 0), ("descriptors", 1), ("resident bytes", 2)] {
        ensure!(
            after[index] <= before[index] + allowed[index],
            "{what}: {} before, {} after",
            before[index],
            after[index]
        );
    }
    Ok(())
}

/// A shutdown takes far less; the rest is slack for a busy machine.
const BOUND: Duration = Duration::from_secs(15);

async fn shut_down(subject: &Watched) -> Outcome {
    let started = Instant::now();
    subject.shutdown().await?;
    ensure!(
        started.elapsed() < BOUND,
        "the shutdown took {:?}",
        started.elapsed()
    );
    Ok(())
}

async fn shutdown_is_bounded(t: &Trial) -> Outcome {
    let idle = t.fresh().await?;
    for _ in 0..3 {
        shut_down(&idle).await?;
    }
    let busy = t.fresh().await?;
    let (body, mut gate) = body::gated(vec!["begun".into()], vec!["never".into()]);
    let stalled = busy.upload(Upload::new("stalled", body).length(10));
    let ending = async {
        ensure!(gate.reached().await, "the upload ended before its body did");
        shut_down(&busy).await?;
        shut_down(&busy).await?;
        drop(gate);
        Ok(())
    };
    let (upload, ended) = futures_util::future::join(stalled, ending).await;
    ended?;
    ensure!(upload.is_err(), "an upload whose body broke succeeded");
    Ok(())
}

async fn after_shutdown(t: &Trial) -> Outcome {
    let subject = t.fresh().await?;
    subject.put("object", "x").await?;
    subject.shutdown().await?;
    let fails = |operation: &str, error: Option<ErrorKind>| -> Outcome {
        match error {
            None => Err(Stop::Failed(format!(
                "{operation} succeeds after the shutdown"
            ))),
            Some(ErrorKind::PluginFault | ErrorKind::FileNotFound) => Err(Stop::Failed(format!(
                "{operation} answers {error:?} after the shutdown"
            ))),
            Some(_) => Ok(()),
        }
    };
    let kind = |error: holdall_plugin_api::Error| error.kind();
    fails(
        "upload",
        subject
            .upload(Upload::new("object", "x"))
            .await
            .err()
            .map(kind),
    )?;
    fails("download", subject.read("object").await.err().map(kind))?;
    fails(
        "delete",
        subject.delete(Delete::new("object")).await.err().map(kind),
    )?;
    fails("exists", subject.exists("object").await.err().map(kind))?;
    fails(
        "head",
        subject.head(Head::new("object")).await.err().map(kind),
    )?;
    fails("list", subject.list(List::new("")).await.err().map(kind))?;
    fails(
        "copy",
        subject
            .copy(CopyObject::new("object", "copy"))
            .await
            .err()
            .map(kind),
    )?;
    fails(
        "rename",
        subject
            .rename(Rename::new("object", "copy"))
            .await
            .err()
            .map(kind),
    )?;
    match subject.delete_many(DeleteMany::new(["object"])).await {
        Err(error) => fails("delete_many", Some(error.kind()))?,
        Ok(answers) => {
            for answer in answers {
                fails("delete_many", answer.err().map(kind))?;
            }
        }
    }
    if subject.has(Operation::Health) {
        let healthy = subject.health().await.is_ok_and(|health| health.healthy);
        ensure!(!healthy, "healthy after the shutdown");
    }
    Ok(())
}

async fn threads(t: &Trial) -> Outcome {
    let subject = t.fresh().await?;
    let tasks = (0..16).map(|task| {
        let subject = subject.clone();
        tokio::spawn(async move {
            let key = format!("task-{task}");
            for round in 0..10 {
                let text = format!("{task} {round}");
                subject.put(&key, text.clone()).await?;
                subject.holds(&key, text.as_bytes()).await?;
            }
            Ok::<_, Stop>(())
        })
    });
    for ended in futures_util::future::join_all(tasks.collect::<Vec<_>>()).await {
        ended.map_err(|panic| Stop::Failed(panic.to_string()))??;
    }
    // Opened here, dropped on a thread without a runtime.
    let alone = t.stage().open(t.new_store()).await?;
    let dropped = std::thread::spawn(move || drop(alone)).join();
    ensure!(dropped.is_ok(), "the drop on another thread panicked");
    refused(
        subject.read("missing").await,
        ErrorKind::FileNotFound,
        "download",
    )
    .map(drop)
}

/// The signals that this process catches, as a mask.
fn caught_signals() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))?;
    Some(mask.trim().to_owned())
}

async fn quiet(t: &Trial) -> Outcome {
    let before = caught_signals();
    let subject = t.fresh().await?;
    subject.put("object", "x").await?;
    subject.holds("object", b"x").await?;
    let after = caught_signals();
    ensure!(
        before == after,
        "caught signals were {before:?} and are {after:?}"
    );
    match loader(t)?.output() {
        None => not_applicable("the stage cannot catch what a plugin prints"),
        Some(Err(why)) => Err(Stop::Failed(why)),
        Some(Ok(printed)) => {
            let shown = String::from_utf8_lossy(&printed[..printed.len().min(200)]).into_owned();
            ensure!(printed.is_empty(), "it prints {shown:?}");
            Ok(())
        }
    }
}
