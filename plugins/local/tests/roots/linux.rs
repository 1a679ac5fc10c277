//! What takes modes or a mount: that runs this test binary again in a mount namespace of its own (`unshare -rm`).

use super::*;
use holdall_plugin_api::Capability;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Command;

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
        .args(["--exact", &format!("linux::{test}"), "--nocapture"])
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
fn a_full_disk_keeps_uploads_in_parts() {
    if !again("a_full_disk_keeps_uploads_in_parts", &NAMESPACE, "") {
        return;
    }
    block_on(async {
        const HALF: usize = 3 << 20;
        let folder = tempfile::tempdir().unwrap();
        shell(
            "mkdir full; mount -t tmpfs -o size=32m none full",
            folder.path(),
        );
        let local = opened(&folder.path().join("full")).await;
        put(&local, "k", "old").await.unwrap();
        let id = local.create_upload(CreateUpload::new("k")).await.unwrap();
        let store =
            |number, byte: u8| local.put_part(PutPart::new("k", &id, number, vec![byte; HALF]));
        store(1, 0).await.unwrap();
        // In a file of its own: its place in the object is still to be filled.
        let mut parts = vec![store(1, 1).await.unwrap()];
        let fill = "head -c 32m /dev/zero > full/blocks 2> /dev/null || true";
        shell(fill, folder.path());
        assert_eq!(kind(store(2, 2).await), ErrorKind::QuotaExceeded);
        assert_eq!(kind(store(1, 9).await), ErrorKind::QuotaExceeded);
        let page = local.list_parts(ListParts::new("k", &id)).await.unwrap();
        assert_eq!(page.parts, parts);
        shell("rm full/blocks", folder.path());
        parts.push(store(2, 2).await.unwrap());
        parts.push(store(3, 3).await.unwrap());
        // The second is not named: it has to move out of the way, for which there is no room.
        shell(fill, folder.path());
        let named = [parts[0].clone(), parts[2].clone()];
        let complete = || CompleteUpload::new("k", &id, &named);
        let refused = kind(local.complete_upload(complete()).await);
        assert_eq!(refused, ErrorKind::QuotaExceeded);
        assert_eq!(get(&local, "k").await.unwrap(), "old");
        let page = local.list_parts(ListParts::new("k", &id)).await.unwrap();
        assert_eq!(page.parts, parts);
        shell("rm full/blocks", folder.path());
        local.complete_upload(complete()).await.unwrap();
        let expected = [vec![1; HALF], vec![3; HALF]].concat();
        assert!(get(&local, "k").await.unwrap().into_bytes() == expected);
        assert!(
            !folder
                .path()
                .join("full/staging/uploads")
                .join(&id)
                .exists()
        );
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
        // The sweep that began with the store holds a file open for writing until it has ended.
        let until_free =
            "for _ in $(seq 600); do mount -o remount,ro ro && exit; sleep 0.1; done; exit 1";
        shell(until_free, folder.path());
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
