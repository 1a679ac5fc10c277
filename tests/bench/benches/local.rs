//! The loaded plugin `local` beside the `object_store` crate's `LocalFileSystem`, linked in: both read
//! the same files; both write files of their own into one file system.
//!
//! `local` does more: it checks the key, keeps a checksum and metadata in one step with the bytes, and
//! crosses the boundary. The durability of each pair is the same. `HOLDALL_BENCH_DIR` says where.
#![allow(clippy::unwrap_used, reason = "a bench")]

use futures_util::StreamExt;
use futures_util::future::join_all;
use holdall::config::Config;
use holdall::{Backend, Body, Bytes, Download, Head, Host, List, PluginRef, Registration, Upload};
use holdall_bench::{Rival, compare, shipped};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Runtime;

const OBJECT: usize = 4096;
const CHUNK: usize = 1 << 20;
const IN_FLIGHT: [u64; 3] = [1, 16, 256];

/// So many tasks, which do together what is to be done so many times.
fn closed<F: Future<Output = ()> + Send>(
    runtime: &Runtime,
    tasks: u64,
    times: u64,
    work: impl Fn(u64) -> F + Send + Sync + 'static,
) {
    let (work, next) = (Arc::new(work), Arc::new(AtomicU64::new(0)));
    let tasks = (0..tasks).map(|_| {
        let (work, next) = (work.clone(), next.clone());
        runtime.spawn(async move {
            loop {
                let mine = next.fetch_add(1, Ordering::Relaxed);
                if mine >= times {
                    return;
                }
                work(mine).await;
            }
        })
    });
    for task in runtime.block_on(join_all(tasks.collect::<Vec<_>>())) {
        task.unwrap();
    }
}

/// The next so many unused names.
struct Fresh(AtomicU64);

impl Fresh {
    fn take(&self, many: u64) -> u64 {
        self.0.fetch_add(many, Ordering::Relaxed)
    }
}

struct Bench<'a> {
    runtime: &'a Runtime,
    rounds: usize,
    fresh: Fresh,
    payload: Bytes,
}

impl Bench<'_> {
    fn put(&self, what: &str, ours: &Backend, theirs: &Arc<LocalFileSystem>, times: u64) {
        for tasks in IN_FLIGHT {
            let of_theirs = |times| {
                let (from, payload, store) =
                    (self.fresh.take(times), self.payload.clone(), theirs.clone());
                closed(self.runtime, tasks, times, move |n| {
                    let (store, payload) = (store.clone(), payload.clone());
                    async move {
                        let place = Location::from(format!("put-{}", from + n));
                        store.put(&place, payload.into()).await.unwrap();
                    }
                });
            };
            let of_ours = |times| {
                let (from, payload, store) =
                    (self.fresh.take(times), self.payload.clone(), ours.clone());
                closed(self.runtime, tasks, times, move |n| {
                    let (store, payload) = (store.clone(), payload.clone());
                    async move {
                        let key = format!("put-{}", from + n);
                        store.upload(Upload::new(&key, payload)).await.unwrap();
                    }
                });
            };
            compare(
                &format!("put of 4 KiB, {tasks} in flight, {what}"),
                self.rounds,
                times,
                vec![
                    Rival::timed("object_store, linked in", of_theirs),
                    Rival::timed("local, loaded", of_ours),
                ],
            );
        }
    }

    fn get(&self, ours: &Backend, theirs: &Arc<LocalFileSystem>, objects: u64, times: u64) {
        for tasks in IN_FLIGHT {
            let of_theirs = |times| {
                let store = theirs.clone();
                closed(self.runtime, tasks, times, move |n| {
                    let store = store.clone();
                    async move {
                        let place = Location::from(format!("get/{}", n % objects));
                        let got = store.get(&place).await.unwrap().bytes().await.unwrap();
                        assert_eq!(got.len(), OBJECT);
                    }
                });
            };
            let of_ours = |times| {
                let store = ours.clone();
                closed(self.runtime, tasks, times, move |n| {
                    let store = store.clone();
                    async move {
                        let key = format!("get/{}", n % objects);
                        let got = store.download(Download::new(&key)).await.unwrap();
                        assert_eq!(got.body.collect(OBJECT).await.unwrap().len(), OBJECT);
                    }
                });
            };
            compare(
                &format!("get of 4 KiB, cached, {tasks} in flight"),
                self.rounds,
                times,
                vec![
                    Rival::timed("object_store, linked in", of_theirs),
                    Rival::timed("local, loaded", of_ours),
                ],
            );
        }
    }

    fn head_and_list(&self, ours: &Backend, theirs: &Arc<LocalFileSystem>, objects: u64) {
        compare(
            "head, one in flight",
            self.rounds,
            objects,
            vec![
                Rival::timed("object_store, linked in", |times| {
                    let store = theirs.clone();
                    closed(self.runtime, 1, times, move |n| {
                        let store = store.clone();
                        async move {
                            let place = Location::from(format!("get/{}", n % objects));
                            store.head(&place).await.unwrap();
                        }
                    });
                }),
                Rival::timed("local, loaded", |times| {
                    let store = ours.clone();
                    closed(self.runtime, 1, times, move |n| {
                        let store = store.clone();
                        async move {
                            let key = format!("get/{}", n % objects);
                            store.head(Head::new(&key)).await.unwrap();
                        }
                    });
                }),
            ],
        );
        let place = Location::from("get");
        compare(
            &format!("list of {objects} objects in one folder (ours sorted, in pages), per object"),
            self.rounds,
            objects,
            vec![
                Rival::timed("object_store, linked in", |times| {
                    let found = self.runtime.block_on(theirs.list(Some(&place)).count());
                    assert!(found as u64 == objects && times <= objects);
                }),
                Rival::timed("local, loaded", |times| {
                    let found = self.runtime.block_on(async {
                        let (mut found, mut token) = (0, None::<String>);
                        loop {
                            let list = List::new("get/").limit(1000);
                            let list = list.page_token(token.as_deref());
                            let page = ours.list(list).await.unwrap();
                            found += page.entries.len();
                            token = page.next;
                            if token.is_none() {
                                return found;
                            }
                        }
                    });
                    assert!(found as u64 == objects && times <= objects);
                }),
            ],
        );
    }

    fn streams(&self, ours: &Backend, theirs: &Arc<LocalFileSystem>, bytes: u64) {
        let chunk = Bytes::from(vec![7u8; CHUNK]);
        let chunks = bytes as usize / CHUNK;
        let place = Location::from("big");
        compare(
            &format!("put of {} MiB in chunks of 1 MiB", bytes >> 20),
            self.rounds,
            1,
            vec![
                Rival::timed("object_store, linked in", |_| {
                    self.runtime.block_on(async {
                        let upload = theirs.put_multipart(&place).await.unwrap();
                        let mut writer = WriteMultipart::new_with_chunk_size(upload, CHUNK);
                        for _ in 0..chunks {
                            writer.wait_for_capacity(4).await.unwrap();
                            writer.put(chunk.clone());
                        }
                        writer.finish().await.unwrap();
                    });
                }),
                Rival::timed("local, loaded", |_| {
                    let chunk = chunk.clone();
                    let body = (0..chunks).map(move |_| Ok(chunk.clone()));
                    let body = Body::stream(futures_util::stream::iter(body));
                    let upload = Upload::new("big", body).length(bytes);
                    self.runtime.block_on(ours.upload(upload)).unwrap();
                }),
            ],
        );
        compare(
            &format!("get of {} MiB as a stream, cached", bytes >> 20),
            self.rounds,
            1,
            vec![
                Rival::timed("object_store, linked in", |_| {
                    let read = self.runtime.block_on(async {
                        let got = theirs.get(&place).await.unwrap().into_stream();
                        got.fold(0, |sum, chunk| async move { sum + chunk.unwrap().len() })
                            .await
                    });
                    assert_eq!(read as u64, bytes);
                }),
                Rival::timed("local, loaded", |_| {
                    let read = self.runtime.block_on(async {
                        let mut body = ours.download(Download::new("big")).await.unwrap().body;
                        let mut read = 0;
                        while let Some(chunk) = body.chunk().await {
                            read += chunk.unwrap().len();
                        }
                        read
                    });
                    assert_eq!(read as u64, bytes);
                }),
            ],
        );
    }
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test")
        || std::env::var_os("HOLDALL_BENCH_QUICK").is_some();
    let (rounds, times, bytes) = if quick {
        (1, 300, 8 << 20)
    } else {
        (5, 4_000, 1 << 30)
    };
    let folder = match std::env::var_os("HOLDALL_BENCH_DIR") {
        Some(folder) => tempfile::tempdir_in(folder).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin");
    let library = shipped("holdall-plugin-local", &built);
    std::fs::copy(library, plugins.join("local.so")).unwrap();

    let builder = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = builder.unwrap();
    let host = Host::builder()
        .config(Config::default())
        .plugin_dir(plugins);
    let host = host.build().unwrap();
    let root = folder.path().join("ours");
    let open = |name: &str, durability: &str| {
        let config = serde_json::json!({ "root": root, "durability": durability });
        let local = Registration::new(PluginRef::from("local")).config(config);
        host.register(name, local).unwrap();
        runtime.block_on(host.backend(name)).unwrap()
    };
    let (quickly, surely) = (open("quickly", "none"), open("surely", "full"));
    let theirs = |folder: &Path| LocalFileSystem::new_with_prefix(folder).unwrap();
    let own = folder.path().join("theirs");
    std::fs::create_dir(&own).unwrap();
    let same = Arc::new(theirs(&root.join("objects")));

    let bench = Bench {
        runtime: &runtime,
        rounds,
        fresh: Fresh(AtomicU64::new(0)),
        payload: Bytes::from(vec![1u8; OBJECT]),
    };
    let objects = times;
    closed(&runtime, 16, objects, {
        let (store, payload) = (quickly.clone(), bench.payload.clone());
        move |n| {
            let (store, payload) = (store.clone(), payload.clone());
            async move {
                let key = format!("get/{n}");
                store.upload(Upload::new(&key, payload)).await.unwrap();
            }
        }
    });
    bench.get(&quickly, &same, objects, 4 * times);
    bench.head_and_list(&quickly, &same, objects);
    bench.put("no sync", &quickly, &Arc::new(theirs(&own)), times);
    bench.put(
        "file and folder synced",
        &surely,
        &Arc::new(theirs(&own).with_fsync(true)),
        times / 4,
    );
    bench.streams(&quickly, &same, bytes);
}
