//! Listings, and everything below a folder at once.

use std::os::unix::fs::symlink;

use super::desk::{Desk, bytes};
use serde_json::Value;

#[test]
fn ls_shows_keys_and_folders() {
    let desk = Desk::new();
    desk.write("in", "12345");
    for key in ["a", "logs/1", "logs/deep/2", "logs-old/3", "z:1"] {
        desk.ok(&format!("put in local:{key}"));
    }
    assert_eq!(desk.ok("ls local:"), "a\nlogs-old/\nlogs/\nz:1\n");
    assert_eq!(
        desk.ok("ls local:logs"),
        "logs-old/\nlogs/\n",
        "a prefix, not a folder"
    );
    assert_eq!(desk.ok("ls local:logs/"), "logs/1\nlogs/deep/\n");
    assert_eq!(
        desk.ok("ls -R local:"),
        "a\nlogs-old/3\nlogs/1\nlogs/deep/2\nz:1\n"
    );
    assert_eq!(desk.ok("ls -R local: --limit 2"), "a\nlogs-old/3\n");
    assert_eq!(
        desk.ok("ls local:nothing"),
        "",
        "a prefix without keys is empty, not missing"
    );
    let long = desk.ok("ls -l local:");
    let first: Vec<_> = long.lines().next().unwrap().split_whitespace().collect();
    assert!(
        first[0] == "5" && first[1].starts_with("20") && first[1].ends_with('Z') && first[2] == "a",
        "{long}"
    );
    let lines = desk.ok("ls local: --json");
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
    let desk = Desk::new();
    const FILES: usize = 1203;
    for file in 0..FILES {
        desk.write(
            &format!("tree/{}/{file}.txt", file % 7),
            format!("file {file}"),
        );
    }
    desk.ok("put -r tree local:backup --jobs 8 -q");
    let listed = desk.ok("ls -R local:backup/");
    let keys: Vec<_> = listed.lines().collect();
    assert_eq!(keys.len(), FILES);
    assert!(keys.is_sorted(), "byte order, over all pages");
    desk.ok("get -r local:backup back --jobs 8 -q");
    let (tree, back) = (desk.files("tree"), desk.files("back"));
    assert!(tree == back && tree.len() == FILES);
    for name in tree.iter().step_by(50) {
        assert_eq!(
            desk.read(&format!("tree/{name}")),
            desk.read(&format!("back/{name}"))
        );
    }
    desk.ok("cp -r local:backup/3 other:three -q");
    assert_eq!(desk.files("other/objects/three"), desk.files("tree/3"));
    desk.ok("rm -r local:backup/3 -q");
    assert_eq!(
        desk.ok("ls -R local:backup/").lines().count(),
        FILES - desk.files("tree/3").len()
    );
}

#[test]
fn a_folder_is_not_a_prefix() {
    let desk = Desk::new();
    desk.write("in", "x");
    for key in ["logs/1", "logs-old/2", "logs2"] {
        desk.ok(&format!("put in local:{key}"));
    }
    desk.ok("get -r local:logs");
    assert_eq!(desk.files("logs"), ["1"]);
    desk.ok("rm -r local:logs");
    assert_eq!(desk.ok("ls -R local:"), "logs-old/2\nlogs2\n");
    desk.fails(3, "rm -r local:logs");
    desk.ok("rm -r --force local:logs");
    desk.fails(3, "get -r local:logs nothing");
    assert!(!desk.path("nothing").exists());
    desk.fails(3, "cp -r local:logs local:x");
    desk.fails(2, "rm -r local:");
    desk.fails(2, "get -r local:");
    desk.fails(2, "get -r local:logs-old -");
    desk.fails(2, "cp -r local:logs-old local:logs-old/deeper");
    desk.ok("rm -r --force local:");
    assert_eq!(desk.ok("ls -R local:"), "");
}

#[test]
fn get_never_leaves_its_folder() {
    let desk = Desk::new();
    desk.write("in", "evil");
    for key in ["d/link/passwd", "d/file/below", "d/good", "d/dangling"] {
        desk.ok(&format!("put in local:{key}"));
    }
    std::fs::create_dir(desk.path("outside")).unwrap();
    std::fs::create_dir(desk.path("to")).unwrap();
    symlink(desk.path("outside"), desk.path("to/link")).unwrap();
    symlink(desk.path("outside/made"), desk.path("to/dangling")).unwrap();
    desk.write("to/file", "mine");
    let ran = desk.run(["get", "-r", "local:d", "to"]);
    // A link in the way and a file in the way are bad input, the taken name is a lost condition.
    assert_eq!(ran.code, 1, "{}", ran.err);
    for told in ["link/passwd", "file/below", "dangling exists already"] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    assert_eq!(desk.read("to/good"), b"evil", "the rest comes all the same");
    assert_eq!(desk.read("to/file"), b"mine");
    // Even with --force the link is replaced and not followed.
    desk.run(["get", "-r", "local:d", "to", "--force"]);
    assert_eq!(desk.read("to/dangling"), b"evil");
    assert_eq!(desk.files("outside"), [""; 0]);
}

#[test]
fn put_tells_what_it_leaves_out() {
    use std::os::unix::ffi::OsStrExt;
    let desk = Desk::new();
    desk.write("tree/a", "a");
    desk.write("elsewhere/b", "b");
    symlink(desk.path("elsewhere"), desk.path("tree/link")).unwrap();
    let ran = desk.run(["put", "-r", "tree", "local:t"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.err
            .contains("tree/link is neither file nor folder: left out"),
        "{}",
        ran.err
    );
    assert_eq!(desk.files("data/objects"), ["t/a"]);
    desk.ok("put -r --follow tree local:t");
    assert_eq!(desk.files("data/objects"), ["t/a", "t/link/b"]);
    std::fs::write(
        desk.path("tree").join(std::ffi::OsStr::from_bytes(b"\xff")),
        "x",
    )
    .unwrap();
    assert!(
        desk.fails(5, "put -r --follow tree local:u")
            .contains("not UTF-8")
    );
    assert_eq!(
        desk.files("data/objects/u"),
        ["a", "link/b"],
        "the others are stored all the same"
    );
    desk.fails(5, "put tree local:t");
    desk.fails(5, "put -r elsewhere/b local:t");
}

#[test]
fn many_at_once_and_large_ones_among_them() {
    let desk = Desk::new();
    for file in 0..6 {
        desk.write(&format!("tree/{file}"), bytes((file as usize) << 20, file));
    }
    desk.ok("put -r tree local: --jobs 6");
    desk.ok("get -r local: back --jobs 6");
    for file in 0..6 {
        assert!(desk.read(&format!("tree/{file}")) == desk.read(&format!("back/{file}")));
    }
}

#[test]
fn a_store_is_never_copied_into_itself() {
    let desk = Desk::new();
    desk.write("in/a", "a");
    let same = String::from_utf8(desk.read("holdall.toml")).unwrap()
        + "[backend.same]\nplugin = \"local\"\n[backend.same.config]\nroot = \"data\"\n";
    desk.write("holdall.toml", same);
    desk.ok("put in/a local:x/a");
    // The second run would add a level.
    for _ in 0..2 {
        let ran = desk.run(["put", "-r", ".", "local:backup", "-j", "1"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(
            ran.err.contains("data is the directory of backend"),
            "{}",
            ran.err
        );
        assert_eq!(
            desk.files("data/objects"),
            ["backup/holdall.toml", "backup/in/a", "x/a"]
        );
    }
    std::os::unix::fs::symlink("data/objects", desk.path("link")).unwrap();
    for line in [
        "put -r data local:b",
        "put -r data/objects/x local:b",
        "put -r link local:b",
        "get -r local:x data/new",
        "get -r local:x link/x",
    ] {
        assert_eq!(desk.fails_json(5, line)["code"], "within_store", "{line}");
    }
    desk.fails(2, "cp -r local:x same:x/deeper");
    assert_eq!(desk.files("data/objects").len(), 3);
    desk.ok("put -r data other:copy -q");
    desk.ok("get -r local:x out -q");
}
