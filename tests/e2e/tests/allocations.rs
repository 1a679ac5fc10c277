//! Calls that allocate nothing, on either side of the boundary: exact counts, through a library
//! that was built and loaded. The program shares its allocator with the linked-in copy of that
//! library; the loaded copy has one of its own and tells its count.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use futures_util::FutureExt;
use holdall::config::Config;
use holdall::{Backend, Bytes, Custom, Host, Key, PluginRef, Registration, Upload};
use holdall_bench_plugin::allocations;
use holdall_e2e::artifacts;

/// Often enough that one allocation in a hundred calls is seen.
const TIMES: u64 = 500;

async fn counting() -> (tempfile::TempDir, Host, Backend) {
    let folder = tempfile::tempdir().unwrap();
    artifacts().folder_of([artifacts().counting()], folder.path());
    let host = Host::builder()
        .config(Config::default())
        .plugin_dir(folder.path())
        .build()
        .unwrap();
    let registration = Registration::new(PluginRef::from("bench"));
    host.register("store", registration).unwrap();
    let backend = host.backend("store").await.unwrap();
    (folder, host, backend)
}

fn now<F: Future>(future: F) -> F::Output {
    future.now_or_never().expect("ready at the first poll")
}

/// What the loaded side allocated so far, on this thread.
fn there(backend: &Backend) -> u64 {
    let answer = now(backend.custom(Custom::new("allocations", ""))).unwrap();
    u64::from_le_bytes(answer[..].try_into().unwrap())
}

/// Allocations of `TIMES` calls, here and there, after one that may set things up.
fn counted(backend: &Backend, call: impl Fn()) -> (u64, u64) {
    call();
    let first = there(backend);
    let asking = there(backend) - first;
    let before = there(backend);
    let here = allocations();
    for _ in 0..TIMES {
        call();
    }
    let here = allocations() - here;
    (here, there(backend) - before - asking)
}

#[tokio::test]
async fn both_sides_are_counted() {
    let (_folder, _host, backend) = counting().await;
    let (here, there) = counted(&backend, || {
        drop(now(backend.custom(Custom::new("allocations", ""))))
    });
    assert!(here >= TIMES && there >= TIMES, "{here} {there}");
}

#[tokio::test]
async fn exists_allocates_nothing() {
    let (_folder, _host, backend) = counting().await;
    let key = Key::new("yes");
    let call = || assert!(now(backend.exists(key)).unwrap());
    assert_eq!(counted(&backend, call), (0, 0));
}

#[tokio::test]
async fn an_upload_of_one_chunk_allocates_nothing() {
    let (_folder, _host, backend) = counting().await;
    let (key, payload) = (Key::new("k"), Bytes::from(vec![1; 4096]));
    let call = || {
        let uploaded = now(backend.upload(Upload::new(key, payload.clone()))).unwrap();
        assert_eq!(uploaded.size, 4096);
        assert!(uploaded.checksums.crc32c.is_some());
    };
    assert_eq!(counted(&backend, call), (0, 0));
}

#[tokio::test]
async fn finding_a_backend_by_its_name_allocates_nothing() {
    let (_folder, host, backend) = counting().await;
    let call = || drop(host.handle("store").unwrap());
    assert_eq!(counted(&backend, call), (0, 0));
}
