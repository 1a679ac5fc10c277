//! Each fault, seen from a handle of the host.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall::{
    Backend, CallOptions, CopyObject, Delete, Download, ErrorKind, Head, Operation, Upload,
};
use holdall_testing::{BACKEND, Fault, TestBackend};
use std::time::Duration;

async fn stored(text: &'static str) -> (TestBackend, Backend) {
    let test = TestBackend::new();
    let backend = test.backend().await.unwrap();
    backend.upload(Upload::new("a", text)).await.unwrap();
    (test, backend)
}

async fn read(backend: &Backend) -> holdall::Result<Vec<u8>> {
    let downloaded = backend.download(Download::new("a")).await?;
    Ok(downloaded.body.collect(1024).await?.to_vec())
}

#[tokio::test]
async fn a_truncated_download_is_an_error_of_the_body() {
    let (test, backend) = stored("0123456789").await;
    test.inject(Operation::Download, Fault::truncate(4).times(1));
    read(&backend).await.unwrap_err();
    assert_eq!(read(&backend).await.unwrap(), b"0123456789");
}

#[tokio::test]
async fn a_broken_download_keeps_its_kind_and_what_came_before() {
    let (test, backend) = stored("0123456789").await;
    let fault = Fault::break_after(4, ErrorKind::Unavailable);
    test.inject(Operation::Download, fault);
    let mut body = backend.download(Download::new("a")).await.unwrap().body;
    let mut received = Vec::new();
    let error = loop {
        match body.chunk().await.unwrap() {
            Ok(chunk) => received.extend_from_slice(&chunk),
            Err(error) => break error,
        }
    };
    assert_eq!(received, b"0123");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_broken_upload_stores_nothing() {
    let (test, backend) = stored("old").await;
    test.inject(Operation::Upload, Fault::break_after(2, ErrorKind::Timeout));
    let failed = backend.upload(Upload::new("a", "new text")).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(read(&backend).await.unwrap(), b"old");
}

#[tokio::test]
async fn the_host_sees_that_an_upload_stored_too_little() {
    let (test, backend) = stored("old").await;
    test.inject(Operation::Upload, Fault::truncate(2));
    backend
        .upload(Upload::new("a", "new text"))
        .await
        .unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn delays_follow_the_clock_and_hanging_operations_their_deadline() {
    let (test, backend) = stored("text").await;
    let hour = Duration::from_secs(3600);
    test.inject(Operation::Head, Fault::delay(hour));
    let started = tokio::time::Instant::now();
    backend.head(Head::new("a")).await.unwrap();
    assert!(started.elapsed() >= hour);

    test.inject(Operation::Head, Fault::hang());
    let bounded = backend.with(CallOptions::new().timeout(hour));
    let late = bounded.head(Head::new("a")).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    test.clear();
    backend.head(Head::new("a")).await.unwrap();
}

#[tokio::test]
async fn objects_outlive_a_panic() {
    let (test, backend) = stored("text").await;
    test.inject(Operation::Download, Fault::panic().times(1));
    let error = read(&backend).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFault);
    let again = test.backend().await.unwrap();
    assert_eq!(read(&again).await.unwrap(), b"text");
}

#[tokio::test]
async fn a_fault_of_one_key_leaves_the_others_alone() {
    let (test, backend) = stored("text").await;
    let denied = || Fault::error(ErrorKind::PermissionDenied).on_key("a");
    test.inject(Operation::Copy, denied());
    test.inject(Operation::Delete, denied().times(1));
    let failed = backend.copy(CopyObject::new("a", "b")).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::PermissionDenied);
    backend.delete(Delete::new("b")).await.unwrap();
    backend.delete(Delete::new("a")).await.unwrap_err();
    backend.delete(Delete::new("a")).await.unwrap();
    assert_eq!(test.calls(Operation::Delete), 3);
}

#[tokio::test]
async fn a_shut_down_backend_starts_empty() {
    let test = TestBackend::new();
    let host = test.host().unwrap();
    let backend = host.backend(BACKEND).await.unwrap();
    backend.upload(Upload::new("a", "text")).await.unwrap();
    backend.shutdown().await.unwrap();
    let fresh = test.backend().await.unwrap();
    assert!(!fresh.exists("a").await.unwrap());
}
