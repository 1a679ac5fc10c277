//! What takes links, attributes or names that only Linux has.

use super::*;
use crate::engine::platform::{ATTRIBUTE, open_path};
use crate::engine::write::RefusedName;
use rustix::fs::{CWD, RenameFlags, XattrFlags, renameat_with, setxattr};
use std::os::unix::fs::symlink;

#[test]
fn damaged_metadata_is_said() {
    let root = root();
    root.put("a", b"text");
    for (value, word) in [(&b"\x01"[..], "damaged"), (&b"\x09"[..], "later version")] {
        setxattr(root.file("a"), ATTRIBUTE, value, XattrFlags::empty()).unwrap();
        let fault = root.store.object("a").unwrap_err();
        assert_eq!(fault.kind, FaultKind::Corrupt);
        assert!(fault.message.contains(word));
    }
}

#[test]
fn links_are_refused_by_every_operation() {
    in_every_mode(|root| {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        symlink(&secret, root.file("file")).unwrap();
        symlink(outside.path(), root.file("dir")).unwrap();
        root.put("real", b"real");
        for key in ["file", "dir/secret"] {
            assert_eq!(
                root.store.object(key).unwrap_err().kind,
                FaultKind::Denied,
                "{key}"
            );
            assert_eq!(root.store.exists(key).unwrap_err().kind, FaultKind::Denied);
            assert_eq!(
                root.store.delete(key, None, Sync::None).unwrap_err().kind,
                FaultKind::Denied
            );
            assert_eq!(root.fails(key, FAST), FaultKind::Denied);
            assert_eq!(root.fails(key, CREATE), FaultKind::Denied);
            assert_eq!(
                root.store.precheck(key, FAST).unwrap_err().kind,
                FaultKind::Denied
            );
            assert_eq!(
                root.store.rename("real", key, Sync::None).unwrap_err().kind,
                FaultKind::Denied
            );
            assert_eq!(
                root.store.rename(key, "x", Sync::None).unwrap_err().kind,
                FaultKind::Denied
            );
            assert_eq!(
                root.store.copy("real", key, FAST).unwrap_err().kind,
                FaultKind::Denied
            );
            assert_eq!(
                root.store.copy(key, "x", FAST).unwrap_err().kind,
                FaultKind::Denied
            );
            assert!(matches!(
                root.store.object_if_cached(key, |_| Some(0..1)).unwrap(),
                Cached::No
            ));
            assert!(!root.store.exists_in_cache(key).unwrap());
        }
        assert_eq!(root.pages("", false, 10), (vec!["real".into()], vec![], 2));
        assert_eq!(root.pages("dir/", false, 10).0, Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "secret");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
        assert!(root.file("file").is_symlink() && root.file("dir").is_symlink());
        assert_eq!(root.residue(), 0);
    });
}

#[test]
fn a_link_swapped_in_during_work_leads_nowhere() {
    let root = root();
    let outside = tempfile::tempdir().unwrap();
    root.put("d/inside", b"1");
    let (real, link) = (root.file("d"), root.dir.path().join("link"));
    symlink(outside.path(), &link).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let swap = || renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            while !done.load(Ordering::Relaxed) {
                swap();
                swap();
            }
        });
        for round in 0..2_000 {
            // Whatever it answers, nothing may arrive outside.
            let _ = root.store.put(
                &format!("d/n{}", round % 7),
                &[b"x"],
                Metadata::default(),
                CREATE,
            );
            let _ = root.store.delete("d/n1", None, Sync::None);
            if round % 100 == 0 {
                let _ = root.store.list(&Query {
                    prefix: "d/",
                    grouped: false,
                    start_after: None,
                    token: None,
                    limit: 9,
                });
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn foreign_names_are_skipped_and_counted() {
    let root = planted();
    std::fs::write(root.file("a/back\\slash"), "").unwrap();
    std::fs::write(root.file(" outer"), "").unwrap();
    std::fs::create_dir(root.file("trailing ")).unwrap();
    std::fs::write(root.file("trailing /inside"), "").unwrap();
    rustix::fs::mkfifoat(CWD, root.file("pipe"), rustix::fs::Mode::RWXU).unwrap();
    for wait in [0, 60] {
        // As above: with and without the kept walk.
        std::thread::sleep(std::time::Duration::from_millis(wait));
        for limit in [1, 3, 100] {
            let (keys, _, skipped) = root.pages("", false, limit);
            assert_eq!((keys.len(), skipped), (TREE.len(), 3), "{limit}");
            assert!(keys.contains(&"trailing /inside".to_owned()));
        }
    }
    assert_eq!(
        root.store.object("pipe").unwrap_err().kind,
        FaultKind::NotFound
    );
    assert_eq!(root.fails("pipe", FAST), FaultKind::Conflict);
}

#[test]
fn a_refused_name_and_a_removed_directory_are_distinguished() {
    let dir = tempfile::tempdir().unwrap();
    let [kept, removed] = ["kept", "removed"].map(|name| {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        open_path(&dir.path().join(name)).unwrap()
    });
    std::fs::remove_dir(dir.path().join("removed")).unwrap();
    let mut refused = RefusedName::default();
    // The first time, the directory may have been removed and created again.
    let answers = [&removed, &removed, &kept, &kept].map(|dir| refused.name_of(dir));
    assert_eq!(answers, [false, false, false, true]);
}

mod abandoned {
    use super::*;
    use crate::engine::platform::set_modified;
    use crate::engine::stamp::Stamp;
    use std::time::Duration;

    const WEEK: Duration = Duration::from_secs(7 * 86_400);
    const LIVE: &str = "00000000000000000000000000000001";
    const OLD: &str = "00000000000000000000000000000002";
    const BUSY: &str = "00000000000000000000000000000003";
    const DONE: &str = "00000000000000000000000000000004";
    const DAMAGED: &str = "00000000000000000000000000000005";

    fn uploads(root: &Root) -> Vec<String> {
        let all = std::fs::read_dir(root.dir.path().join("staging/uploads")).unwrap();
        let mut names: Vec<_> = all
            .map(|one| one.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// As if nothing was added for this time.
    fn age(root: &Root, id: &str, age: Duration) {
        let dir = open_path(&root.dir.path().join("staging/uploads").join(id)).unwrap();
        let then = Stamp::now().0 - age.as_nanos() as i64;
        set_modified(&dir, Stamp(then)).unwrap();
    }

    #[test]
    fn uploads_are_swept_when_nothing_is_added_for_long() {
        let root = root_as(Options {
            upload_age: Some(WEEK),
            ..PLAIN
        });
        let begin = |id| {
            root.store
                .begin_upload(id, "k", &rich(), Sync::None)
                .unwrap()
        };
        let staged = |id, name: &str| root.dir.path().join("staging/uploads").join(id).join(name);
        for id in [LIVE, OLD, BUSY, DONE, DAMAGED] {
            begin(id);
        }
        let busy = root.store.pending_upload("k", BUSY).unwrap();
        let busy = busy.begin_part(&root.store, 1, Some(10)).unwrap();
        // As after kill -9 in the middle of a completion.
        std::fs::remove_file(staged(DONE, "data")).unwrap();
        std::fs::write(staged(DAMAGED, "upload"), "damaged").unwrap();
        let second = Duration::from_secs(1);
        for id in [LIVE, OLD, BUSY, DAMAGED] {
            age(&root, id, WEEK - second * 10);
        }
        age(&root, DONE, second * 590);
        assert_eq!((root.store.sweep(), uploads(&root).len()), (0, 5));

        for id in [OLD, BUSY, DAMAGED] {
            age(&root, id, WEEK + second);
        }
        age(&root, DONE, second * 601);
        // Another process sweeps; this one goes on with the upload that is in work.
        let other = open(
            root.dir.path(),
            Options {
                upload_age: Some(WEEK),
                ..PLAIN
            },
        );
        assert_eq!(other.sweep(), 3);
        assert_eq!(uploads(&root), [LIVE, BUSY]);
        assert_eq!(
            root.store.pending_upload("k", OLD).unwrap_err().kind,
            FaultKind::UploadMissing
        );
        drop(busy);
        // A part makes it young again.
        age(&root, LIVE, WEEK + second);
        let live = root.store.pending_upload("k", LIVE).unwrap();
        let mut part = live.begin_part(&root.store, 1, Some(1)).unwrap();
        part.write(b"1").unwrap();
        live.store_part(1, &part).unwrap();
        drop(part);
        assert_eq!(other.sweep(), 1);
        assert_eq!(uploads(&root), [LIVE]);
        // A clock that was set back makes nothing old.
        age(&root, LIVE, Duration::ZERO);
        let dir = open_path(&root.dir.path().join("staging/uploads").join(LIVE)).unwrap();
        set_modified(&dir, Stamp(Stamp::now().0 + WEEK.as_nanos() as i64)).unwrap();
        assert_eq!(other.sweep(), 0);
    }

    #[test]
    fn an_upload_that_was_published_by_a_link_is_over() {
        let root = root();
        root.store
            .begin_upload(OLD, "k", &rich(), Sync::None)
            .unwrap();
        let data = root
            .dir
            .path()
            .join("staging/uploads")
            .join(OLD)
            .join("data");
        // As after kill -9 between the link and the removal of the staged name.
        std::fs::hard_link(&data, root.file("k")).unwrap();
        let missing = root.store.pending_upload("k", OLD).unwrap_err();
        assert_eq!(missing.kind, FaultKind::UploadMissing);
        assert!(!data.exists() && root.file("k").exists());
    }
}
