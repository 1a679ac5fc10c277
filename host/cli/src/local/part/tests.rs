use super::*;
use std::io::Write;
use std::path::Path;

fn spot(folder: &Path) -> Spot {
    Spot::of(&folder.join("a.txt")).unwrap()
}

fn mark() -> Mark {
    Mark {
        source: "local:a.txt".into(),
        etag: "e1".into(),
        size: 10,
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_whole_file_gets_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut part = Part::open(spot(folder.path())).unwrap();
    part.begin(Some(&mark())).unwrap();
    part.file().unwrap().write_all(b"0123456789").unwrap();
    assert_eq!(names(folder.path()), ["a.txt.holdall-part"]);
    part.publish(false).unwrap();
    assert_eq!(names(folder.path()), ["a.txt"]);
    assert_eq!(
        std::fs::read(folder.path().join("a.txt")).unwrap(),
        b"0123456789"
    );
    let file = File::open(folder.path().join("a.txt")).unwrap();
    assert_eq!(read_mark(&file), None, "a whole file is a part of nothing");
}

#[test]
fn what_can_be_resumed_stays_and_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut part = Part::open(spot(folder.path())).unwrap();
    part.begin(Some(&mark())).unwrap();
    part.file().unwrap().write_all(b"0123").unwrap();
    assert_eq!(
        part.stays(),
        Some(4),
        "the file system of temporary files has extended attributes"
    );
    drop(part);
    let part = Part::open(spot(folder.path())).unwrap();
    assert_eq!(part.kept("local:a.txt"), Some((mark(), 4)));
    assert_eq!(part.kept("local:b.txt"), None);
    part.discard();
    assert!(names(folder.path()).is_empty());
}

#[test]
fn what_cannot_be_resumed_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut part = Part::open(spot(folder.path())).unwrap();
    part.begin(None).unwrap();
    part.file().unwrap().write_all(b"0123").unwrap();
    drop(part);
    assert!(names(folder.path()).is_empty());
    // And a mark without a byte is worth nothing.
    let mut part = Part::open(spot(folder.path())).unwrap();
    part.begin(Some(&mark())).unwrap();
    drop(part);
    assert!(names(folder.path()).is_empty());
}

#[test]
fn more_bytes_than_the_object_has_are_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let mut part = Part::open(spot(folder.path())).unwrap();
    part.begin(Some(&mark())).unwrap();
    part.file().unwrap().write_all(b"0123456789x").unwrap();
    drop(part);
    assert_eq!(
        Part::open(spot(folder.path())).unwrap().kept("local:a.txt"),
        None
    );
}

#[test]
fn two_writers_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let first = Part::open(spot(folder.path())).unwrap();
    let second = Part::open(spot(folder.path())).err().unwrap();
    assert_eq!(second.exit(), 4);
    drop(first);
    assert!(Part::open(spot(folder.path())).is_ok());
}

#[test]
fn nothing_is_replaced_without_force() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a.txt");
    std::fs::write(&target, "old").unwrap();
    let write = |force: bool| {
        let mut part = Part::open(spot(folder.path())).unwrap();
        part.begin(None).unwrap();
        part.file().unwrap().write_all(b"new").unwrap();
        part.publish(force)
    };
    assert_eq!(write(false).err().unwrap().exit(), 4);
    assert_eq!(std::fs::read(&target).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["a.txt"]);
    std::fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    write(true).unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"new");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&target).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "a private file stays private");
}

#[test]
fn long_names_are_cut_and_told_apart() {
    let (a, b) = ("é".repeat(127), format!("{}x", "é".repeat(127)));
    let names = [a, b].map(|name| part_name(OsStr::new(&name)));
    assert_ne!(names[0], names[1]);
    for name in names {
        assert!(
            name.len() <= 255 && name.to_str().is_some_and(|name| name.ends_with(SUFFIX)),
            "{name:?}"
        );
    }
    assert_eq!(part_name(OsStr::new("a")), "a.holdall-part");
}

#[test]
fn publish_leaves_a_file_that_took_the_parts_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut part = Part::open(spot(folder.path())).unwrap();
    part.begin(None).unwrap();
    part.file().unwrap().write_all(b"ours").unwrap();
    let stranger = folder.path().join("a.txt.holdall-part");
    std::fs::remove_file(&stranger).unwrap();
    std::fs::write(&stranger, "theirs").unwrap();
    assert_eq!(part.publish(true).err().unwrap().exit(), 4);
    assert_eq!(names(folder.path()), ["a.txt.holdall-part"]);
    assert_eq!(std::fs::read(stranger).unwrap(), b"theirs");
}

#[test]
fn open_refuses_what_holdall_did_not_make() {
    let folder = tempfile::tempdir().unwrap();
    let taken = folder.path().join("a.txt.holdall-part");
    let refused = || {
        let failure = Part::open(spot(folder.path())).err().unwrap();
        assert_eq!(failure.exit(), 4);
        assert_eq!(failure.report().unwrap().code, "part_exists");
    };
    std::fs::write(&taken, "notes").unwrap();
    refused();
    assert_eq!(std::fs::read(&taken).unwrap(), b"notes");
    std::fs::remove_file(&taken).unwrap();
    let target = folder.path().join("target");
    std::os::unix::fs::symlink(&target, &taken).unwrap();
    refused();
    assert!(!target.exists());
    std::fs::remove_file(&taken).unwrap();
    std::fs::create_dir(&taken).unwrap();
    refused();
}

#[test]
fn a_part_without_an_object_is_ours_and_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut part = Part::open(spot(folder.path())).unwrap();
    part.begin(None).unwrap();
    part.file().unwrap().write_all(b"0123").unwrap();
    // A killed command: nothing is cleaned up.
    let copy = folder.path().join("copy");
    std::fs::rename(folder.path().join("a.txt.holdall-part"), &copy).unwrap();
    drop(part);
    std::fs::rename(&copy, folder.path().join("a.txt.holdall-part")).unwrap();
    let part = Part::open(spot(folder.path())).unwrap();
    assert_eq!(part.kept("local:a.txt"), None);
    assert_eq!(part.stays(), None);
}
