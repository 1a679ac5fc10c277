//! Uploads in parts and updates: across processes, killed at each step, at once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

#[cfg(target_os = "linux")]
#[path = "parts/killed.rs"]
mod killed;

use futures_util::future::join_all;
use holdall_plugin_api::{
    AbortUpload, Body, Bytes, Checksums, CompleteUpload, CreateUpload, Download, ErrorKind, Head,
    Host, ListParts, ListUploads, Part, PutPart, Result, StorageBackend, Update, Upload,
};
use holdall_plugin_local::{Durability, Local, LocalConfig};
use std::path::Path;
use std::process::Command;

async fn opened(root: &Path) -> Local {
    let config = LocalConfig {
        durability: Durability::None,
        ..LocalConfig::new(root)
    };
    Local::open(config, Host::detached("test")).await.unwrap()
}

async fn get(local: &Local, key: &str) -> Bytes {
    let body = local.download(Download::new(key)).await.unwrap().body;
    body.collect(usize::MAX).await.unwrap()
}

async fn begin(local: &Local, key: &str) -> String {
    local.create_upload(CreateUpload::new(key)).await.unwrap()
}

async fn put(local: &Local, id: &str, number: u32, bytes: Vec<u8>) -> Part {
    let put = PutPart::new("k", id, number, bytes);
    local.put_part(put).await.unwrap()
}

fn is_unknown<T: std::fmt::Debug>(answer: Result<T>) -> bool {
    answer.is_err_and(|error| error.code() == "upload_not_found")
}

const ROOT: &str = "HOLDALL_TEST_ROOT";

/// Runs a test of this binary again, in a process that finds the root in its environment.
fn child(test: &str, root: &Path, tool: &[String]) -> Command {
    let mut words = tool.to_vec();
    words.push(
        std::env::current_exe()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned(),
    );
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(ROOT, root);
    command
}

#[test]
fn another_process_goes_on_with_an_upload() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(root) = std::env::var_os(ROOT) {
        return runtime.block_on(async {
            let local = opened(Path::new(&root)).await;
            let uploads = local
                .list_uploads(ListUploads::new(""))
                .await
                .unwrap()
                .uploads;
            let id = &uploads[0].upload_id;
            put(&local, id, 2, vec![2; 3_000_000]).await;
            let parts = local
                .list_parts(ListParts::new("k", id))
                .await
                .unwrap()
                .parts;
            assert_eq!(parts.len(), 2);
            let complete = CompleteUpload::new("k", id, &parts);
            local.complete_upload(complete).await.unwrap();
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let (local, id) = runtime.block_on(async {
        let local = opened(folder.path()).await;
        let create = CreateUpload::new("k").content_type("text/css");
        let id = local.create_upload(create).await.unwrap();
        put(&local, &id, 1, vec![1; 3_000_000]).await;
        (local, id)
    });
    let test = "another_process_goes_on_with_an_upload";
    let output = child(test, folder.path(), &[]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    runtime.block_on(async {
        let expected = [vec![1; 3_000_000], vec![2; 3_000_000]].concat();
        assert!(get(&local, "k").await == expected);
        let head = local.head(Head::new("k")).await.unwrap();
        assert_eq!(head.content_type.as_deref(), Some("text/css"));
        assert_eq!(
            head.checksums.crc32c,
            Some(crc_fast::crc32_iscsi(&expected))
        );
        let answer = local.list_parts(ListParts::new("k", &id)).await;
        assert!(is_unknown(answer));
    });
}

#[tokio::test]
async fn the_checksum_of_the_whole_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let local = opened(folder.path()).await;
    let id = begin(&local, "k").await;
    let parts = [
        put(&local, &id, 1, vec![1; 10]).await,
        put(&local, &id, 3, vec![2; 20]).await,
    ];
    let mut checksums = Checksums::NONE;
    checksums.crc32c = Some(7);
    let wrong = CompleteUpload::new("k", &id, &parts).checksums(checksums);
    let refused = local.complete_upload(wrong).await.unwrap_err();
    let found = crc_fast::crc32_iscsi(&[vec![1; 10], vec![2; 20]].concat());
    assert_eq!(refused.kind(), ErrorKind::ChecksumMismatch);
    assert_eq!(refused.fact("found_crc32c"), Some(&*format!("{found:08x}")));
    checksums.crc32c = Some(found);
    let right = CompleteUpload::new("k", &id, &parts).checksums(checksums);
    local.complete_upload(right).await.unwrap();
}

#[tokio::test]
async fn page_tokens_of_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let local = opened(folder.path()).await;
    let id = begin(&local, "k").await;
    for token in ["", "x", "-1", "4294967296", "../../x"] {
        let list = ListParts::new("k", &id).page_token(Some(token));
        let refused = local.list_parts(list).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{token}");
    }
    // The 32nd byte is within a letter.
    for token in ["", "x", &format!("x{}", "é".repeat(40))] {
        let list = ListUploads::new("").page_token(Some(token));
        let refused = local.list_uploads(list).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{token}");
    }
    local
        .abort_upload(AbortUpload::new("k", &id))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_large_part_of_unknown_length_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let local = opened(folder.path()).await;
    let id = begin(&local, "k").await;
    let chunks = (0..40_u8).map(|byte| Ok(Bytes::from(vec![byte; 100_000])));
    let body = Body::stream(futures_util::stream::iter(chunks));
    let part = PutPart::new("k", &id, 1, body);
    let part = local.put_part(part).await.unwrap();
    assert_eq!(part.size, 4_000_000);
    let complete = CompleteUpload::new("k", &id, [&part]);
    local.complete_upload(complete).await.unwrap();
    let expected: Vec<u8> = (0..40).flat_map(|byte| vec![byte; 100_000]).collect();
    assert!(get(&local, "k").await == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_at_once_lose_nothing_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let local = opened(folder.path()).await;
    for round in 0..20 {
        let upload = Upload::new("k", vec![round; 100_000]).content_type("text/plain");
        local.upload(upload.metadata("a", "1")).await.unwrap();
        let updates = [
            Update::new("k").content_type("text/css"),
            Update::new("k").cache_control("no-store"),
            Update::new("k").content_language("de"),
            Update::new("k").metadata([("b", "2")]),
        ];
        for answer in join_all(updates.map(|update| local.update(update))).await {
            answer.unwrap();
        }
        let head = local.head(Head::new("k")).await.unwrap();
        assert_eq!(head.content_type.as_deref(), Some("text/css"));
        assert_eq!(head.cache_control.as_deref(), Some("no-store"));
        assert_eq!(head.content_language.as_deref(), Some("de"));
        assert_eq!(head.metadata, [("b".to_owned(), "2".to_owned())]);
        assert!(get(&local, "k").await == vec![round; 100_000]);
        // An upload and an update at once: the object is of one of them, never bytes of one and metadata of the other.
        let upload = Upload::new("k", "new").content_type("text/new");
        let update = Update::new("k").metadata([("c", "3")]);
        let (stored, updated) = tokio::join!(local.upload(upload), local.update(update));
        stored.unwrap();
        updated.unwrap();
        let head = local.head(Head::new("k")).await.unwrap();
        assert_eq!(
            (head.size, head.content_type.as_deref()),
            (3, Some("text/new"))
        );
        assert_eq!(get(&local, "k").await, "new");
    }
}
