//! `into_object_store` over loaded plugins passes what the `object_store` crate asks of its own
//! stores: every function of its `integration` module but four. Three of those want a
//! `MultipartStore`, whose upload ids outlive the process that made them, which one stream to a
//! plugin does not; the fourth wants the extensions of an HTTP response.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod store;

use holdall::object_store::cause;
use object_store::integration as theirs;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use store::Store;

macro_rules! integration {
    ($($plugin:ident)+) => { $(mod $plugin {
        use super::*;

        async fn open() -> Store {
            Store::open(stringify!($plugin)).await
        }

        #[tokio::test]
        async fn put_get_delete_list() {
            theirs::put_get_delete_list(&open().await.store).await;
        }
        #[tokio::test]
        async fn put_get_attributes() {
            let opened = open().await;
            theirs::put_get_attributes(&opened.store).await;
            // It forgives who keeps no attributes; both of these do.
            let got = opened.store.get(&Path::from("attributes")).await.unwrap();
            assert_eq!(got.attributes.len(), 7);
        }
        #[tokio::test]
        async fn get_opts() {
            theirs::get_opts(&open().await.store).await;
        }
        #[tokio::test]
        async fn put_opts() {
            theirs::put_opts(&open().await.store, true).await;
        }
        #[tokio::test]
        async fn stream_get() {
            theirs::stream_get(&open().await.store).await;
        }
        #[tokio::test]
        async fn list_uses_directories_correctly() {
            theirs::list_uses_directories_correctly(&open().await.store).await;
        }
        #[tokio::test]
        async fn list_with_delimiter() {
            theirs::list_with_delimiter(&open().await.store).await;
        }
        #[tokio::test]
        async fn list_with_offset_exclusivity() {
            theirs::list_with_offset_exclusivity(&open().await.store).await;
        }
        #[tokio::test]
        async fn list_paginated() {
            let opened = open().await;
            theirs::list_paginated(&opened.store, &opened.store).await;
        }
        #[tokio::test]
        async fn get_nonexistent_object() {
            let missing = theirs::get_nonexistent_object(&open().await.store, None).await;
            let missing = missing.unwrap_err();
            assert!(matches!(missing, object_store::Error::NotFound { .. }));
            let ours = cause(&missing).unwrap();
            assert_eq!(ours.kind(), holdall::ErrorKind::FileNotFound);
            assert_eq!(ours.place().plugin.as_deref(), Some(stringify!($plugin)));
        }
        #[tokio::test]
        async fn rename_and_copy() {
            theirs::rename_and_copy(&open().await.store).await;
        }
        #[tokio::test]
        async fn copy_if_not_exists() {
            theirs::copy_if_not_exists(&open().await.store).await;
        }
        #[tokio::test]
        async fn copy_rename_nonexistent_object() {
            theirs::copy_rename_nonexistent_object(&open().await.store).await;
        }
        #[tokio::test]
        async fn multipart_race_condition() {
            theirs::multipart_race_condition(&open().await.store, true).await;
        }
        #[tokio::test]
        async fn multipart_out_of_order() {
            theirs::multipart_out_of_order(&open().await.store).await;
        }
    })+ };
}
integration!(memory local);

/// Whatever way an upload ends, nothing of it stays on the disk but a finished object.
#[tokio::test]
async fn a_multipart_upload_that_does_not_complete_leaves_nothing() {
    let opened = Store::open("local").await;
    let part = || vec![7_u8; 16 << 20].into();
    let key = Path::from("a/b");

    let mut upload = opened.store.put_multipart(&key).await.unwrap();
    upload.put_part(part()).await.unwrap();
    assert_eq!(opened.files().len(), 1, "a part lies somewhere");
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
async fn empty(store: &Store) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !store.files().is_empty() && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let left = store.files();
    assert!(left.is_empty(), "{left:?}");
}
