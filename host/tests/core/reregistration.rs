//! One name, registered again and again while others use it: nothing is lost, no caller sees half of
//! one generation and half of another, and what is replaced ends. Cases P-05 and P-07.
//!
//! `HOLDALL_REGISTRATIONS` sets the size; `scripts/sanitize thread` runs a million under ThreadSanitizer.

use crate::labelled::{ALIVE, CHUNKS, PLUGIN};
use holdall::config::Config;
use holdall::{Backend, Custom, Download, ErrorKind, Host, Registration};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const THREADS: u64 = 8;
/// An instance is opened for one registration in so many: opening is most of the work, and a race
/// between registering and looking up needs none.
const OPENED: u64 = 16;
/// Looks at the name for each registration.
const GETS: u64 = 8;

fn size(usual: u64) -> u64 {
    let asked = std::env::var("HOLDALL_REGISTRATIONS").ok();
    asked.map_or(usual, |asked| asked.parse().expect("a number"))
}

fn host() -> Host {
    let host = Host::builder().built_in(&PLUGIN).config(Config::default());
    host.build().expect("the host builds")
}

fn registration(label: u64) -> Registration {
    Registration::new("labelled").config(json!({ "label": label }))
}

async fn label(backend: &Backend) -> holdall::Result<u64> {
    let answer = backend.custom(Custom::new("label", "")).await?;
    Ok(u64::from_le_bytes(answer[..].try_into().unwrap()))
}

/// The label of a download, which is the same in its head and in each of its chunks.
async fn downloaded(backend: &Backend) -> u64 {
    let read = backend.download(Download::new("k")).await.unwrap();
    let etag = read.info.etag.unwrap();
    let label: u64 = etag.trim_matches('"').parse().unwrap();
    // Whatever is registered meanwhile, the rest comes from where the beginning came from.
    let mut body = read.body;
    let mut chunks = 0;
    while let Some(chunk) = body.chunk().await {
        assert_eq!(chunk.unwrap()[..], label.to_le_bytes());
        chunks += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(chunks, CHUNKS);
    label
}

/// What one thread saw.
#[derive(Default)]
struct Seen {
    /// Generation and label of each of its registrations.
    registered: Vec<(u64, u64)>,
    /// Generation of a pinned handle, and the label that answered.
    pinned: Vec<(u64, u64)>,
    /// The generations before and after an operation of a handle that follows, and its label.
    followed: Vec<(u64, u64, u64)>,
}

async fn registers_and_gets(host: Host, left: Arc<AtomicU64>) -> Seen {
    let mut seen = Seen::default();
    let take = |left| if left > 0 { Some(left - 1) } else { None };
    while let Ok(label_now) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
        let generation = host.register("store", registration(label_now)).unwrap();
        seen.registered.push((generation, label_now));

        // What a thread has seen it never sees undone: not its own registration, nor another's.
        let handle = host.handle("store").unwrap();
        let mut before = generation;
        for _ in 0..GETS {
            let now = host.handle("store").unwrap().generation_number().unwrap();
            assert!(now >= before, "{now} after {before}");
            before = now;
        }
        if label_now.is_multiple_of(OPENED) {
            let pinned = handle.pin().unwrap();
            let number = pinned.generation_number().unwrap();
            seen.pinned.push((number, label(&pinned).await.unwrap()));
            seen.pinned.push((number, downloaded(&pinned).await));
            let answered = downloaded(&host.backend("store").await.unwrap()).await;
            let after = handle.generation_number().unwrap();
            seen.followed.push((before, after, answered));
        } else {
            tokio::task::yield_now().await;
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn p_05_many_registrations_while_eight_threads_use_the_name() {
    let (host, total) = (host(), size(4_000));
    let left = Arc::new(AtomicU64::new(total));
    let threads =
        (0..THREADS).map(|_| tokio::spawn(registers_and_gets(host.clone(), left.clone())));
    let seen = futures_util::future::try_join_all(threads).await.unwrap();

    let registered = seen.iter().flat_map(|seen| &seen.registered).copied();
    let label_of: HashMap<u64, u64> = registered.collect();
    assert_eq!(label_of.len() as u64, total, "a number was given twice");
    assert!((1..=total).all(|generation| label_of.contains_key(&generation)));
    let generation_of: HashMap<_, _> = label_of.iter().map(|(g, label)| (*label, *g)).collect();
    for (generation, label) in seen.iter().flat_map(|seen| &seen.pinned) {
        assert_eq!(
            label_of[generation], *label,
            "another generation's instance"
        );
    }
    for (before, after, label) in seen.iter().flat_map(|seen| &seen.followed) {
        let generation = generation_of[label];
        assert!(
            (*before..=*after).contains(&generation),
            "{generation} answered between {before} and {after}"
        );
    }

    // The last to register is the one that stays, and nothing else does.
    let backend = host.backend("store").await.unwrap();
    assert_eq!(backend.generation_number().unwrap(), total);
    assert_eq!(label(&backend).await.unwrap(), label_of[&total]);
    let opens = host.status().backends[0].counters.opens;
    assert!(opens >= 1 && opens <= total, "{opens} opens");
    assert_eq!(ALIVE.load(Ordering::SeqCst), 1, "what was replaced ends");
    drop((host, backend));
    assert_eq!(ALIVE.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn p_07_many_resets_and_removals_while_eight_threads_use_the_name() {
    let (host, switches) = (crate::host(), crate::plugin::Switches::new());
    let left = Arc::new(AtomicU64::new(size(4_000)));
    let threads = (0..THREADS).map(|thread| {
        let (host, left, switches) = (host.clone(), left.clone(), switches.clone());
        tokio::spawn(async move {
            let take = |left| if left > 0 { Some(left - 1) } else { None };
            while let Ok(at) = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
                match (at + thread) % 4 {
                    0 => host.reset_instances(),
                    1 => host.reset_all(),
                    2 => drop(host.remove("store")),
                    _ => drop(host.register("store", crate::probe(&switches)).unwrap()),
                }
                let Ok(handle) = host.handle("store") else {
                    continue;
                };
                // Removed in the meantime is all that may happen.
                if let Err(error) = handle.exists("k").await {
                    assert_eq!(error.kind(), ErrorKind::BackendNotRegistered, "{error}");
                }
            }
        })
    });
    futures_util::future::try_join_all(threads).await.unwrap();
    host.register("store", crate::probe(&switches)).unwrap();
    let backend = host.backend("store").await.unwrap();
    assert!(!backend.exists("k").await.unwrap());
    drop((host, backend));
    let drops = switches.drops.load(Ordering::SeqCst);
    assert_eq!(
        drops,
        switches.opens(),
        "every instance that was opened ends"
    );
}
