//! What the engine relies on, asked of the system.

use super::*;

fn folder() -> (tempfile::TempDir, OwnedFd) {
    let folder = tempfile::tempdir().unwrap();
    let dir = open_path(folder.path()).unwrap();
    (folder, dir)
}

fn with(dir: &OwnedFd, name: &str, bytes: &[u8]) -> OwnedFd {
    let file = create_at(dir, name).unwrap();
    assert_eq!(write(&file, bytes), Ok(bytes.len()));
    file
}

#[test]
fn names_are_given_once_or_replaced() {
    let (_folder, dir) = folder();
    drop((with(&dir, "a", b"1"), with(&dir, "b", b"22")));
    assert_eq!(create_at(&dir, "a").unwrap_err(), Errno::EXIST);
    assert_eq!(rename_new_at(&dir, "a", &dir, "b"), Err(Errno::EXIST));
    assert_eq!(link_at(&dir, "a", &dir, "b"), Err(Errno::EXIST));
    link_at(&dir, "a", &dir, "c").unwrap();
    assert_eq!(stat_at(&dir, "c").unwrap().links, 2);
    rename_new_at(&dir, "c", &dir, "d").unwrap();
    rename_at(&dir, "d", &dir, "b").unwrap();
    assert_eq!(stat_at(&dir, "b").unwrap().size, 1);
    assert_eq!(stat_at(&dir, "d").unwrap_err(), Errno::NOENT);
    assert_eq!(rename_at(&dir, "missing", &dir, "b"), Err(Errno::NOENT));
    make_dir_at(&dir, "e").unwrap();
    assert_eq!(make_dir_at(&dir, "e"), Err(Errno::EXIST));
    let over = rename_at(&dir, "a", &dir, "e").unwrap_err();
    assert!(matches!(over, Errno::ISDIR | Errno::EXIST), "{over:?}");
    assert_eq!(remove_file_at(&dir, "e"), Err(Errno::ISDIR));
    assert_eq!(remove_dir_at(&dir, "a"), Err(Errno::NOTDIR));
    assert_eq!(
        open_at(&dir, "a", Open::Directory).unwrap_err(),
        Errno::NOTDIR
    );
}

#[test]
fn open_files_and_directories_are_removed_at_once() {
    if !replaces_what_is_open("open_files_and_directories_are_removed_at_once") {
        return;
    }
    let (_folder, dir) = folder();
    let file = with(&dir, "a", b"kept");
    remove_file_at(&dir, "a").unwrap();
    assert_eq!(stat_at(&dir, "a").unwrap_err(), Errno::NOENT);
    assert_eq!(stat(&file).unwrap().links, 0);
    let mut bytes = [0; 4];
    assert_eq!((read_at(&file, &mut bytes, 0), &bytes), (Ok(4), b"kept"));
    drop(with(&dir, "a", b"new"));

    make_dir_at(&dir, "d").unwrap();
    let open = open_at(&dir, "d", Open::Directory).unwrap();
    drop(with(&open, "x", b""));
    assert_eq!(remove_dir_at(&dir, "d"), Err(Errno::NOTEMPTY));
    remove_file_at(&open, "x").unwrap();
    remove_dir_at(&dir, "d").unwrap();
    assert_eq!(stat(&open).unwrap().links, 0);
    assert_eq!(create_at(&open, "y").unwrap_err(), Errno::NOENT);
    make_dir_at(&dir, "d").unwrap();
}

#[test]
fn a_file_that_is_read_is_replaced() {
    if !replaces_what_is_open("a_file_that_is_read_is_replaced") {
        return;
    }
    let (_folder, dir) = folder();
    drop(with(&dir, "a", b"old"));
    let reader = open_at(&dir, "a", Open::Object).unwrap();
    drop(with(&dir, "b", b"new"));
    rename_at(&dir, "b", &dir, "a").unwrap();
    let mut bytes = [0; 3];
    assert_eq!((read_at(&reader, &mut bytes, 0), &bytes), (Ok(3), b"old"));
    assert_eq!(stat(&reader).unwrap().links, 0);
}

#[test]
fn times_are_set_and_a_rename_changes_the_change_time_alone() {
    let (_folder, dir) = folder();
    let file = with(&dir, "a", b"1");
    let time = Stamp(1_234_567_890_123_456_700);
    set_modified(&file, time).unwrap();
    let before = stat(&file).unwrap();
    assert_eq!(before.modified, time);
    std::thread::sleep(Duration::from_millis(40));
    rename_at(&dir, "a", &dir, "b").unwrap();
    let after = stat(&file).unwrap();
    drop(file);
    assert_eq!(after.modified, time);
    assert!(after.changed > before.changed, "{before:?} {after:?}");
    let found = stat_at(&dir, "b").unwrap();
    assert_eq!(
        (found.changed, found.identity),
        (after.changed, after.identity)
    );
}

#[test]
fn names_are_listed_and_spelled() {
    let (folder, dir) = folder();
    let names: Vec<String> = (0..2000)
        .map(|number| format!("name-{number}-\u{e9}"))
        .collect();
    for name in &names {
        drop(create_at(&dir, name).unwrap());
    }
    make_dir_at(&dir, "Sub").unwrap();
    let listed = |dir: &OwnedFd| {
        let names = entries(dir).unwrap().map(Result::unwrap);
        let mut names: Vec<_> = names.map(|entry| (entry.name, entry.kind)).collect();
        names.sort_by(|one, other| one.0.cmp(&other.0));
        names
    };
    let mut expected: Vec<_> = names
        .iter()
        .map(|name| (name.clone().into_bytes(), FileType::RegularFile))
        .collect();
    expected.push((b"Sub".to_vec(), FileType::Directory));
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    // Twice: each reads from the beginning.
    assert_eq!(listed(&dir), expected);
    assert_eq!(listed(&dir), expected);
    assert_eq!(holds(&dir, "Sub"), Ok(true));
    for other in ["sub", "SUB", "missing"] {
        assert_eq!(holds(&dir, other), Ok(false), "{other}");
    }
    assert_eq!(stat_at(&dir, "sub").unwrap().kind, FileType::Directory);
    assert_eq!(holds(&dir, "*"), Ok(false));
    assert_eq!(identity(&dir), identity_of_path(folder.path()));
    assert_ne!(
        identity(&dir),
        identity(open_at(&dir, "Sub", Open::Directory).unwrap())
    );
}

#[test]
fn locks_exclude_each_other_and_end_with_their_handle() {
    let (_folder, dir) = folder();
    let one = open_lock(&dir, "l", LockFile::New).unwrap();
    let other = open_lock(&dir, "l", LockFile::Existing).unwrap();
    try_lock(&one, Lock::Shared).unwrap();
    try_lock(&other, Lock::Shared).unwrap();
    drop(other);
    let other = open_lock(&dir, "l", LockFile::Any).unwrap();
    assert_eq!(try_lock(&other, Lock::Exclusive), Err(Errno::WOULDBLOCK));
    drop(one);
    try_lock(&other, Lock::Exclusive).unwrap();
    assert_eq!(
        open_lock(&dir, "l", LockFile::New).unwrap_err(),
        Errno::EXIST
    );
    assert_eq!(
        open_lock(&dir, "m", LockFile::Existing).unwrap_err(),
        Errno::NOENT
    );
}

#[test]
fn files_and_directories_are_flushed() {
    let (_folder, dir) = folder();
    sync(&with(&dir, "a", b"1")).unwrap();
    sync_dir(&dir).unwrap();
    let space = space(&dir).unwrap();
    assert!(space.total > 0 && space.free <= space.total);
}
