//! Tests of the engine, in every mode that a file system can require.

#[cfg(target_os = "linux")]
mod linux;
mod uploads;
#[cfg(windows)]
mod windows;

use super::fault::FaultKind;
use super::list::Query;
use super::metadata_record::Metadata;
use super::platform::{OwnedFd, RESOLVES_PATHS, identity, replaces_what_is_open};
use super::read::{Cached, ObjectFacts};
use super::store::{LocalStore, Options, Sync};
use super::write::{Publish, Writer};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tempfile::TempDir;

const PLAIN: Options = Options {
    create: true,
    untouched: false,
    upload_age: None,
    without_openat2: false,
    without_attributes: false,
    without_noreplace: false,
};
const MODES: [Options; 4] = [
    PLAIN,
    Options {
        without_openat2: true,
        ..PLAIN
    },
    Options {
        without_attributes: true,
        ..PLAIN
    },
    Options {
        without_noreplace: true,
        ..PLAIN
    },
];
const FAST: Publish<'static> = Publish {
    sync: Sync::None,
    create_only: false,
    if_match: None,
};
const CREATE: Publish<'static> = Publish {
    create_only: true,
    ..FAST
};

struct Root {
    dir: TempDir,
    store: Arc<LocalStore>,
}

fn open(at: &Path, options: Options) -> Arc<LocalStore> {
    Arc::new(LocalStore::open(at, options).unwrap())
}

fn root_as(options: Options) -> Root {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), options);
    Root { dir, store }
}

fn root() -> Root {
    root_as(PLAIN)
}

fn in_every_mode(test: impl Fn(Root)) {
    for mode in MODES {
        test(root_as(mode));
    }
}

fn rich() -> Metadata {
    Metadata {
        content_type: Some("image/png".into()),
        headers: [None, Some("inline".into()), None, None],
        user: vec![("owner".into(), "é".into())],
    }
}

impl Root {
    fn put(&self, key: &str, bytes: &[u8]) -> ObjectFacts {
        self.store
            .put(key, &[bytes], Metadata::default(), FAST)
            .unwrap()
    }

    fn fails(&self, key: &str, how: Publish<'_>) -> FaultKind {
        self.store
            .put(key, &[b"no"], Metadata::default(), how)
            .unwrap_err()
            .kind
    }

    fn get(&self, key: &str) -> Vec<u8> {
        let object = self.store.object(key).unwrap();
        let mut bytes = Vec::with_capacity(object.facts.size as usize);
        object.read_at(&mut bytes, 0).unwrap();
        bytes
    }

    fn etag(&self, facts: &ObjectFacts) -> String {
        self.store
            .etag(facts.stamp, facts.changed, facts.size)
            .unwrap()
    }

    fn file(&self, key: &str) -> std::path::PathBuf {
        self.dir.path().join("objects").join(key)
    }

    fn residue(&self) -> usize {
        let staging = self.dir.path().join("staging");
        let dirs = std::fs::read_dir(staging)
            .unwrap()
            .filter_map(|entry| std::fs::read_dir(entry.unwrap().path()).ok());
        dirs.map(Iterator::count).sum()
    }

    fn sidecars(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("sidecars")).map_or(0, Iterator::count)
    }

    fn keys(&self, prefix: &str) -> Vec<String> {
        self.pages(prefix, false, 1000).0
    }

    /// All keys, all groups, and how many names were skipped.
    fn pages(&self, prefix: &str, grouped: bool, limit: usize) -> (Vec<String>, Vec<String>, u64) {
        let (mut keys, mut groups, mut skipped, mut token) = (vec![], vec![], 0, None::<String>);
        loop {
            let query = Query {
                prefix,
                grouped,
                start_after: None,
                token: token.as_deref(),
                limit,
            };
            let page = self.store.list(&query).unwrap();
            assert!(page.entries.len() + page.groups.len() <= limit);
            keys.extend(page.entries.into_iter().map(|entry| entry.key));
            groups.extend(page.groups);
            skipped += page.skipped;
            match page.next {
                Some(next) => token = Some(next),
                None => return (keys, groups, skipped),
            }
        }
    }
}

#[test]
fn bytes_and_metadata_come_back() {
    in_every_mode(|root| {
        for sync in [Sync::None, Sync::Data, Sync::Full] {
            let how = Publish { sync, ..FAST };
            let put = root
                .store
                .put("a/b/c", &[b"12345", b"6789"], rich(), how)
                .unwrap();
            assert_eq!((put.size, put.crc32c), (9, Some(0xe306_9283)));
            assert_eq!(root.store.object("a/b/c").unwrap().facts, put);
            assert_eq!(root.get("a/b/c"), b"123456789");
            assert_eq!(std::fs::read(root.file("a/b/c")).unwrap(), b"123456789");
        }
        // Nothing is inherited.
        root.put("a/b/c", b"");
        assert_eq!(
            root.store.object("a/b/c").unwrap().facts.metadata,
            Metadata::default()
        );
        assert_eq!((root.get("a/b/c"), root.residue()), (vec![], 0));
        let sidecars = if root.store.writes_sidecars() { 1 } else { 0 };
        assert_eq!(root.sidecars(), sidecars);
    });
}

#[test]
fn every_version_has_another_etag() {
    let root = root();
    let etags: std::collections::HashSet<_> = (0..2_000)
        .map(|_| root.etag(&root.put("a", b"same")))
        .collect();
    assert_eq!(etags.len(), 2_000);
}

#[test]
fn create_only_has_one_winner_each_round() {
    for mode in MODES {
        let root = root_as(mode);
        // A second store on the same root stands for a second process.
        let other = open(root.dir.path(), mode);
        for round in 0..100 {
            let key = format!("race/{round}");
            let wins = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for thread in 0..16 {
                    let (store, wins, key) = (
                        if thread % 2 == 0 { &root.store } else { &other },
                        &wins,
                        &key,
                    );
                    scope.spawn(move || {
                        match store.put(key, &[&[thread]], Metadata::default(), CREATE) {
                            Ok(_) => _ = wins.fetch_add(1, Ordering::Relaxed),
                            Err(fault) => {
                                assert_eq!(fault.kind, FaultKind::Precondition, "{fault:?}")
                            }
                        }
                    });
                }
            });
            assert_eq!(wins.into_inner(), 1, "round {round} {mode:?}");
        }
        drop(other);
        assert_eq!((root.residue(), root.keys("race/").len()), (0, 100));
        assert_eq!(
            root.sidecars(),
            if root.store.writes_sidecars() { 100 } else { 0 }
        );
    }
}

#[test]
fn create_only_keeps_the_existing_object() {
    in_every_mode(|root| {
        let old = root.store.put("a", &[b"old"], rich(), CREATE).unwrap();
        assert_eq!(root.fails("a", CREATE), FaultKind::Precondition);
        assert_eq!(root.store.object("a").unwrap().facts, old);
        assert!(root.store.delete("a", None, Sync::None).unwrap());
        root.store.put("a", &[b"new"], rich(), CREATE).unwrap();
        assert_eq!(root.residue(), 0);
    });
}

#[test]
fn if_match_counts_without_loss() {
    // Else another worker that reads the counter may hold up a put, which then changes nothing.
    let replaces = replaces_what_is_open("the busy answers of if_match_counts_without_loss");
    let workers = if replaces { 5 } else { 2 };
    in_every_mode(|root| {
        root.put("counter", b"0");
        let other = open(root.dir.path(), PLAIN);
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let (root, store) = (&root, if worker % 2 == 0 { &root.store } else { &other });
                scope.spawn(move || {
                    for _ in 0..10 {
                        loop {
                            let object = store.object("counter").unwrap();
                            let mut text = Vec::with_capacity(16);
                            object.read_at(&mut text, 0).unwrap();
                            let next = String::from_utf8(text).unwrap().parse::<u32>().unwrap() + 1;
                            let etag = root.etag(&object.facts);
                            let how = Publish {
                                if_match: Some(&etag),
                                ..FAST
                            };
                            match store.put(
                                "counter",
                                &[next.to_string().as_bytes()],
                                Metadata::default(),
                                how,
                            ) {
                                Ok(_) => break,
                                Err(fault) if fault.kind == FaultKind::Busy && !replaces => {}
                                Err(fault) => assert_eq!(fault.kind, FaultKind::Precondition),
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(root.get("counter"), (workers * 10).to_string().as_bytes());
    });
}

#[test]
fn if_match_requires_the_current_version() {
    let root = root();
    let old = root.etag(&root.put("a", b"old"));
    let new = root.etag(&root.put("a", b"new"));
    let matching = |etag| Publish {
        if_match: Some(etag),
        ..FAST
    };
    for etag in [old.as_str(), "x", "0-0"] {
        assert_eq!(root.fails("a", matching(etag)), FaultKind::Precondition);
        assert_eq!(
            root.store
                .delete("a", Some(etag), Sync::None)
                .unwrap_err()
                .kind,
            FaultKind::Precondition
        );
    }
    assert_eq!(
        root.fails("missing", matching("*")),
        FaultKind::Precondition
    );
    assert_eq!(
        root.store
            .delete("missing", Some(&new), Sync::None)
            .unwrap_err()
            .kind,
        FaultKind::Precondition
    );
    assert_eq!(root.get("a"), b"new");
    let newer = root
        .store
        .put("a", &[b"newer"], rich(), matching(&new))
        .unwrap();
    assert!(
        root.store
            .delete("a", Some(&root.etag(&newer)), Sync::None)
            .unwrap()
    );
}

#[test]
fn readers_see_one_version_with_its_metadata() {
    if !replaces_what_is_open("readers_see_one_version_with_its_metadata") {
        return;
    }
    in_every_mode(|root| {
        let version = |number: u8| {
            let metadata = Metadata {
                user: vec![("v".into(), number.to_string())],
                ..Metadata::default()
            };
            (vec![number; 1 + usize::from(number) * 300], metadata)
        };
        let write = |number: u8| {
            let (bytes, metadata) = version(number);
            root.store.put("k", &[&bytes], metadata, FAST).unwrap();
        };
        write(1);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let object = root.store.object("k").unwrap();
                        let mut bytes = Vec::with_capacity(object.facts.size as usize);
                        object.read_at(&mut bytes, 0).unwrap();
                        let number = bytes[0];
                        assert_eq!((bytes, object.facts.metadata.clone()), version(number));
                        assert!(object.unchanged());
                        if let Ok(Cached::Read(object, bytes)) = root
                            .store
                            .object_if_cached("k", |facts| Some(0..facts.size))
                        {
                            assert_eq!((bytes.clone(), object.facts.metadata), version(bytes[0]));
                        }
                    }
                });
            }
            for round in 0..600 {
                write(round as u8 % 20 + 1);
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn foreign_writes_are_noticed() {
    let root = root();
    root.store.put("a", &[b"text"], rich(), FAST).unwrap();
    let reader = root.store.object("a").unwrap();
    assert!(reader.unchanged());
    std::fs::write(root.file("a"), "other").unwrap();
    assert!(!reader.unchanged());
    let facts = root.store.object("a").unwrap().facts;
    // A sidecar belongs to the version that is gone.
    let attribute = !root.store.writes_sidecars();
    assert_eq!(facts.changed_by_others, attribute);
    assert_eq!(
        (facts.size, facts.crc32c, facts.metadata.user),
        (5, None, vec![])
    );
    let kept = attribute.then_some("image/png");
    assert_eq!(facts.metadata.content_type.as_deref(), kept);
    // Put there by another tool altogether.
    std::fs::write(root.file("b"), "plain").unwrap();
    let facts = root.store.object("b").unwrap().facts;
    assert_eq!(
        (facts.size, facts.changed_by_others, facts.metadata),
        (5, false, Metadata::default())
    );
}

#[test]
fn cached_reads_answer_or_decline() {
    let root = root();
    root.store.put("a", &[b"0123456789"], rich(), FAST).unwrap();
    assert_eq!(root.get("a"), b"0123456789");
    let cached = |key, range: Option<std::ops::Range<u64>>| {
        root.store.object_if_cached(key, |_| range).unwrap()
    };
    assert!(matches!(cached("missing", Some(0..1)), Cached::No));
    if !RESOLVES_PATHS {
        // The system does not say what is cached.
        assert!(matches!(cached("a", Some(2..5)), Cached::No));
        assert!(!root.store.exists_in_cache("a").unwrap());
        return;
    }
    let Cached::Read(object, bytes) = cached("a", Some(2..5)) else {
        panic!("it was read a moment ago")
    };
    assert_eq!(
        (bytes.as_slice(), object.facts.metadata),
        (&b"234"[..], rich())
    );
    assert!(matches!(cached("a", None), Cached::Opened(_)));
    // Past the end: the long way says why.
    assert!(matches!(cached("a", Some(8..12)), Cached::Opened(_)));
    assert!(root.store.exists_in_cache("a").unwrap());
    assert!(!root.store.exists_in_cache("missing").unwrap());
}

#[test]
fn an_object_and_a_prefix_exclude_each_other() {
    in_every_mode(|root| {
        root.put("a", b"1");
        assert_eq!(root.fails("a/b", FAST), FaultKind::Conflict);
        assert_eq!(root.fails("a/b/c", CREATE), FaultKind::Conflict);
        root.put("p/q", b"2");
        for how in [FAST, CREATE] {
            assert_eq!(root.fails("p", how), FaultKind::Conflict);
        }
        assert_eq!(
            root.store.rename("a", "p", Sync::None).unwrap_err().kind,
            FaultKind::Conflict
        );
        assert_eq!(
            root.store.rename("a", "a/b", Sync::None).unwrap_err().kind,
            FaultKind::Conflict
        );
        assert_eq!(
            (root.get("a"), root.get("p/q")),
            (b"1".to_vec(), b"2".to_vec())
        );
        assert!(!root.store.exists("p").unwrap() && !root.store.exists("a/b").unwrap());
        assert_eq!(
            root.store.object("p").unwrap_err().kind,
            FaultKind::NotFound
        );
        assert_eq!(
            root.store.object("a/b").unwrap_err().kind,
            FaultKind::NotFound
        );
        assert!(!root.store.delete("p", None, Sync::None).unwrap());
        assert!(!root.store.delete("a/b", None, Sync::None).unwrap());
        // Directories without an object block no key.
        std::fs::create_dir_all(root.file("empty/x/y")).unwrap();
        root.put("empty", b"3");
        assert_eq!((root.get("empty"), root.residue()), (b"3".to_vec(), 0));
    });
}

#[test]
fn empty_parents_go_and_come_under_a_race() {
    if !replaces_what_is_open("empty_parents_go_and_come_under_a_race") {
        return;
    }
    in_every_mode(|root| {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &root.store;
                scope.spawn(move || {
                    let key = format!("deep/er/still/{thread}");
                    for _ in 0..150 {
                        store.put(&key, &[b"x"], Metadata::default(), FAST).unwrap();
                        assert!(store.exists(&key).unwrap());
                        assert!(store.delete(&key, None, Sync::None).unwrap());
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(root.file("")).unwrap().count(), 0);
        assert_eq!(root.sidecars(), 0);
    });
}

#[test]
fn a_failed_put_leaves_no_directory() {
    let root = root();
    root.put("a", b"");
    let how = Publish {
        if_match: Some("x"),
        ..FAST
    };
    assert_eq!(root.fails("new/dir/k", how), FaultKind::Precondition);
    assert!(!root.file("new").exists());
    assert_eq!(
        root.store
            .rename("missing", "other/dir/k", Sync::None)
            .unwrap_err()
            .kind,
        FaultKind::NotFound
    );
    assert!(!root.file("other").exists());
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let root = root();
    root.put("a", b"old");
    let mut writer = Writer::begin(&root.store, Sync::Full).unwrap();
    writer.write(&[7; 100_000]).unwrap();
    assert_eq!((writer.size(), root.residue()), (100_000, 1));
    let staged = Arc::clone(writer.staged());
    staged.discard();
    assert_eq!(root.residue(), 0);
    drop(writer);
    assert_eq!((root.get("a"), root.residue()), (b"old".to_vec(), 0));
}

#[test]
fn a_discarded_writer_cannot_publish() {
    let root = root();
    let writer = Writer::begin(&root.store, Sync::None).unwrap();
    writer.staged().discard();
    assert_eq!(
        writer
            .publish("a", Metadata::default(), FAST)
            .unwrap_err()
            .kind,
        FaultKind::Busy
    );
    assert!(!root.store.exists("a").unwrap());
}

#[test]
fn large_and_long_metadata() {
    let root = root();
    let user = vec![("k".into(), "v".repeat(2000))];
    let metadata = Metadata {
        user,
        ..Metadata::default()
    };
    root.store
        .put("a", &[b"x"], metadata.clone(), FAST)
        .unwrap();
    assert_eq!(root.store.object("a").unwrap().facts.metadata, metadata);
    if root.store.writes_sidecars() {
        return;
    }
    let too_long = Metadata {
        user: vec![("k".into(), "v".repeat(100_000))],
        ..Metadata::default()
    };
    let fault = root.store.put("b", &[b"x"], too_long, FAST).unwrap_err();
    assert_eq!(fault.kind, FaultKind::BadArgument);
    assert_eq!(
        (root.store.exists("b").unwrap(), root.residue()),
        (false, 0)
    );
}

#[test]
fn copies_are_independent() {
    in_every_mode(|root| {
        let bytes: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let old = root.store.put("a", &[&bytes], rich(), FAST).unwrap();
        let copied = root.store.copy("a", "x/b", FAST).unwrap();
        assert_eq!(
            (copied.size, copied.crc32c, &copied.metadata),
            (old.size, old.crc32c, &rich())
        );
        assert_eq!(root.store.object("x/b").unwrap().facts, copied);
        let identity = |key: &str| {
            let file = std::fs::File::open(root.file(key)).unwrap();
            identity(OwnedFd::from(file)).unwrap()
        };
        assert_ne!(identity("a"), identity("x/b"));
        root.put("a", b"short");
        assert_eq!(root.get("x/b"), bytes);
        assert_eq!(
            root.store.copy("a", "x/b", CREATE).unwrap_err().kind,
            FaultKind::Precondition
        );
        let own = root.store.object("x/b").unwrap().facts;
        assert_eq!(root.store.copy("x/b", "x/b", FAST).unwrap(), own);
        assert_eq!(
            root.store.copy("missing", "y", FAST).unwrap_err().kind,
            FaultKind::NotFound
        );
        assert_eq!(
            root.store
                .copy("missing", "missing", FAST)
                .unwrap_err()
                .kind,
            FaultKind::NotFound
        );
        assert_eq!(root.residue(), 0);
    });
}

#[test]
fn a_rename_is_one_step() {
    in_every_mode(|root| {
        let old = root.store.put("a/b", &[b"1"], rich(), FAST).unwrap();
        root.put("c", b"22");
        let renamed = root.store.rename("a/b", "c", Sync::Full).unwrap();
        assert_eq!(root.store.object("c").unwrap().facts, renamed);
        // The file's change time, and so the etag, moves with its name.
        let changed = renamed.changed;
        assert_eq!(renamed, ObjectFacts { changed, ..old });
        let old = renamed;
        assert!(!root.file("a").exists());
        assert_eq!(
            root.store.rename("a/b", "c", Sync::None).unwrap_err().kind,
            FaultKind::NotFound
        );
        assert_eq!(root.store.rename("c", "c", Sync::None).unwrap(), old);
        std::fs::hard_link(root.file("c"), root.file("d")).unwrap();
        root.store.rename("c", "d", Sync::None).unwrap();
        assert_eq!(root.keys(""), ["d"]);
        assert_eq!(
            root.sidecars(),
            if root.store.writes_sidecars() { 1 } else { 0 }
        );
    });
}

#[test]
fn readers_continue_during_a_rename() {
    if !replaces_what_is_open("readers_continue_during_a_rename") {
        return;
    }
    in_every_mode(|root| {
        root.store.put("a", &[&[7; 5_000]], rich(), FAST).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for key in ["a", "b"] {
                        match root.store.object(key) {
                            Ok(object) => {
                                let mut bytes = Vec::with_capacity(5_000);
                                assert_eq!(object.read_at(&mut bytes, 0).unwrap(), 5_000);
                                assert_eq!(object.facts.metadata, rich());
                            }
                            Err(fault) => assert_eq!(fault.kind, FaultKind::NotFound, "{fault:?}"),
                        }
                    }
                }
            });
            for _ in 0..500 {
                root.store.rename("a", "b", Sync::None).unwrap();
                root.store.rename("b", "a", Sync::None).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

const TREE: [&str; 9] = [
    "a-b", "a.b", "a/b", "a/c/d", "a0", "foo", "foo/x", "foobar", "é",
];

fn planted() -> Root {
    let root = root();
    for key in TREE.iter().filter(|key| **key != "foo") {
        root.put(key, key.as_bytes());
    }
    std::fs::create_dir_all(root.file("a/empty/er")).unwrap();
    root
}

#[test]
fn listings_are_in_order_at_every_page_size() {
    let root = planted();
    let all: Vec<_> = TREE
        .iter()
        .filter(|key| **key != "foo")
        .map(|key| (*key).to_owned())
        .collect();
    assert!(all.is_sorted());
    for wait in [0, 60] {
        // A directory that has just changed is read anew for each page, one that is at rest is not.
        std::thread::sleep(std::time::Duration::from_millis(wait));
        for limit in 1..=all.len() + 1 {
            assert_eq!(root.pages("", false, limit).0, all);
            let grouped = root.pages("", true, limit);
            assert_eq!(grouped.0, ["a-b", "a.b", "a0", "foobar", "é"]);
            assert_eq!(grouped.1, ["a/", "foo/"]);
        }
    }
    assert_eq!(root.keys("foo"), ["foo/x", "foobar"]);
    assert_eq!(root.keys("foo/"), ["foo/x"]);
    assert_eq!(root.keys("a/c"), ["a/c/d"]);
    assert_eq!(
        root.pages("a/", true, 9),
        (vec!["a/b".into()], vec!["a/c/".into()], 0)
    );
    assert_eq!(root.pages("a/c", true, 9).1, ["a/c/"]);
    for nothing in ["missing", "missing/", "a/b/", "a/empty/", "*"] {
        assert_eq!(root.keys(nothing), Vec::<String>::new(), "{nothing}");
    }
}

#[test]
fn entries_equal_the_object_s_facts() {
    let root = planted();
    let query = Query {
        prefix: "",
        grouped: false,
        start_after: None,
        token: None,
        limit: 1000,
    };
    for entry in root.store.list(&query).unwrap().entries {
        let facts = root.store.object(&entry.key).unwrap().facts;
        assert_eq!(
            (entry.size, entry.stamp, entry.changed),
            (facts.size, facts.stamp, facts.changed)
        );
    }
}

#[test]
fn start_after_is_exclusive_and_need_not_exist() {
    let root = planted();
    let after = |prefix, grouped, start: &str| {
        let query = Query {
            prefix,
            grouped,
            start_after: Some(start),
            token: None,
            limit: 1000,
        };
        let page = root.store.list(&query).unwrap();
        (
            page.entries
                .into_iter()
                .map(|entry| entry.key)
                .collect::<Vec<_>>(),
            page.groups,
        )
    };
    let all: Vec<_> = TREE.iter().filter(|key| **key != "foo").collect();
    for start in [
        "",
        "a",
        "a-b",
        "a/",
        "a/b",
        "a/bb",
        "a/c",
        "a/c/d",
        "a/c/e",
        "b",
        "foo/x",
        "zz",
        "é",
        "\u{10ffff}",
    ] {
        let expected: Vec<_> = all
            .iter()
            .map(|key| (**key).to_owned())
            .filter(|key| key.as_str() > start)
            .collect();
        assert_eq!(after("", false, start).0, expected, "{start}");
        let groups: Vec<_> = ["a/", "foo/"]
            .into_iter()
            .filter(|group| expected.iter().any(|key| key.starts_with(group)))
            .collect();
        assert_eq!(after("", true, start).1, groups, "{start}");
    }
    assert_eq!(after("foo", false, "a").0, ["foo/x", "foobar"]);
    assert_eq!(after("foo", false, "g").0, Vec::<String>::new());
}

#[test]
fn pages_survive_changes_between_them() {
    for rest in [0, 60] {
        let root = root();
        for number in 10..30 {
            root.put(&format!("d/{number}"), b"");
        }
        std::thread::sleep(std::time::Duration::from_millis(rest));
        let page = |token: Option<&str>| {
            let query = Query {
                prefix: "d/",
                grouped: false,
                start_after: None,
                token,
                limit: 10,
            };
            root.store.list(&query).unwrap()
        };
        let first = page(None);
        assert_eq!(first.entries.last().unwrap().key, "d/19");
        root.put("d/05", b"");
        root.put("d/195", b"");
        root.store.delete("d/19", None, Sync::None).unwrap();
        root.store.delete("d/25", None, Sync::None).unwrap();
        let second = page(first.next.as_deref());
        let keys: Vec<_> = second
            .entries
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        assert_eq!(
            keys,
            [
                "d/195", "d/20", "d/21", "d/22", "d/23", "d/24", "d/26", "d/27", "d/28", "d/29"
            ]
        );
        assert_eq!(second.next, None);
        // The same token again.
        assert_eq!(page(first.next.as_deref()), second);
    }
}

#[test]
fn foreign_tokens_are_refused() {
    let root = planted();
    for token in ["", "x", "kother", "é", "gfoo/"] {
        let query = Query {
            prefix: "foo",
            grouped: false,
            start_after: None,
            token: Some(token),
            limit: 5,
        };
        assert_eq!(
            root.store.list(&query).unwrap_err().kind,
            FaultKind::BadArgument,
            "{token}"
        );
    }
}

#[test]
fn every_operation_reports_a_missing_root() {
    if !replaces_what_is_open("every_operation_reports_a_missing_root") {
        return;
    }
    in_every_mode(|root| {
        root.put("a", b"1");
        std::fs::remove_dir_all(root.dir.path()).unwrap();
        let query = Query {
            prefix: "",
            grouped: false,
            start_after: None,
            token: None,
            limit: 5,
        };
        let kinds = [
            root.store.object("a").unwrap_err().kind,
            root.store.exists("a").unwrap_err().kind,
            root.store.delete("a", None, Sync::None).unwrap_err().kind,
            root.store.list(&query).unwrap_err().kind,
            root.store
                .list(&Query {
                    prefix: "p/",
                    ..query
                })
                .unwrap_err()
                .kind,
            root.fails("a", FAST),
            root.store.precheck("a", FAST).unwrap_err().kind,
            root.store.copy("a", "b", FAST).unwrap_err().kind,
            root.store.rename("a", "b", Sync::None).unwrap_err().kind,
            root.store.space().unwrap_err().kind,
        ];
        assert_eq!(kinds, [FaultKind::RootMissing; 10]);
    });
}

#[test]
fn a_root_is_created_only_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("x/y");
    assert_eq!(
        LocalStore::open(&missing, Options::default())
            .unwrap_err()
            .kind,
        FaultKind::RootMissing
    );
    assert!(!dir.path().join("x").exists());
    let store = open(&missing, PLAIN);
    assert_eq!(store.path(), missing);
    drop(store);
    assert!(LocalStore::open(&missing, Options::default()).is_ok());
    std::fs::write(dir.path().join("file"), "").unwrap();
    assert!(LocalStore::open(&dir.path().join("file"), PLAIN).is_err());
}

#[test]
fn a_closed_store_answers_nothing() {
    let root = root();
    root.put("a", b"1");
    let writer = Writer::begin(&root.store, Sync::None).unwrap();
    root.store.close();
    root.store.close();
    assert_eq!(root.store.object("a").unwrap_err().kind, FaultKind::Closed);
    assert_eq!(root.fails("a", FAST), FaultKind::Closed);
    assert_eq!(
        writer
            .publish("b", Metadata::default(), FAST)
            .unwrap_err()
            .kind,
        FaultKind::Closed
    );
    drop(writer);
    let dir = root.dir.path().join("staging");
    drop(root.store);
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
}

#[test]
fn leftovers_of_killed_processes_are_swept_at_open() {
    for mode in [
        PLAIN,
        Options {
            without_attributes: true,
            ..PLAIN
        },
    ] {
        let root = root_as(mode);
        root.store.put("kept", &[b"1"], rich(), FAST).unwrap();
        let staging = root.dir.path().join("staging");
        std::fs::create_dir(staging.join("dead")).unwrap();
        std::fs::write(staging.join("dead/0"), "partial").unwrap();
        std::fs::write(staging.join("dead.lock"), "").unwrap();
        let mut working = Writer::begin(&root.store, Sync::None).unwrap();
        working.write(b"in work").unwrap();
        if mode.without_attributes {
            // An orphan: its object was deleted by another tool.
            root.store.put("gone", &[b"1"], rich(), FAST).unwrap();
            std::fs::remove_file(root.file("gone")).unwrap();
        }
        let next = open(root.dir.path(), mode);
        assert_eq!(next.swept, 1);
        assert_eq!(next.sweep(), u64::from(mode.without_attributes));
        assert_eq!(next.object("kept").unwrap().facts.metadata, rich());
        working.publish("done", Metadata::default(), FAST).unwrap();
        assert_eq!(root.get("done"), b"in work");
    }
}

/// In a trial a store opens for reading: nothing is created, and nothing of a dead process is removed.
#[test]
fn a_store_that_is_left_untouched_creates_and_sweeps_nothing() {
    let untouched = Options {
        untouched: true,
        ..PLAIN
    };
    let empty = tempfile::tempdir().unwrap();
    let root = empty.path().join("root");
    assert!(LocalStore::open(&root, untouched).is_err());
    assert!(!root.exists());

    let root = root_as(PLAIN);
    root.store.put("kept", &[b"1"], rich(), FAST).unwrap();
    let staging = root.dir.path().join("staging");
    std::fs::create_dir(staging.join("dead")).unwrap();
    std::fs::write(staging.join("dead.lock"), "").unwrap();
    let names = || {
        let entries = std::fs::read_dir(&staging).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let next = open(root.dir.path(), untouched);
    assert_eq!((next.swept, next.sweep()), (0, 0));
    assert!(next.object("kept").is_ok() && next.unwritable().is_some());
    assert_eq!(names(), before);
}

#[test]
fn opening_does_no_work_for_each_object() {
    let mode = Options {
        without_attributes: true,
        ..PLAIN
    };
    let root = root_as(mode);
    for number in 0..300 {
        root.store
            .put(&format!("d/{number}"), &[b"1"], rich(), FAST)
            .unwrap();
    }
    let locks = root.dir.path().join("locks");
    for lock in std::fs::read_dir(&locks).unwrap() {
        std::fs::remove_file(lock.unwrap().path()).unwrap();
    }
    let next = open(root.dir.path(), mode);
    assert_eq!((next.swept, next.sweep()), (0, 0));
    // Each lock that a sweep takes leaves its file.
    assert_eq!(std::fs::read_dir(&locks).unwrap().count(), 0);
    let orphan = root.file("d/7");
    std::fs::remove_file(orphan).unwrap();
    assert_eq!(next.sweep(), 1);
    assert_eq!(std::fs::read_dir(&locks).unwrap().count(), 1);
    next.close();
    std::fs::remove_file(root.file("d/8")).unwrap();
    assert_eq!(next.sweep(), 0, "a closed store ends its sweep");
}

#[test]
fn space_is_plausible() {
    let space = root().store.space().unwrap();
    assert!(space.total > 0 && space.free <= space.total && space.used <= space.total);
}
