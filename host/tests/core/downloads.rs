//! What is verified on the way out: exactly the announced bytes. Case M-04.

use crate::plugin::Act;
use crate::{bare, store};
use holdall::{ByteRange, Download, ErrorKind, Head, Upload};
use serde_json::json;

#[tokio::test]
async fn bytes_and_ranges_come_back() {
    let (_host, backend, _) = store().await;
    backend
        .upload(Upload::new("k", "0123456789"))
        .await
        .unwrap();
    for (range, bytes) in [
        (None, "0123456789"),
        (Some(ByteRange::Bounded(2..5)), "234"),
        (Some(ByteRange::Bounded(8..99)), "89"),
        (Some(ByteRange::From(7)), "789"),
        (Some(ByteRange::Last(2)), "89"),
    ] {
        let mut download = Download::new("k");
        download.range = range;
        let read = backend.download(download).await.unwrap();
        assert_eq!(read.body.collect(99).await.unwrap(), bytes);
    }
    let past = Download::new("k").range(ByteRange::From(10));
    let error = backend.download(past).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRange);
    assert_eq!(error.fact("size"), Some("10"));
}

#[tokio::test]
async fn a_body_that_is_not_what_was_announced_ends_in_an_error() {
    let (_host, backend, switches) = store().await;
    for (lie, kind) in [
        ("short", ErrorKind::Unavailable),
        ("long", ErrorKind::PluginFault),
        ("empty chunks", ErrorKind::PluginFault),
    ] {
        switches.put("k", "0123456789");
        switches.on("download", Act::Lie(lie));
        let read = backend.download(Download::new("k")).await.unwrap();
        assert_eq!(
            read.body.collect(99).await.unwrap_err().kind(),
            kind,
            "{lie}"
        );
    }
    switches.on("download", Act::Lie("range"));
    let error = backend.download(Download::new("k")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFault);
    switches.off("download");
    if let Some(object) = switches.objects.lock().unwrap().get_mut("k") {
        object.bytes = vec![0; (1 << 20) + 1].into();
        object.crc32c = None;
    }
    let mut body = backend.download(Download::new("k")).await.unwrap().body;
    let mut sizes = Vec::new();
    while let Some(chunk) = body.chunk().await {
        sizes.push(chunk.unwrap().len());
    }
    assert_eq!(sizes, [1 << 20, 1], "the SDK cuts what is over 1 MiB");
}

#[tokio::test]
async fn m_04_bytes_that_changed_behind_the_store_are_corrupt() {
    let (_host, backend, switches) = store().await;
    backend
        .upload(Upload::new("k", "0123456789"))
        .await
        .unwrap();
    switches.on("download", Act::Lie("flip"));
    let mut read = backend.download(Download::new("k")).await.unwrap();
    let error = read.body.chunk().await.unwrap().unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Corrupt,
        "with the last bytes, not after them"
    );
    // A part has no digest of its own.
    let part = Download::new("k").range(ByteRange::From(1));
    backend
        .download(part)
        .await
        .unwrap()
        .body
        .collect(99)
        .await
        .unwrap();
    assert_eq!(switches.opens(), 1, "the medium, not the plugin");
    let (mut memory, mut body) = ([0; 4], backend.download("k").await.unwrap().body);
    assert_eq!(
        body.read_into(&mut memory).await.unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    assert_eq!(
        body.read_into(&mut memory).await.unwrap(),
        0,
        "nothing follows"
    );
    // Who takes unverified bytes gets them; there is no file here.
    let unverified = Download::new("k").unverified();
    let read = backend.download(unverified).await.unwrap();
    #[cfg(unix)]
    assert!(read.body.file().is_none());
    assert_eq!(read.bytes().await.unwrap().len(), 10);
}

#[tokio::test]
async fn head_is_emulated_by_a_download_that_is_dropped() {
    let (host, backend, switches) = bare(json!({})).await;
    let upload = Upload::new("k", "0123456789")
        .content_type("text/x")
        .metadata("a", "b");
    backend.upload(upload).await.unwrap();
    let info = backend.head(Head::new("k")).await.unwrap();
    assert_eq!(
        (info.size, info.content_type.as_deref()),
        (10, Some("text/x"))
    );
    assert_eq!(info.metadata, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(
        backend.head(Head::new("x")).await.unwrap_err().kind(),
        ErrorKind::FileNotFound
    );
    assert_eq!(switches.entered(), 3);
    let status = &host.status().backends[0];
    assert_eq!(
        status.emulated,
        [
            "head",
            "copy",
            "rename",
            "delete_many",
            "shutdown",
            "download_ranges"
        ]
    );
}
