//! Roots that are moved, covered, emptied, full, read-only or wrong, before and while they are in use.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

#[cfg(target_os = "linux")]
#[path = "roots/linux.rs"]
mod linux;

use holdall_plugin_api::{
    AbortUpload, CompleteUpload, CopyObject, CreateUpload, Delete, Download, ErrorKind, Head, Host,
    Key, List, ListParts, ListUploads, PutPart, Rename, Result, StorageBackend, Update, Upload,
};
use holdall_plugin_local::{Durability, Local, LocalConfig};
use std::path::Path;
use std::time::{Duration, SystemTime};

async fn open(config: LocalConfig) -> Result<Local> {
    let config = LocalConfig {
        durability: Durability::None,
        ..config
    };
    Local::open(config, Host::detached("test")).await
}

async fn opened(root: &Path) -> Local {
    open(LocalConfig::new(root)).await.unwrap()
}

async fn put(local: &Local, key: &str, bytes: &str) -> Result<Option<String>> {
    let upload = Upload::new(key, bytes.to_owned());
    local.upload(upload).await.map(|uploaded| uploaded.etag)
}

async fn get(local: &Local, key: &str) -> Result<String> {
    let body = local.download(Download::new(key)).await?.body;
    let bytes = body.collect(usize::MAX).await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

fn kind<T: std::fmt::Debug>(answer: Result<T>) -> ErrorKind {
    answer.unwrap_err().kind()
}

fn files(root: &Path, part: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.join(part)).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Every change, and what it answers.
async fn changes(local: &Local) -> Vec<ErrorKind> {
    let create = Upload::new("new/create", "x").create_only();
    vec![
        kind(put(local, "new/plain", "x").await),
        kind(local.upload(create).await),
        kind(put(local, "new/large", &"x".repeat(3 << 20)).await),
        kind(local.delete(Delete::new("old")).await),
        kind(local.copy(CopyObject::new("old", "new/copy")).await),
        kind(local.rename(Rename::new("old", "new/name")).await),
    ]
}

#[tokio::test]
async fn a_moved_root_takes_no_changes() {
    let folder = tempfile::tempdir().unwrap();
    let (root, moved) = (folder.path().join("root"), folder.path().join("root.old"));
    let local = opened(&root).await;
    put(&local, "old", "old").await.unwrap();
    let renamed = std::fs::rename(&root, &moved);
    if cfg!(windows) {
        // Windows moves no directory below which something is open; wine does, and opens names below it by its path.
        match renamed {
            Err(_) => assert_eq!(get(&local, "old").await.unwrap(), "old"),
            Ok(()) => skipped(
                "a_moved_root_takes_no_changes",
                "directories in use are moved here",
            ),
        }
        return;
    }
    renamed.unwrap();
    for replaced in [false, true] {
        if replaced {
            std::fs::create_dir_all(root.join("objects")).unwrap();
        }
        let answers = changes(&local).await;
        assert_eq!(answers, [ErrorKind::ContainerMissing; 6], "{replaced}");
        assert!(!local.health().await.unwrap().healthy, "{replaced}");
        assert_eq!(files(&moved, "objects"), ["old"], "{replaced}");
    }
    assert_eq!(files(&root, "objects"), [""; 0]);
    // Reads look for the root at most a second later.
    let deadline = SystemTime::now() + Duration::from_secs(60);
    while get(&local, "old").await.is_ok() && SystemTime::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let kinds = [
        kind(get(&local, "old").await),
        kind(local.head(Head::new("old")).await),
        kind(local.exists(Key::new("old")).await),
        kind(local.list(List::new("")).await),
    ];
    assert_eq!(kinds, [ErrorKind::ContainerMissing; 4]);
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::rename(&moved, &root).unwrap();
    assert_eq!(get(&local, "old").await.unwrap(), "old");
    put(&local, "new/plain", "x").await.unwrap();
}

// Windows moves no directory below which something is open.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_moved_root_takes_no_parts_and_gives_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let (root, moved) = (folder.path().join("root"), folder.path().join("root.old"));
    let local = opened(&root).await;
    put(&local, "old", "old").await.unwrap();
    let id = local.create_upload(CreateUpload::new("k")).await.unwrap();
    let part = PutPart::new("k", &id, 1, "part");
    let parts = [local.put_part(part).await.unwrap()];
    std::fs::rename(&root, &moved).unwrap();
    for replaced in [false, true] {
        if replaced {
            drop(opened(&root).await);
        }
        let complete = CompleteUpload::new("k", &id, &parts);
        let answers = [
            kind(local.create_upload(CreateUpload::new("k")).await),
            kind(local.put_part(PutPart::new("k", &id, 1, "x")).await),
            kind(
                local
                    .put_part(PutPart::new("k", &id, 2, "x".repeat(3 << 20)))
                    .await,
            ),
            kind(local.complete_upload(complete).await),
            kind(local.abort_upload(AbortUpload::new("k", &id)).await),
            kind(local.list_uploads(ListUploads::new("")).await),
            kind(local.update(Update::new("old").content_type("a/b")).await),
        ];
        assert_eq!(answers, [ErrorKind::ContainerMissing; 7], "{replaced}");
    }
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::rename(&moved, &root).unwrap();
    let page = local.list_parts(ListParts::new("k", &id)).await.unwrap();
    assert_eq!(page.parts, parts);
    let complete = CompleteUpload::new("k", &id, &parts);
    local.complete_upload(complete).await.unwrap();
    assert_eq!(get(&local, "k").await.unwrap(), "part");
}

#[tokio::test]
async fn a_removed_staging_has_no_uploads_and_begins_new_ones() {
    if !removes_what_is_open() {
        let why = "the names of open files stay after they are removed here";
        return skipped("a_removed_staging_has_no_uploads_and_begins_new_ones", why);
    }
    let folder = tempfile::tempdir().unwrap();
    let local = opened(folder.path()).await;
    let id = local.create_upload(CreateUpload::new("k")).await.unwrap();
    for _ in 0..2 {
        std::fs::remove_dir_all(folder.path().join("staging")).unwrap();
        let lost = local.put_part(PutPart::new("k", &id, 1, "x")).await;
        assert_eq!(lost.unwrap_err().code(), "upload_not_found");
        let id = local.create_upload(CreateUpload::new("k")).await.unwrap();
        let part = local
            .put_part(PutPart::new("k", &id, 1, "x"))
            .await
            .unwrap();
        let complete = CompleteUpload::new("k", &id, [&part]);
        local.complete_upload(complete).await.unwrap();
    }
}

/// Says aloud that a test is left out.
fn skipped(test: &str, why: &str) {
    let line = format!("SKIPPED: {test}: {why}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
}

/// Whether the name of an open file is free again once it is removed, which it is not under wine.
fn removes_what_is_open() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("open");
    let open = std::fs::File::create(&path).unwrap();
    let removed = std::fs::remove_file(&path).and_then(|()| std::fs::File::create_new(&path));
    drop(open);
    removed.is_ok()
}

#[tokio::test]
async fn removed_parts_of_a_root_are_made_again() {
    if !removes_what_is_open() {
        let why = "the names of open files stay after they are removed here";
        return skipped("removed_parts_of_a_root_are_made_again", why);
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let local = opened(root).await;
    put(&local, "a", "1").await.unwrap();
    let empty_staging = || {
        for name in files(root, "staging") {
            let path = root.join("staging").join(name);
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
    };
    // A rename needs no staging, so it may still be missing.
    let remove = |part: &str| drop(std::fs::remove_dir_all(root.join(part)));
    for case in 0..3 {
        let break_it = || match case {
            0 => empty_staging(),
            1 => remove("staging"),
            _ => remove("locks"),
        };
        break_it();
        put(&local, "a", "2").await.unwrap();
        break_it();
        put(&local, "large", &"x".repeat(3 << 20)).await.unwrap();
        break_it();
        local.copy(CopyObject::new("a", "copied")).await.unwrap();
        break_it();
        let etag = put(&local, "a", "3").await.unwrap().unwrap();
        break_it();
        let answer = local.upload(Upload::new("a", "4").if_match(&etag)).await;
        let etag = answer.unwrap().etag.unwrap();
        break_it();
        let rename = Rename::new("copied", "renamed");
        local.rename(rename).await.unwrap();
        break_it();
        local
            .delete(Delete::new("a").if_match(&etag))
            .await
            .unwrap();
        assert!(local.health().await.unwrap().healthy, "{case}");
    }
    assert_eq!(files(root, "objects"), ["large", "renamed"]);
}

#[tokio::test]
async fn a_root_that_is_no_directory_is_container_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let objects = folder.path().join("objects-is-a-file");
    std::fs::create_dir(&objects).unwrap();
    std::fs::write(objects.join("objects"), "").unwrap();
    let staging = folder.path().join("staging-is-a-file");
    std::fs::create_dir(&staging).unwrap();
    std::fs::write(staging.join("staging"), "").unwrap();
    let long = folder.path().join("x".repeat(300));
    for root in [&file, &file.join("below"), &objects, &staging, &long] {
        for create_root in [true, false] {
            let config = LocalConfig {
                create_root,
                ..LocalConfig::new(root)
            };
            let error = open(config).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ContainerMissing, "{error:?}");
            assert_eq!(error.fact("root"), root.to_str());
            assert!(error.to_string().contains(root.to_str().unwrap()));
        }
    }
}

#[tokio::test]
async fn create_root_false_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let unmounted = folder.path().join("mount-point");
    std::fs::create_dir(&unmounted).unwrap();
    for root in [&unmounted, &folder.path().join("missing/below")] {
        let config = LocalConfig {
            create_root: false,
            ..LocalConfig::new(root)
        };
        assert_eq!(kind(open(config).await), ErrorKind::ContainerMissing);
    }
    assert_eq!(files(&unmounted, ""), [""; 0]);
    assert_eq!(files(folder.path(), ""), ["mount-point"]);
    // With `objects` the root is proven to be a store.
    std::fs::create_dir(unmounted.join("objects")).unwrap();
    let config = LocalConfig {
        create_root: false,
        ..LocalConfig::new(&unmounted)
    };
    put(&open(config).await.unwrap(), "a", "1").await.unwrap();
}

/// Stores as `cp -p` does: in place, with the time of the source.
fn copy_preserving(to: &Path, bytes: &str, time: SystemTime) {
    std::fs::write(to, bytes).unwrap();
    let file = std::fs::File::options().write(true).open(to).unwrap();
    file.set_modified(time).unwrap();
}

#[tokio::test]
async fn bytes_of_one_size_and_time_have_different_etags() {
    let folder = tempfile::tempdir().unwrap();
    let local = opened(folder.path()).await;
    let uploaded = put(&local, "a", "0000").await.unwrap().unwrap();
    let file = folder.path().join("objects/a");
    let time = std::fs::metadata(&file).unwrap().modified().unwrap();
    let mut seen = vec![uploaded];
    for replace in 0..6 {
        // Before Linux 6.13 change times move in ticks of up to 10 ms.
        std::thread::sleep(Duration::from_millis(20));
        let bytes = format!("000{replace}");
        if replace % 2 == 0 {
            copy_preserving(&file, &bytes, time);
        } else {
            // As `rsync -t` does: beside it, then renamed.
            let beside = folder.path().join("objects/.beside");
            copy_preserving(&beside, &bytes, time);
            std::fs::rename(beside, &file).unwrap();
        }
        let head = local.head(Head::new("a")).await.unwrap();
        assert_eq!((head.size, head.last_modified), (4, Some(time)));
        let page = local.list(List::new("")).await.unwrap();
        let etag = head.etag.unwrap();
        assert_eq!(page.entries[0].etag.as_ref(), Some(&etag), "list and head");
        assert!(!seen.contains(&etag), "{replace}: {seen:?}");
        let stale = seen.last().unwrap();
        let upload = Upload::new("a", "lost").if_match(stale);
        assert_eq!(
            kind(local.upload(upload).await),
            ErrorKind::PreconditionFailed
        );
        seen.push(etag);
    }
}

#[tokio::test]
async fn answers_of_changes_have_the_etag_that_head_and_list_have() {
    let folder = tempfile::tempdir().unwrap();
    let local = opened(folder.path()).await;
    let put_etag = put(&local, "a", "1").await.unwrap();
    assert_eq!(local.head(Head::new("a")).await.unwrap().etag, put_etag);
    let created = local.upload(Upload::new("b", "2").create_only()).await;
    let created = created.unwrap().etag;
    assert_eq!(local.head(Head::new("b")).await.unwrap().etag, created);
    let copied = local.copy(CopyObject::new("a", "c")).await.unwrap().etag;
    let renamed = local.rename(Rename::new("b", "d")).await.unwrap().etag;
    let page = local.list(List::new("")).await.unwrap();
    let etags: Vec<_> = page.entries.into_iter().map(|entry| entry.etag).collect();
    assert_eq!(etags, [put_etag, copied, renamed]);
}

#[tokio::test]
async fn times_outside_of_1970_to_2262_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let local = opened(folder.path()).await;
    let day = Duration::from_secs(86_400);
    let (early, late) = (
        SystemTime::UNIX_EPOCH - day * 20_000,
        SystemTime::UNIX_EPOCH + day * 120_000,
    );
    for (key, time) in [("early", early), ("late", late)] {
        let file = folder.path().join("objects").join(key);
        copy_preserving(&file, "1234", time);
        let kept = std::fs::metadata(&file).unwrap().modified().unwrap();
        let head = local.head(Head::new(key)).await.unwrap();
        let shown = head.last_modified.unwrap();
        if key == "early" {
            assert_eq!(shown, kept);
        } else {
            // The last time that the ABI holds.
            let last = Duration::from_nanos(i64::MAX.unsigned_abs());
            assert_eq!(shown, kept.min(SystemTime::UNIX_EPOCH + last));
        }
        assert_eq!(get(&local, key).await.unwrap(), "1234");
        let mut since = Head::new(key);
        since.options_mut().if_modified_since = Some(shown);
        assert_eq!(kind(local.head(since).await), ErrorKind::NotModified);
    }
    let page = local.list(List::new("")).await.unwrap();
    let keys: Vec<_> = page.entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["early", "late"]);
    let times: Vec<_> = page
        .entries
        .iter()
        .map(|entry| entry.last_modified)
        .collect();
    assert!(times[0] < Some(SystemTime::UNIX_EPOCH) && times[1] > times[0]);
}

#[test]
fn writers_that_wait_for_a_lock_hold_no_thread() {
    let pool = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_time()
        .build()
        .unwrap();
    pool.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let local = std::sync::Arc::new(opened(folder.path()).await);
        let etag = put(&local, "held", "1").await.unwrap().unwrap();
        // Makes the lock file of this key.
        let upload = Upload::new("held", "2").if_match(&etag);
        local.upload(upload).await.unwrap();
        let locks = files(folder.path(), "locks");
        let lock = folder.path().join("locks").join(&locks[0]);
        let lock = std::fs::File::options().write(true).open(lock).unwrap();
        lock.lock().unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        // Under wine one process answers the calls of all threads.
        let writers = if cfg!(windows) { 20 } else { 100 };
        for _ in 0..writers {
            let local = local.clone();
            waiting.spawn(async move { put(&local, "held", "3").await });
        }
        // All of them wait before the first of these begins, and after the last of them ended.
        for number in 0..20 {
            put(&local, &format!("other/{number}"), "x").await.unwrap();
            let ended = waiting.try_join_next();
            assert!(ended.is_none(), "the lock is held: {ended:?}");
        }
        assert_eq!(get(&local, "held").await.unwrap(), "2");
        // Which ends it: `unlock` asks twice, and wine has another answer than Windows to the second.
        drop(lock);
        while let Some(done) = waiting.join_next().await {
            done.unwrap().unwrap();
        }
        assert_eq!(get(&local, "held").await.unwrap(), "3");
    });
}

#[tokio::test]
async fn a_prefix_is_text_and_no_path() {
    let folder = tempfile::tempdir().unwrap();
    let local = opened(folder.path()).await;
    for key in [".bashrc", "d/my file", "a/b"] {
        put(&local, key, "1").await.unwrap();
    }
    for (prefix, expected) in [
        (".", Some(".bashrc")),
        ("d/my ", Some("d/my file")),
        ("..", None),
        ("a/../", None),
        ("a/../a", None),
        ("./", None),
        ("/", None),
        ("a//", None),
        ("a/./b", None),
    ] {
        let page = local.list(List::new(prefix)).await.unwrap();
        let keys: Vec<_> = page.entries.iter().map(|entry| &*entry.key).collect();
        assert_eq!(keys, expected.into_iter().collect::<Vec<_>>(), "{prefix:?}");
        assert_eq!(page.common_prefixes, [""; 0]);
    }
}
