//! Uploads in parts and reads of many ranges: every path gives back what it took.

use super::{Stage, allocated, until};
use bytes::Bytes;
use holdall::{
    AbortUpload, Body, Capability, CompleteUpload, CreateUpload, Download, DownloadRanges,
    ErrorKind, Head, ListParts, ListUploads, PutPart,
};
use serde_json::json;

#[tokio::test]
async fn an_upload_in_parts_comes_and_goes() {
    let stage = Stage::new();
    let store = stage.backend("c", json!({})).await;
    let before = allocated(&store).await;
    let create = CreateUpload::new("a/b").content_type("text/plain");
    let id = store.create_upload(create).await.unwrap();
    let other = store.create_upload(CreateUpload::new("a/c")).await.unwrap();
    let mut parts = Vec::new();
    for (number, text) in [(900, "world"), (1, "old"), (2, ""), (1, "hello ")] {
        let put = PutPart::new("a/b", &id, number, text);
        parts.push(store.put_part(put).await.unwrap());
    }
    assert!(parts[0].checksums.crc32c.is_some());

    // Page by page.
    let (mut numbers, mut token) = (Vec::new(), None);
    loop {
        let list = ListParts::new("a/b", &id)
            .limit(2)
            .page_token(token.as_deref());
        let page = store.list_parts(list).await.unwrap();
        numbers.extend(page.parts.iter().map(|part| (part.number, part.size)));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(numbers, [(1, 6), (2, 0), (900, 5)]);
    let page = store.list_uploads(ListUploads::new("a/").limit(1)).await;
    let page = page.unwrap();
    let list = ListUploads::new("a/").page_token(page.next.as_deref());
    let rest = store.list_uploads(list).await.unwrap();
    assert_eq!(page.uploads[0].upload_id, id);
    assert_eq!(rest.uploads[0].upload_id, other);

    // What fails leaves the upload as it is.
    let named = [&parts[1], &parts[0]];
    let replaced = CompleteUpload::new("a/b", &id, named);
    let error = store.complete_upload(replaced).await.unwrap_err();
    assert_eq!(
        (error.code(), error.fact("part")),
        ("invalid_part", Some("1"))
    );
    let cut = Body::stream(futures_util::stream::iter([
        Ok(Bytes::from_static(b"half")),
        Err(holdall::Error::new(ErrorKind::RateLimited)),
    ]));
    let error = store.put_part(PutPart::new("a/b", &id, 1, cut)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::RateLimited);

    let named = [&parts[3], &parts[2], &parts[0]];
    let complete = CompleteUpload::new("a/b", &id, named).create_only();
    let uploaded = store.complete_upload(complete.clone()).await.unwrap();
    let head = store.head(Head::new("a/b")).await.unwrap();
    assert_eq!((head.size, &head.etag), (11, &uploaded.etag));
    assert_eq!(head.content_type.as_deref(), Some("text/plain"));
    let body = store.download(Download::new("a/b")).await.unwrap().body;
    assert_eq!(body.collect(100).await.unwrap(), "hello world");
    let error = store.complete_upload(complete).await.unwrap_err();
    assert_eq!(error.code(), "upload_not_found");
    let put = PutPart::new("a/c", &other, 1, vec![7; 100_000]);
    store.put_part(put).await.unwrap();
    let abort = AbortUpload::new("a/c", &other);
    store.abort_upload(abort).await.unwrap();
    let error = store.abort_upload(abort).await.unwrap_err();
    assert_eq!(error.code(), "upload_not_found");

    store.delete("a/b").await.unwrap();
    until("all is given back", || async {
        allocated(&store).await <= before
    })
    .await;
    // An upload that is left over goes with its store.
    let watch = stage.backend("watch", json!({})).await;
    let before = allocated(&watch).await;
    let store = stage.backend("short", json!({"max_objects": 1})).await;
    let id = store.create_upload(CreateUpload::new("k")).await.unwrap();
    let error = store.create_upload(CreateUpload::new("l")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::QuotaExceeded);
    store
        .put_part(PutPart::new("k", &id, 1, "left over"))
        .await
        .unwrap();
    drop(store);
    stage.host.remove("short");
    until("the store is freed", || async {
        allocated(&watch).await <= before
    })
    .await;
}

#[tokio::test]
async fn ranges_are_read_by_the_plugin() {
    let stage = Stage::new();
    let store = stage.backend("c", json!({})).await;
    let info = store.info().await.unwrap();
    assert!(info.capabilities.contains(Capability::Ranges.into()));
    let bytes: Vec<u8> = (0..100_000u32).map(|number| (number % 251) as u8).collect();
    let before = allocated(&store).await;
    store
        .upload(holdall::Upload::new("k", bytes.clone()))
        .await
        .unwrap();
    let ranges: Vec<_> = (0..500).map(|at| at * 199..at * 199 + 150).rev().collect();
    let read = store.download_ranges(DownloadRanges::new("k", ranges.clone()));
    let read = read.await.unwrap();
    assert_eq!(read.info.size, 100_000);
    for (range, found) in ranges.iter().zip(&read.ranges) {
        let (start, end) = (range.start as usize, range.end as usize);
        assert_eq!(*found, bytes[start..end], "{range:?}");
    }
    let behind = DownloadRanges::new("k", [0..1, 99_999..100_001]);
    let error = store.download_ranges(behind).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.fact("size")),
        (ErrorKind::InvalidRange, Some("100000"))
    );
    store.delete("k").await.unwrap();
    until("all is given back", || async {
        allocated(&store).await <= before
    })
    .await;
}
