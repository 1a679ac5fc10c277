//! What does a call through a loaded library cost, beside the same plugin linked in behind the same
//! handle, and beside the bare trait? And are bytes copied on their way?
#![allow(clippy::unwrap_used, reason = "a bench")]

use futures_util::FutureExt;
use holdall::config::Config;
use holdall::policy::{Breaker, Deadlines, FileTypes, Policy, Retries};
use holdall::{Backend, Body, Bytes, Custom, Download, Host, Key, PluginRef, Registration, Upload};
use holdall_bench::{Rival, compare, shipped};
use holdall_bench_plugin::{Config as Nothings, Nothing, allocations};
use holdall_plugin_api::StorageBackend;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const GIB: u64 = 1 << 30;
const CHUNK: usize = 1 << 20;

fn library() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin");
    shipped("holdall-bench-plugin", &folder)
}

fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().unwrap()
}

fn numbers(backend: &Backend, name: &str) -> Vec<u64> {
    let answer = now(backend.custom(Custom::new(name, ""))).unwrap();
    answer
        .as_chunks::<8>()
        .0
        .iter()
        .map(|number| u64::from_le_bytes(*number))
        .collect()
}

/// Runs `work` and counts what both sides allocated; a linked-in plugin shares our counter.
fn counted(loaded: Option<&Backend>, work: impl FnOnce()) -> u64 {
    let there = loaded.map(|backend| numbers(backend, "allocations")[0]);
    // Asking allocates too, on both sides: the second question is subtracted by asking twice.
    let there = loaded.zip(there).map(|(backend, first)| {
        let second = numbers(backend, "allocations")[0];
        (second, second - first)
    });
    let here = allocations();
    work();
    let here = allocations() - here;
    let there = there.zip(loaded).map_or(0, |((before, asking), backend)| {
        numbers(backend, "allocations")[0] - before - asking
    });
    here + there
}

fn main() {
    // `cargo test --benches` only asks whether it runs.
    let quick = std::env::args().any(|argument| argument == "--test")
        || std::env::var_os("HOLDALL_BENCH_QUICK").is_some();
    let (rounds, calls, gib) = if quick {
        (3, 1_000, GIB / 64)
    } else {
        (15, 200_000, GIB)
    };

    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(library(), folder.path().join("bench.so")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let host = |linked: bool| {
        let builder = Host::builder().config(Config::default());
        let builder = if linked {
            builder.built_in(&holdall_bench_plugin::PLUGIN)
        } else {
            builder.plugin_dir(folder.path())
        };
        let host = builder.build().unwrap();
        host.register("bench", Registration::new(PluginRef::from("bench")))
            .unwrap();
        host
    };
    let (linked_host, loaded_host) = (host(true), host(false));
    let linked = runtime.block_on(linked_host.backend("bench")).unwrap();
    let loaded = runtime.block_on(loaded_host.backend("bench")).unwrap();
    let bare = runtime
        .block_on(Nothing::open(
            Nothings {},
            holdall_plugin_api::Host::detached("bench"),
        ))
        .unwrap();

    let key = Key::new("yes");
    compare(
        "exists, ready at the first poll",
        rounds,
        calls,
        vec![
            Rival::new("linked in, behind the handle", |times| {
                counted(None, || {
                    (0..times).for_each(|_| assert!(now(linked.exists(key)).unwrap()))
                })
            }),
            Rival::new("loaded, behind the handle", |times| {
                counted(Some(&loaded), || {
                    (0..times).for_each(|_| assert!(now(loaded.exists(key)).unwrap()))
                })
            }),
            Rival::new("the bare trait", |times| {
                counted(None, || {
                    (0..times)
                        .for_each(|_| assert!(now(bare.exists(std::hint::black_box(key))).unwrap()))
                })
            }),
        ],
    );

    let payload = Bytes::from(vec![1u8; 4096]);
    compare(
        "upload of one 4 KiB chunk (the handle adds its CRC-32C)",
        rounds,
        calls,
        vec![
            Rival::new("linked in, behind the handle", |times| {
                counted(None, || {
                    (0..times).for_each(|_| {
                        drop(now(linked.upload(Upload::new(key, payload.clone()))).unwrap())
                    });
                })
            }),
            Rival::new("loaded, behind the handle", |times| {
                counted(Some(&loaded), || {
                    (0..times).for_each(|_| {
                        drop(now(loaded.upload(Upload::new(key, payload.clone()))).unwrap())
                    });
                })
            }),
            Rival::new("the bare trait", |times| {
                counted(None, || {
                    (0..times).for_each(|_| {
                        drop(now(bare.upload(Upload::new(key, payload.clone()))).unwrap())
                    });
                })
            }),
        ],
    );

    policies(&runtime, &linked_host, rounds, calls);
    registry(&loaded_host, rounds, calls);
    streams(&linked, &loaded, &bare, if quick { 1 } else { 5 }, gib);
}

/// Every policy at once, beside the same plugin behind a handle without any.
fn policies(runtime: &tokio::runtime::Runtime, host: &Host, rounds: usize, calls: u64) {
    let mut policy = Policy::new();
    policy.prefix = Some("tenants/a/".to_owned());
    policy.max_size = Some(10 << 20);
    policy.types = Some(FileTypes::new(["*/*"]));
    policy.deadline = Deadlines::all(Duration::from_secs(30));
    policy.idle_timeout = Some(Duration::from_secs(30));
    policy.concurrency = Some(64);
    policy.retry = Some(Retries::default());
    policy.breaker = Some(Breaker::default());
    let registration = Registration::new(PluginRef::from("bench")).policy(policy);
    host.register("guarded", registration).unwrap();
    let plain = runtime.block_on(host.backend("bench")).unwrap();
    let guarded = runtime.block_on(host.backend("guarded")).unwrap();
    // Deadlines have timers.
    let _inside = runtime.enter();
    let key = Key::new("yes");
    let exists = |backend: &Backend, times| {
        counted(None, || {
            (0..times).for_each(|_| {
                let _ = std::hint::black_box(now(backend.exists(key)).unwrap());
            });
        })
    };
    compare(
        "exists, ready at the first poll, through every policy",
        rounds,
        calls,
        vec![
            Rival::new("without policies", |times| exists(&plain, times)),
            Rival::new("with all of them", |times| exists(&guarded, times)),
        ],
    );
    let payload = Bytes::from(vec![1u8; 4096]);
    let upload = |backend: &Backend, times| {
        counted(None, || {
            (0..times).for_each(|_| {
                drop(now(backend.upload(Upload::new(key, payload.clone()))).unwrap());
            });
        })
    };
    compare(
        "upload of one 4 KiB chunk, through every policy",
        rounds,
        calls,
        vec![
            Rival::new("without policies", |times| upload(&plain, times)),
            Rival::new("with all of them", |times| upload(&guarded, times)),
        ],
    );
}

/// The baseline is papaya as it comes. The others tell what is the hasher's part, and what any hit
/// pays that hands out more than a look: a count that goes up and, with the handle, down again.
fn registry(host: &Host, rounds: usize, calls: u64) {
    let plain = papaya::HashMap::<String, u64>::new();
    plain.pin().insert("bench".to_owned(), 7);
    let hashed = papaya::HashMap::<String, u64, foldhash::fast::RandomState>::default();
    hashed.pin().insert("bench".to_owned(), 7);
    let shared = papaya::HashMap::<String, Arc<u64>, foldhash::fast::RandomState>::default();
    shared.pin().insert("bench".to_owned(), Arc::new(7));
    let name = || std::hint::black_box("bench");
    let times = |times, get: &dyn Fn()| counted(None, || (0..times).for_each(|_| get()));
    compare(
        "finding an open backend by its name",
        rounds,
        calls,
        vec![
            Rival::new("a bare papaya get", |n| {
                times(n, &|| assert_eq!(plain.pin().get(name()), Some(&7)))
            }),
            Rival::new("the same, with the registry's hasher", |n| {
                times(n, &|| assert_eq!(hashed.pin().get(name()), Some(&7)))
            }),
            Rival::new("the same, of an Arc that is cloned", |n| {
                times(n, &|| {
                    std::hint::black_box(shared.pin().get(name()).cloned());
                })
            }),
            Rival::new("host.handle", |n| {
                times(n, &|| drop(host.handle(name()).unwrap()))
            }),
        ],
    );
}

fn streams(linked: &Backend, loaded: &Backend, bare: &Nothing, rounds: usize, bytes: u64) {
    let resident = Bytes::from(vec![3u8; 8 << 20]);
    let body = || {
        let resident = resident.clone();
        let chunks = (bytes as usize / CHUNK).max(1);
        Body::stream(futures_util::stream::iter((0..chunks).map(move |index| {
            let at = index * CHUNK % resident.len();
            Ok(resident.slice(at..at + CHUNK))
        })))
    };
    let expect = [resident.as_ptr().addr() as u64, resident.len() as u64];
    let expect: Vec<u8> = expect
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    for backend in [linked, loaded] {
        now(backend.custom(Custom::new("expect", expect.clone()))).unwrap();
    }
    let key = Key::new("big");
    let upload = |backend: &Backend| {
        counted(None, || {
            drop(now(backend.upload(Upload::new(key, body()))).unwrap())
        })
    };
    compare(
        &format!(
            "upload of {} MiB in chunks of 1 MiB (the handle adds its CRC-32C)",
            bytes >> 20
        ),
        rounds,
        1,
        vec![
            Rival::new("linked in, behind the handle", |_| upload(linked)),
            Rival::new("loaded, behind the handle", |_| upload(loaded)),
            Rival::new("the bare trait", |_| {
                counted(None, || {
                    drop(now(bare.upload(Upload::new(key, body()))).unwrap())
                })
            }),
        ],
    );
    for (name, backend) in [("linked in", linked), ("loaded", loaded)] {
        println!(
            "  chunks that did not lie in our memory when the plugin saw them, {name}: {}",
            numbers(backend, "copied")[0]
        );
    }

    let name = bytes.to_string();
    let key = Key::new(&name);
    let mut foreign = [0u64; 2];
    let mut download = |backend: &Backend, which: usize| {
        let at = numbers(backend, "resident");
        let resident = at[0] as usize..(at[0] + at[1]) as usize;
        counted(None, || {
            let mut body = now(backend.download(Download::new(key))).unwrap().body;
            while let Some(chunk) = now(body.chunk()) {
                foreign[which] += u64::from(!resident.contains(&chunk.unwrap().as_ptr().addr()));
            }
        })
    };
    let download = std::cell::RefCell::new(&mut download);
    compare(
        &format!("download of {} MiB in chunks of 1 MiB", bytes >> 20),
        rounds,
        1,
        vec![
            Rival::new("linked in, behind the handle", |_| {
                (download.borrow_mut())(linked, 0)
            }),
            Rival::new("loaded, behind the handle", |_| {
                (download.borrow_mut())(loaded, 1)
            }),
            Rival::new("the bare trait", |_| {
                counted(None, || {
                    let mut body = now(bare.download(Download::new(key))).unwrap().body;
                    while let Some(chunk) = now(body.chunk()) {
                        std::hint::black_box(chunk.unwrap().len());
                    }
                })
            }),
        ],
    );
    println!(
        "  chunks that did not lie in the plugin's memory when we saw them: linked in {}, loaded {}",
        foreign[0], foreign[1]
    );
}
