//! Listings, and everything below a folder at once.

use std::os::unix::fs::symlink;

use super::workdir::{Workdir, bytes};
use serde_json::Value;

#[test]
fn ls_shows_keys_and_folders() {
    let workdir = Workdir::new();
    workdir.write("in", "12345");
    for key in ["a", "logs/1", "logs/deep/2", "logs-old/3", "z:1"] {
        workdir.ok(&format!("put in local:{key}"));
    }
    assert_eq!(workdir.ok("ls local:"), "a\nlogs-old/\nlogs/\nz:1\n");
    assert_eq!(
        workdir.ok("ls local:logs"),
        "logs-old/\nlogs/\n",
        "a prefix, not a folder"
    );
    assert_eq!(workdir.ok("ls local:logs/"), "logs/1\nlogs/deep/\n");
    assert_eq!(
        workdir.ok("ls -R local:"),
        "a\nlogs-old/3\nlogs/1\nlogs/deep/2\nz:1\n"
    );
    assert_eq!(workdir.ok("ls -R local: --limit 2"), "a\nlogs-old/3\n");
    assert_eq!(
        workdir.ok("ls local:nothing"),
        "",
        "a prefix without keys is empty, not missing"
    );
    let long = workdir.ok("ls -l local:");
    let first: Vec<_> = long.lines().next().unwrap().split_whitespace().collect();
    assert!(
        first[0] == "5" && first[1].starts_with("20") && first[1].ends_with('Z') && first[2] == "a",
        "{long}"
    );
    let lines = workdir.ok("ls local: --json");
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["key"], &lines[0]["size"]),
        (&"a".into(), &5.into())
    );
    assert_eq!(
        (&lines[1]["type"], &lines[1]["prefix"]),
        (&"prefix".into(), &"logs-old/".into())
    );
}

#[test]
fn a_folder_goes_in_and_comes_back_page_after_page() {
    let workdir = Workdir::new();
    const FILES: usize = 1203;
    for file in 0..FILES {
        workdir.write(
            &format!("tree/{}/{file}.txt", file % 7),
            format!("file {file}"),
        );
    }
    workdir.ok("put -r tree local:backup --jobs 8 -q");
    let listed = workdir.ok("ls -R local:backup/");
    let keys: Vec<_> = listed.lines().collect();
    assert_eq!(keys.len(), FILES);
    assert!(keys.is_sorted(), "byte order, over all pages");
    workdir.ok("get -r local:backup back --jobs 8 -q");
    let (tree, back) = (workdir.files("tree"), workdir.files("back"));
    assert!(tree == back && tree.len() == FILES);
    for name in tree.iter().step_by(50) {
        assert_eq!(
            workdir.read(&format!("tree/{name}")),
            workdir.read(&format!("back/{name}"))
        );
    }
    workdir.ok("cp -r local:backup/3 other:three -q");
    assert_eq!(
        workdir.files("other/objects/three"),
        workdir.files("tree/3")
    );
    workdir.ok("rm -r local:backup/3 -q");
    assert_eq!(
        workdir.ok("ls -R local:backup/").lines().count(),
        FILES - workdir.files("tree/3").len()
    );
}

#[test]
fn a_folder_is_not_a_prefix() {
    let workdir = Workdir::new();
    workdir.write("in", "x");
    for key in ["logs/1", "logs-old/2", "logs2"] {
        workdir.ok(&format!("put in local:{key}"));
    }
    workdir.ok("get -r local:logs");
    assert_eq!(workdir.files("logs"), ["1"]);
    workdir.ok("rm -r local:logs");
    assert_eq!(workdir.ok("ls -R local:"), "logs-old/2\nlogs2\n");
    workdir.fails(3, "rm -r local:logs");
    workdir.ok("rm -r --force local:logs");
    workdir.fails(3, "get -r local:logs nothing");
    assert!(!workdir.path("nothing").exists());
    workdir.fails(3, "cp -r local:logs local:x");
    workdir.fails(2, "rm -r local:");
    workdir.fails(2, "get -r local:");
    workdir.fails(2, "get -r local:logs-old -");
    workdir.fails(2, "cp -r local:logs-old local:logs-old/deeper");
    workdir.ok("rm -r --force local:");
    assert_eq!(workdir.ok("ls -R local:"), "");
}

#[test]
fn get_never_leaves_its_folder() {
    let workdir = Workdir::new();
    workdir.write("in", "evil");
    for key in ["d/link/passwd", "d/file/below", "d/good", "d/dangling"] {
        workdir.ok(&format!("put in local:{key}"));
    }
    std::fs::create_dir(workdir.path("outside")).unwrap();
    std::fs::create_dir(workdir.path("to")).unwrap();
    symlink(workdir.path("outside"), workdir.path("to/link")).unwrap();
    symlink(workdir.path("outside/made"), workdir.path("to/dangling")).unwrap();
    workdir.write("to/file", "mine");
    let ran = workdir.run(["get", "-r", "local:d", "to"]);
    // A link in the way and a file in the way are bad input, the taken name is a lost condition.
    assert_eq!(ran.code, 1, "{}", ran.err);
    for told in ["link/passwd", "file/below", "dangling exists already"] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    assert_eq!(
        workdir.read("to/good"),
        b"evil",
        "the rest comes all the same"
    );
    assert_eq!(workdir.read("to/file"), b"mine");
    // Even with --force the link is replaced and not followed.
    workdir.run(["get", "-r", "local:d", "to", "--force"]);
    assert_eq!(workdir.read("to/dangling"), b"evil");
    assert_eq!(workdir.files("outside"), [""; 0]);
}

#[test]
fn put_tells_what_it_leaves_out() {
    use std::os::unix::ffi::OsStrExt;
    let workdir = Workdir::new();
    workdir.write("tree/a", "a");
    workdir.write("elsewhere/b", "b");
    symlink(workdir.path("elsewhere"), workdir.path("tree/link")).unwrap();
    let ran = workdir.run(["put", "-r", "tree", "local:t"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.err
            .contains("tree/link is neither file nor folder: left out"),
        "{}",
        ran.err
    );
    assert_eq!(workdir.files("data/objects"), ["t/a"]);
    workdir.ok("put -r --follow tree local:t");
    assert_eq!(workdir.files("data/objects"), ["t/a", "t/link/b"]);
    std::fs::write(
        workdir
            .path("tree")
            .join(std::ffi::OsStr::from_bytes(b"\xff")),
        "x",
    )
    .unwrap();
    assert!(
        workdir
            .fails(5, "put -r --follow tree local:u")
            .contains("not UTF-8")
    );
    assert_eq!(
        workdir.files("data/objects/u"),
        ["a", "link/b"],
        "the others are stored all the same"
    );
    workdir.fails(5, "put tree local:t");
    workdir.fails(5, "put -r elsewhere/b local:t");
}

#[test]
fn many_at_once_and_large_ones_among_them() {
    let workdir = Workdir::new();
    for file in 0..6 {
        workdir.write(&format!("tree/{file}"), bytes((file as usize) << 20, file));
    }
    workdir.ok("put -r tree local: --jobs 6");
    workdir.ok("get -r local: back --jobs 6");
    for file in 0..6 {
        assert!(workdir.read(&format!("tree/{file}")) == workdir.read(&format!("back/{file}")));
    }
}

#[test]
fn a_store_is_never_copied_into_itself() {
    let workdir = Workdir::new();
    workdir.write("in/a", "a");
    let same = String::from_utf8(workdir.read("holdall.toml")).unwrap()
        + "[backend.same]\nplugin = \"local\"\n[backend.same.config]\nroot = \"data\"\n";
    workdir.write("holdall.toml", same);
    workdir.ok("put in/a local:x/a");
    // The second run would add a level.
    for _ in 0..2 {
        let ran = workdir.run(["put", "-r", ".", "local:backup", "-j", "1"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(
            ran.err.contains("data is the directory of backend"),
            "{}",
            ran.err
        );
        assert_eq!(
            workdir.files("data/objects"),
            ["backup/holdall.toml", "backup/in/a", "x/a"]
        );
    }
    std::os::unix::fs::symlink("data/objects", workdir.path("link")).unwrap();
    for line in [
        "put -r data local:b",
        "put -r data/objects/x local:b",
        "put -r link local:b",
        "get -r local:x data/new",
        "get -r local:x link/x",
    ] {
        assert_eq!(
            workdir.fails_json(5, line)["code"],
            "within_store",
            "{line}"
        );
    }
    workdir.fails(2, "cp -r local:x same:x/deeper");
    assert_eq!(workdir.files("data/objects").len(), 3);
    workdir.ok("put -r data other:copy -q");
    workdir.ok("get -r local:x out -q");
}
