//! Memory of a multipart upload. Alone in its process, because it measures the process.
#![allow(
    missing_docs,
    dead_code,
    clippy::unwrap_used,
    reason = "tests; a panic is the report, and the helpers of `store` are for the other test files too"
)]

mod store;

use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};
use store::TestStore;

/// 1 GiB in parts, four in flight: memory is what is in flight, not the object.
#[tokio::test]
async fn memory_is_what_is_in_flight() {
    const PART: usize = 8 << 20;
    let opened = TestStore::open("local").await;
    let upload = opened
        .store
        .put_multipart(&Path::from("big"))
        .await
        .unwrap();
    let mut writer = WriteMultipart::new_with_chunk_size(upload, PART);
    let chunk = vec![1_u8; 1 << 20];
    let before = resident();
    let mut peak = before;
    for _ in 0..1024 {
        writer.wait_for_capacity(4).await.unwrap();
        writer.write(&chunk);
        peak = peak.max(resident());
    }
    writer.finish().await.unwrap();
    let grown = (peak - before) >> 20;
    assert_eq!(
        opened.store.head(&Path::from("big")).await.unwrap().size,
        1 << 30
    );
    // Four parts of 8 MiB, one being filled, and the buffers of the plugin.
    assert!(grown < 96, "{grown} MiB");
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}
