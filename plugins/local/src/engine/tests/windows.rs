//! Names that Windows gives a meaning of its own, spellings, long paths, and files that are in use.

use super::*;
use crate::engine::probe::CreateOnly;

/// Names to which Win32 gives a meaning of their own, and what would be reached by them.
const SPECIAL: [&str; 17] = [
    "con",
    "NUL",
    "nul.txt",
    "aux.tar.gz",
    "com1",
    "LPT9",
    "conin$",
    "trailing.",
    "trailing ",
    "stream:data",
    "a::$DATA",
    "c:",
    "<star*>",
    "\"what?\"",
    "pipe|",
    // As such a name is written, which is another key.
    "\u{f063}on",
    "\u{f07f}",
];

#[test]
fn names_with_a_meaning_of_their_own_are_stored_under_their_name() {
    let root = root();
    root.put("a", b"1");
    for name in SPECIAL {
        let file = format!("d/{name}");
        let below = format!("{name}/x");
        let (from, to) = (format!("from/{name}"), format!("to/{name}/{name}"));
        for key in [&file, &below, &from] {
            root.store
                .put(key, &[key.as_bytes()], rich(), CREATE)
                .unwrap();
            assert_eq!(root.fails(key, CREATE), FaultKind::Precondition, "{key}");
            root.put(key, key.as_bytes());
            assert_eq!(root.get(key), key.as_bytes());
            assert!(root.store.exists(key).unwrap(), "{key}");
        }
        root.store.copy(&file, &to, FAST).unwrap();
        assert_eq!(root.get(&to), file.as_bytes());
        root.store.rename(&from, &to, Sync::Full).unwrap();
        assert_eq!(root.get(&to), from.as_bytes());
        let mut keys = [below.clone(), file.clone(), to.clone(), "a".to_owned()];
        keys.sort();
        // No key of the contract ends in a blank: such a file is kept, and left out.
        let listed = keys.iter().filter(|key| !key.ends_with(' '));
        assert_eq!(root.keys(""), listed.cloned().collect::<Vec<_>>(), "{name}");
        assert_eq!(root.keys(&below), [below.clone()]);
        for key in [&file, &below, &to] {
            assert!(root.store.delete(key, None, Sync::None).unwrap(), "{key}");
            assert!(!root.store.exists(key).unwrap(), "{key}");
        }
    }
    assert_eq!((root.keys(""), root.residue()), (vec!["a".to_owned()], 0));
    assert_eq!(root.get("a"), b"1");
}

#[test]
fn what_is_written_otherwise_is_left_out() {
    let root = root();
    root.put("a", b"1");
    // As another program writes them: the key `a` has one name, and this is none.
    std::fs::write(root.file("\u{f061}"), "").unwrap();
    std::fs::write(root.file("b\u{f02e}c"), "").unwrap();
    let (keys, _, skipped) = root.pages("", false, 10);
    assert_eq!((keys, skipped), (vec!["a".to_owned()], 2));
    let (left, more) = root.store.left_out("").unwrap();
    assert_eq!((left.len(), more), (2, false), "{left:?}");
    for key in ["\u{f061}", "b\u{f02e}c", "b.c"] {
        assert!(!root.store.exists(key).unwrap(), "{key}");
    }
}

#[test]
fn the_probe_finds_what_windows_has() {
    let probe = root().store.probe;
    assert_eq!(probe.attribute_bytes, None, "metadata goes to sidecars");
    assert_eq!(probe.create_only, CreateOnly::Rename);
    assert_eq!(probe.time_step, Some(100));
    assert!(!probe.case_sensitive && probe.unicode_exact && !probe.in_memory);
}

#[test]
fn another_spelling_reaches_nothing() {
    let root = root();
    root.put("Dir/File", b"1");
    for key in ["dir/File", "Dir/file", "DIR/FILE"] {
        assert_eq!(
            root.store.object(key).unwrap_err().kind,
            FaultKind::NotFound,
            "{key}"
        );
        assert!(!root.store.exists(key).unwrap(), "{key}");
        assert!(!root.store.delete(key, None, Sync::None).unwrap(), "{key}");
        assert_eq!(root.fails(key, FAST), FaultKind::Conflict, "{key}");
        assert_eq!(root.keys(key), Vec::<String>::new(), "{key}");
    }
    // What a short name of 8.3 leads to is another name's.
    root.put("a long name.text", b"2");
    let short = "ALONGN~1.TEX";
    assert!(!root.store.exists(short).unwrap());
    assert_eq!(
        root.store.object(short).unwrap_err().kind,
        FaultKind::NotFound
    );
    assert_eq!(root.keys(""), ["Dir/File", "a long name.text"]);
}

#[test]
fn paths_may_be_longer_than_260() {
    let root = root();
    let key = [
        "x".repeat(120),
        "y".repeat(120),
        "z".repeat(120),
        "e".repeat(120),
    ]
    .join("/");
    root.store.put(&key, &[b"1"], rich(), FAST).unwrap();
    assert_eq!(
        (root.get(&key), root.keys("x")),
        (b"1".to_vec(), vec![key.clone()])
    );
    root.store.rename(&key, "short", Sync::Full).unwrap();
    let object = root.store.object("short").unwrap();
    assert_eq!(object.facts.metadata, rich());
    assert!(!root.file(&"x".repeat(120)).exists());
    // The root's own path, too.
    let long = root.dir.path().join("r".repeat(200)).join("s".repeat(100));
    let store = open(&long, PLAIN);
    store.put(&key, &[b"2"], rich(), FAST).unwrap();
    assert!(store.exists(&key).unwrap());
}

#[test]
fn a_file_in_use_is_replaced_and_removed() {
    if !replaces_what_is_open("a_file_in_use_is_replaced_and_removed") {
        return;
    }
    let root = root();
    root.put("a", b"old");
    // A program that shares what the standard library shares.
    let program = std::fs::File::open(root.file("a")).unwrap();
    let reader = root.store.object("a").unwrap();
    root.put("a", b"new");
    let mut bytes = Vec::with_capacity(3);
    reader.read_at(&mut bytes, 0).unwrap();
    assert_eq!(
        (bytes.as_slice(), root.get("a")),
        (&b"old"[..], b"new".to_vec())
    );
    drop(program);
    let reader = root.store.object("a").unwrap();
    assert!(root.store.delete("a", None, Sync::None).unwrap());
    assert!(!root.store.exists("a").unwrap());
    root.store.put("a", &[b"again"], rich(), CREATE).unwrap();
    drop(reader);
    assert_eq!(root.get("a"), b"again");
}

#[test]
fn a_file_that_is_marked_read_only_is_replaced_and_removed() {
    let root = root();
    let mark = |key: &str| {
        let mut permissions = std::fs::metadata(root.file(key)).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(root.file(key), permissions).unwrap();
    };
    root.put("a", b"old");
    mark("a");
    root.put("a", b"new");
    assert_eq!(root.get("a"), b"new");
    mark("a");
    assert!(root.store.delete("a", None, Sync::None).unwrap());
    assert_eq!(root.keys(""), Vec::<String>::new());
}

#[test]
fn links_are_refused() {
    use std::os::windows::fs::{symlink_dir, symlink_file};
    let root = root();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    let made = symlink_dir(outside.path(), root.file("dir"))
        .and_then(|()| symlink_file(outside.path().join("secret"), root.file("file")));
    // wine says that it has made one.
    let made = made.map(|()| root.file("dir").is_symlink());
    if !matches!(made, Ok(true)) {
        use std::io::Write;
        let line = format!("SKIPPED: links_are_refused: links cannot be made here: {made:?}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    }
    for key in ["dir/secret", "file"] {
        assert_eq!(
            root.store.object(key).unwrap_err().kind,
            FaultKind::Denied,
            "{key}"
        );
        assert_eq!(root.fails(key, FAST), FaultKind::Denied, "{key}");
        let deleted = root.store.delete(key, None, Sync::None);
        assert_eq!(deleted.unwrap_err().kind, FaultKind::Denied, "{key}");
    }
    assert_eq!(root.pages("", false, 10), (vec![], vec![], 2));
    let secret = std::fs::read_to_string(outside.path().join("secret"));
    assert_eq!(secret.unwrap(), "secret");
}
