//! The command ended at any moment: by a signal, by a reader that goes away, by `kill -9`.

use std::io::{Read, Write};
use std::process::Child;
use std::time::{Duration, Instant};

use super::workdir::{Ran, Workdir, bytes, until};
use holdall_e2e::artifacts;
use rustix::process::{Pid, Signal, kill_process};

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn ctrl_c_ends_a_put_and_leaves_the_old_object() {
    let workdir = Workdir::new();
    workdir.write("in", "old");
    workdir.ok("put in local:a");
    for (which, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut child = workdir.start("put - local:a");
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&bytes(3 << 20, 1)).unwrap();
        until("the upload is under way", || {
            !workdir.files("data/staging").is_empty()
        });
        signal(&child, which);
        let started = Instant::now();
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "it does not wait for input"
        );
        drop(stdin);
        assert_eq!(ran.code, code, "{}", ran.err);
        assert_eq!(ran.err, "holdall: interrupted [interrupted]\n");
        assert_eq!(workdir.read("data/objects/a"), b"old");
        // An empty lock may stay when the plugin's thread and the process end at the same moment.
        let mut left = workdir.files("data/staging");
        left.retain(|name| !name.ends_with(".lock"));
        assert_eq!(left, [""; 0], "nothing of the new object is left behind");
        workdir.ok("put in local:a");
        assert_eq!(
            workdir.files("data/staging"),
            [""; 0],
            "and the next process sweeps"
        );
    }
}

#[test]
fn ctrl_c_ends_what_a_plugin_would_not_and_lets_the_plugin_put_things_away() {
    let workdir = Workdir::new();
    std::fs::create_dir(workdir.path("plugins")).unwrap();
    artifacts().folder_of([artifacts().misbehaving()], &workdir.path("plugins"));
    // That its shutdown is called shows by its panic, and that must change nothing.
    workdir.write(
        "holdall.toml",
        "[backend.misbehaving.config]\npanic_in = \"shutdown\"\n",
    );
    let mut child = workdir.start("put - misbehaving:hang -v --plugin-dir plugins");
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: the upload is under way when all of it is taken.
    stdin.write_all(&bytes(3 << 20, 1)).unwrap();
    signal(&child, Signal::INT);
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.signal), (130, None), "{}", ran.err);
    assert!(ran.err.contains("shutdown"), "{}", ran.err);
    assert!(
        ran.err.ends_with("holdall: interrupted [interrupted]\n"),
        "{}",
        ran.err
    );
}

#[test]
fn a_reader_that_goes_away_ends_the_command_as_it_ends_others() {
    let workdir = Workdir::new();
    workdir.write("in", bytes(8 << 20, 1));
    workdir.ok("put in local:a");
    for line in ["get local:a -", "completions bash"] {
        let mut child = workdir.start(line);
        if line.starts_with("get") {
            let mut first = [0; 10];
            child
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut first)
                .unwrap();
        }
        drop(child.stdout.take());
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.signal, &*ran.err), (Some(13), ""), "{line}");
    }
}

#[test]
fn kill_at_any_moment_leaves_the_whole_old_or_the_whole_new_object() {
    const ROUNDS: usize = 20;
    let workdir = Workdir::new();
    let contents = [bytes(6 << 20, 1), bytes((6 << 20) + 12_345, 2)];
    workdir.write("0", &contents[0]);
    workdir.write("1", &contents[1]);
    workdir.ok("put 0 local:a -m which=0");
    let started = Instant::now();
    workdir.ok("put 0 local:a -m which=0");
    let usual = started.elapsed();

    let mut random = u64::from(std::process::id()) | 1;
    let (mut killed, mut replaced, mut is) = (0, 0, 0);
    for round in 0..ROUNDS {
        let next = 1 - is;
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut child = workdir.start(&format!("put {next} local:a -m which={next}"));
        std::thread::sleep(usual.mul_f64((random >> 33) as f64 / (1_u64 << 31) as f64 * 1.2));
        // It may have ended already; that is one of the moments.
        let _ = child.kill();
        let ended = child.wait().unwrap();
        killed += usize::from(!ended.success());

        let found = workdir.read("data/objects/a");
        let which = contents.iter().position(|content| *content == found);
        let which =
            which.unwrap_or_else(|| panic!("round {round}: neither whole: {} bytes", found.len()));
        assert!(
            !ended.success() || which == next,
            "round {round}: told to be stored"
        );
        let head = workdir.json("head local:a");
        assert_eq!(
            head["metadata"]["which"],
            which.to_string(),
            "round {round}: metadata of the same object"
        );
        assert_eq!(head["size"], contents[which].len(), "round {round}");
        replaced += usize::from(which != is);
        is = which;
    }
    println!("{ROUNDS} rounds of about {usual:?}: {killed} killed, {replaced} replaced");
    assert!(killed > 0, "no round was cut off: {usual:?}");
    // The next process that writes has swept.
    workdir.ok("put 0 local:a");
    assert_eq!(workdir.files("data/staging"), [""; 0], "leftovers");
    assert_eq!(workdir.files("data/objects"), ["a"]);
}

/// Starts a `get` and kills it when a part of the file is there.
fn killed_get(workdir: &Workdir, line: &str, part: &str) {
    for _ in 0..50 {
        let mut child = workdir.start(line);
        until("the part is there", || {
            std::fs::metadata(workdir.path(part)).is_ok_and(|about| about.len() > 0)
                || child.try_wait().unwrap().is_some()
        });
        child.kill().unwrap();
        child.wait().unwrap();
        if std::fs::metadata(workdir.path(part)).is_ok_and(|about| about.len() > 0) {
            return;
        }
        // It was faster than we are.
        let _ = std::fs::remove_file(workdir.path("b"));
    }
    panic!("never killed in time");
}

fn has_attributes(workdir: &Workdir) -> bool {
    let file = std::fs::File::create(workdir.path("probe")).unwrap();
    rustix::fs::fsetxattr(&file, "user.probe", b"x", rustix::fs::XattrFlags::empty()).is_ok()
}

#[test]
fn a_get_that_was_cut_off_goes_on_from_there() {
    let workdir = Workdir::new();
    let whole = bytes(48 << 20, 3);
    workdir.write("in", &whole);
    workdir.ok("put in local:a");
    killed_get(&workdir, "get local:a b", "b.holdall-part");
    assert!(!workdir.path("b").exists());
    let kept = std::fs::metadata(workdir.path("b.holdall-part"))
        .unwrap()
        .len();
    let got = workdir.json("get local:a b");
    match has_attributes(&workdir) {
        true => assert_eq!(got["resumed_at"], kept),
        false => assert!(got["resumed_at"].is_null()),
    }
    assert!(workdir.read("b") == whole);
    assert!(!workdir.path("b.holdall-part").exists());
}

#[test]
fn a_part_of_another_version_is_not_used() {
    let workdir = Workdir::new();
    workdir.write("in", bytes(48 << 20, 3));
    workdir.ok("put in local:a");
    killed_get(&workdir, "get local:a b", "b.holdall-part");
    // Not even by its size can it be told from the old one.
    let newer = bytes(48 << 20, 4);
    workdir.write("in", &newer);
    workdir.ok("put in local:a");
    let got = workdir.json("get local:a b");
    assert!(got["resumed_at"].is_null());
    assert!(workdir.read("b") == newer);
    assert!(!workdir.path("b.holdall-part").exists());
}

#[test]
fn a_part_that_was_damaged_is_found_out_and_thrown_away() {
    let workdir = Workdir::new();
    let whole = bytes(48 << 20, 3);
    workdir.write("in", &whole);
    workdir.ok("put in local:a");
    killed_get(&workdir, "get local:a b", "b.holdall-part");
    if !has_attributes(&workdir) {
        return;
    }
    let mut part = std::fs::File::options()
        .write(true)
        .open(workdir.path("b.holdall-part"))
        .unwrap();
    part.write_all(b"damage").unwrap();
    drop(part);
    let report = workdir.fails_json(1, "get local:a b");
    assert_eq!(report["code"], "part_damaged", "the store is not to blame");
    assert!(!workdir.path("b").exists() && !workdir.path("b.holdall-part").exists());
    workdir.ok("get local:a b");
    assert!(workdir.read("b") == whole);
}

#[test]
fn ctrl_c_keeps_what_can_be_resumed() {
    let workdir = Workdir::new();
    workdir.write("in", bytes(48 << 20, 3));
    workdir.ok("put in local:a");
    for _ in 0..50 {
        let mut child = workdir.start("get local:a b");
        until("the part is there", || {
            std::fs::metadata(workdir.path("b.holdall-part")).is_ok_and(|about| about.len() > 0)
                || child.try_wait().unwrap().is_some()
        });
        if child.try_wait().unwrap().is_none() {
            signal(&child, Signal::INT);
        }
        let ran = Ran::from(child.wait_with_output().unwrap());
        if ran.code == 130 {
            assert_eq!(
                workdir.path("b.holdall-part").exists(),
                has_attributes(&workdir)
            );
            workdir.ok("get local:a b");
            assert!(workdir.read("b") == workdir.read("in"));
            return;
        }
        assert_eq!(ran.code, 0, "{}", ran.err);
        std::fs::remove_file(workdir.path("b")).unwrap();
    }
    panic!("never interrupted in time");
}

#[test]
fn get_leaves_a_users_file_with_the_name_of_a_part() {
    let workdir = Workdir::new();
    workdir.write("in", "object");
    for key in ["tp/x", "tp/y", "d/x", "d/x.holdall-part"] {
        workdir.ok(&format!("put in local:{key}"));
    }
    workdir.write("x.holdall-part", "notes");
    for line in ["get local:tp/x", "get local:tp/x --force"] {
        let report = workdir.fails_json(4, line);
        assert_eq!(report["code"], "part_exists");
        assert!(
            report["message"]
                .as_str()
                .unwrap()
                .contains("x.holdall-part")
        );
    }
    assert_eq!(workdir.read("x.holdall-part"), b"notes");
    assert!(!workdir.path("x").exists());

    workdir.write("all/x.holdall-part", "notes");
    let ran = workdir.run(["get", "-r", "local:tp", "all", "--json"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert!(ran.err.contains("part_exists"), "{}", ran.err);
    assert_eq!(workdir.read("all/x.holdall-part"), b"notes");
    assert_eq!(
        workdir.read("all/y"),
        b"object",
        "the others are read all the same"
    );

    // One at a time, the keys come in the order of their bytes.
    std::fs::create_dir(workdir.path("both")).unwrap();
    workdir.write("both/x.holdall-part", "notes");
    let ran = workdir.run(["get", "-r", "local:d", "both", "-j", "1"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert_eq!(workdir.read("both/x.holdall-part"), b"notes");
    assert_eq!(workdir.files("both"), ["x.holdall-part"]);
}

#[test]
fn a_corrupt_object_leaves_no_part_to_resume() {
    let workdir = Workdir::new();
    workdir.write("in", bytes(8 << 20, 3));
    workdir.ok("put in local:a");
    let object = workdir.path("data/objects/a");
    let before = std::fs::metadata(&object).unwrap().modified().unwrap();
    let mut file = std::fs::File::options().write(true).open(&object).unwrap();
    file.write_all(b"damage").unwrap();
    file.set_modified(before).unwrap();
    for _ in 0..2 {
        let ran = workdir.run(["get", "local:a", "b"]);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.err.contains("[corrupt]"), "{}", ran.err);
        assert!(
            !ran.err.contains("kept in"),
            "no promise to resume: {}",
            ran.err
        );
        assert!(!workdir.path("b").exists() && !workdir.path("b.holdall-part").exists());
    }
}
