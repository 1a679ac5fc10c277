//! The integration tests of object_store 0.14 over the loaded plugins that need no server; `s3` is in
//! `tests/backends`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod store;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use store::TestStore;

holdall_object_store::integration! {
    mod memory { plugin: "memory", updates: true, open: TestStore::open("memory").await }
}
holdall_object_store::integration! {
    mod local { plugin: "local", updates: true, open: TestStore::open("local").await }
}

/// An upload that is aborted or dropped leaves no file.
#[tokio::test]
async fn a_multipart_upload_that_does_not_complete_leaves_nothing() {
    let opened = TestStore::open("local").await;
    let part = || vec![7_u8; 16 << 20].into();
    let key = Path::from("a/b");

    let mut upload = opened.store.put_multipart(&key).await.unwrap();
    upload.put_part(part()).await.unwrap();
    assert!(!opened.files().is_empty(), "the part is staged");
    upload.abort().await.unwrap();
    empty(&opened).await;

    let mut upload = opened.store.put_multipart(&key).await.unwrap();
    upload.put_part(part()).await.unwrap();
    drop(upload);
    empty(&opened).await;

    let mut upload = opened.store.put_multipart(&key).await.unwrap();
    for _ in 0..3 {
        upload.put_part(part()).await.unwrap();
    }
    upload.complete().await.unwrap();
    assert_eq!(opened.store.head(&key).await.unwrap().size, 48 << 20);
    let files = opened.files();
    assert!(files.contains(&PathBuf::from("objects/a/b")), "{files:?}");
    assert!(
        !files.iter().any(|file| file.starts_with("staging")),
        "{files:?}"
    );
    assert_eq!(opened.host.status().backends[0].counters.in_flight, 0);
}

/// A job of the plugin may close its file a moment after the operation has ended.
async fn empty(store: &TestStore) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !store.files().is_empty() && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let left = store.files();
    assert!(left.is_empty(), "{left:?}");
}
