//! Roots that are moved, covered, emptied, full, read-only or wrong, before and while they are in use.
//!
//! What needs a mount runs this test binary again in a mount namespace of its own (`unshare -rm`).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall_plugin_api::{
    Capability, CopyObject, Delete, Download, ErrorKind, Head, Host, Key, List, Rename, Result,
    StorageBackend, Upload,
};
use holdall_plugin_local::{Durability, Local, LocalConfig};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
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
    std::fs::rename(&root, &moved).unwrap();
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

#[tokio::test]
async fn removed_parts_of_a_root_are_made_again() {
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

#[tokio::test]
async fn readers_of_the_root_can_lock_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // As an earlier version made them, open to all readers.
    for part in ["staging", "locks"] {
        std::fs::create_dir(root.join(part)).unwrap();
        std::fs::set_permissions(root.join(part), PermissionsExt::from_mode(0o755)).unwrap();
    }
    std::fs::write(root.join("locks/000"), "").unwrap();
    let local = opened(root).await;
    let etag = put(&local, "a", "1").await.unwrap().unwrap();
    let upload = Upload::new("a", "2").if_match(&etag);
    local.upload(upload).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    for part in ["staging", "locks"] {
        assert_eq!(mode(&root.join(part)), 0o700, "{part}");
    }
    let locks = files(root, "locks")
        .into_iter()
        .filter(|name| name != "000");
    let staged = files(root, "staging")
        .into_iter()
        .filter(|name| name.ends_with(".lock"));
    let made: Vec<PathBuf> = locks
        .map(|name| root.join("locks").join(name))
        .chain(staged.map(|name| root.join("staging").join(name)))
        .collect();
    assert_eq!(made.len(), 2);
    for path in made {
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
    // Objects are for all readers still.
    assert_eq!(mode(&root.join("objects")) & 0o500, 0o500);
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
        for _ in 0..100 {
            let local = local.clone();
            waiting.spawn(async move { put(&local, "held", "3").await });
        }
        // 100 writers wait before the first of these begins, and after the last of them ended.
        for number in 0..20 {
            put(&local, &format!("other/{number}"), "x").await.unwrap();
            assert!(waiting.try_join_next().is_none(), "the lock is held");
        }
        assert_eq!(get(&local, "held").await.unwrap(), "2");
        lock.unlock().unwrap();
        while let Some(done) = waiting.join_next().await {
            done.unwrap().unwrap();
        }
        assert_eq!(get(&local, "held").await.unwrap(), "3");
    });
}

/// Set in a process that [`again`] has started.
const INNER: &str = "HOLDALL_TEST_IN_NAMESPACE";

/// Runs the named test of this binary again, by `tool` with `args`; a shell script comes first. Says
/// so aloud when the machine does not allow that. Returns whether this is the process to test in.
fn again(test: &str, tool: &[&str], script: &str) -> bool {
    if std::env::var_os(INNER).is_some() {
        return true;
    }
    let run = |script: &str| {
        let mut command = Command::new(tool[0]);
        command.args(&tool[1..]).args(["sh", "-ec", script, "sh"]);
        command.env(INNER, "1");
        command
    };
    if !run("true")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        let line = format!("SKIPPED: {test}: `{}` fails here\n", tool.join(" "));
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return false;
    }
    let script = format!("{script}\nexec \"$@\"");
    let output = run(&script)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
    false
}

const NAMESPACE: [&str; 2] = ["unshare", "-rm"];

fn shell(script: &str, folder: &Path) {
    let ran = Command::new("sh")
        .args(["-ec", script])
        .current_dir(folder)
        .status();
    assert!(ran.unwrap().success(), "{script}");
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(test);
}

#[test]
fn a_root_below_a_new_mount_takes_no_changes() {
    if !again("a_root_below_a_new_mount_takes_no_changes", &NAMESPACE, "") {
        return;
    }
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let local = opened(&root).await;
        put(&local, "old", "old").await.unwrap();
        for covered in ["root", "root/objects"] {
            shell(&format!("mount -t tmpfs none {covered}"), folder.path());
            assert_eq!(changes(&local).await, [ErrorKind::ContainerMissing; 6]);
            assert!(!local.health().await.unwrap().healthy);
            shell(&format!("umount {covered}"), folder.path());
            assert_eq!(files(&root, "objects"), ["old"]);
            put(&local, "old", "new").await.unwrap();
        }
        // Detached while it is in use.
        shell("mkdir on; mount -t tmpfs none on", folder.path());
        let local = opened(&folder.path().join("on")).await;
        put(&local, "old", "old").await.unwrap();
        shell("umount -l on", folder.path());
        assert_eq!(changes(&local).await, [ErrorKind::ContainerMissing; 6]);
    });
}

#[test]
fn objects_on_another_mount_are_refused_when_the_root_opens() {
    let test = "objects_on_another_mount_are_refused_when_the_root_opens";
    if !again(test, &NAMESPACE, "") {
        return;
    }
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        for mount in [
            "mount --bind elsewhere root/objects",
            "mount -t tmpfs none root/objects",
        ] {
            shell("mkdir -p root/objects elsewhere", folder.path());
            shell(mount, folder.path());
            let root = folder.path().join("root");
            let error = open(LocalConfig::new(&root)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains("mount"), "{error}");
            assert_eq!(files(&root, "objects"), [""; 0]);
            assert_eq!(files(&root, "staging"), [""; 0]);
            shell("umount root/objects", folder.path());
        }
    });
}

#[test]
fn a_full_disk_opens_for_reading_and_deleting() {
    if !again("a_full_disk_opens_for_reading_and_deleting", &NAMESPACE, "") {
        return;
    }
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        shell(
            "mkdir full; mount -t tmpfs -o size=2m,nr_inodes=64 none full",
            folder.path(),
        );
        let root = folder.path().join("full");
        let local = opened(&root).await;
        put(&local, "a/b", "kept").await.unwrap();
        put(&local, "c", "removed").await.unwrap();
        drop(local);
        for filled in [
            "head -c 4m /dev/zero > full/blocks 2> /dev/null || true",
            "rm full/blocks; i=0; while touch full/inode-$i; do i=$((i+1)); done 2> /dev/null || true",
        ] {
            shell(filled, folder.path());
            let before = files(&root, "staging");
            for _ in 0..3 {
                let local = opened(&root).await;
                assert_eq!(get(&local, "a/b").await.unwrap(), "kept");
                let refused = kind(put(&local, "new", &"x".repeat(100_000)).await);
                assert_eq!(refused, ErrorKind::QuotaExceeded);
                let health = local.health().await.unwrap();
                assert!(
                    health.healthy && health.message.starts_with("full"),
                    "{health:?}"
                );
                let page = local.list(List::new("")).await.unwrap();
                assert!(page.entries.iter().any(|entry| entry.key == "a/b"));
                local.shutdown().await.unwrap();
            }
            assert_eq!(files(&root, "staging"), before, "nothing leaks");
        }
        let local = opened(&root).await;
        let deleted = local.delete(Delete::new("c")).await.unwrap();
        assert_eq!(deleted.existed, Some(true));
        assert!(!local.exists(Key::new("c")).await.unwrap());
        // Room again: the next upload is stored, and the host is asked to open the backend again.
        shell("rm full/inode-*", folder.path());
        tokio::time::sleep(Duration::from_millis(1100)).await;
        put(&local, "new", "x").await.unwrap();
        assert!(!local.health().await.unwrap().healthy, "claims too little");
        let local = opened(&root).await;
        assert!(local.health().await.unwrap().healthy);
        assert_eq!(get(&local, "new").await.unwrap(), "x");
    });
}

#[test]
fn a_read_only_mount_claims_what_was_probed_and_is_probed_again() {
    let test = "a_read_only_mount_claims_what_was_probed_and_is_probed_again";
    if !again(test, &NAMESPACE, "") {
        return;
    }
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        shell("mkdir ro; mount -t tmpfs none ro", folder.path());
        let root = folder.path().join("ro");
        let local = opened(&root).await;
        put(&local, "a", "1").await.unwrap();
        let writable = local.instance().capabilities.unwrap();
        drop(local);
        shell("mount -o remount,ro ro", folder.path());
        let local = opened(&root).await;
        let claimed = local.instance().capabilities.unwrap();
        let writes = [
            Capability::CreateOnly,
            Capability::IfMatchPut,
            Capability::IfMatchDelete,
            Capability::CopyCreateOnly,
            Capability::UnicodeExact,
        ];
        assert!(
            writes
                .iter()
                .all(|one| writable.has(*one) && !claimed.has(*one))
        );
        let health = local.health().await.unwrap();
        assert!(
            health.healthy && health.message.starts_with("read_only"),
            "{health:?}"
        );
        let error = local.upload(Upload::new("b", "2")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(get(&local, "a").await.unwrap(), "1");
        shell("mount -o remount,rw ro", folder.path());
        tokio::time::sleep(Duration::from_millis(1100)).await;
        put(&local, "b", "2").await.unwrap();
        assert!(!local.health().await.unwrap().healthy, "claims too little");
        let again = opened(&root).await.instance().capabilities.unwrap();
        assert_eq!(again, writable);
    });
}

#[test]
fn file_systems_in_memory_claim_no_durability_and_are_well() {
    let test = "file_systems_in_memory_claim_no_durability_and_are_well";
    if !again(test, &NAMESPACE, "") {
        return;
    }
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        for kind in ["tmpfs", "ramfs"] {
            shell(
                &format!("mkdir {kind}; mount -t {kind} none {kind}"),
                folder.path(),
            );
            let local = opened(&folder.path().join(kind)).await;
            put(&local, "a", "1").await.unwrap();
            assert_eq!(get(&local, "a").await.unwrap(), "1");
            let claimed = local.instance().capabilities.unwrap();
            assert!(!claimed.has(Capability::Durability), "{kind}");
            // ramfs says that it has 0 bytes, none of them free.
            assert!(local.health().await.unwrap().healthy, "{kind}");
        }
    });
}

#[test]
fn a_directory_that_cannot_be_read_is_left_out_of_listings() {
    let test = "a_directory_that_cannot_be_read_is_left_out_of_listings";
    // Root without the right to ignore modes; any other user has none.
    let root = [
        "setpriv",
        "--bounding-set",
        "-dac_override,-dac_read_search",
    ];
    if !again(test, &root, "") {
        return;
    }
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let local = opened(folder.path()).await;
        for key in [
            "a",
            "closed/x",
            "dir/closed/x",
            "dir/y",
            "unsearchable/x",
            "z",
        ] {
            put(&local, key, "1").await.unwrap();
        }
        let objects = folder.path().join("objects");
        let mode = |name: &str, mode| {
            let mode = PermissionsExt::from_mode(mode);
            std::fs::set_permissions(objects.join(name), mode).unwrap();
        };
        mode("closed", 0);
        mode("dir/closed", 0);
        mode("unsearchable", 0o400);
        for limit in [1, 2, 1000] {
            let (mut keys, mut skipped, mut token) = (Vec::new(), 0, None::<String>);
            loop {
                let list = List::new("").limit(limit).page_token(token.as_deref());
                let page = local.list(list).await.unwrap();
                keys.extend(page.entries.into_iter().map(|entry| entry.key));
                skipped += page.skipped;
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!((keys.join(" "), skipped), ("a dir/y z".to_owned(), 3));
        }
        let page = local.list(List::new("").delimiter("/")).await.unwrap();
        assert_eq!(
            (page.common_prefixes, page.skipped),
            (vec!["dir/".to_owned()], 2)
        );
        let error = local.list(List::new("closed/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.message().contains("closed/"), "{error}");
        for name in ["closed", "dir/closed", "unsearchable"] {
            mode(name, 0o700);
        }
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
