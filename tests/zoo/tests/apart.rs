//! Seen from outside of the process: what is opened, what is mapped, what has run.

#![allow(clippy::unwrap_used, reason = "a test")]

use holdall::Host;
use holdall::inspect::inspect_file;
use holdall_zoo::{Fixture, Good};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const TASK: &str = "ZOO_CHILD_TASK";
const FILE: &str = "ZOO_CHILD_FILE";

/// Not a test by itself: what the other process does.
#[test]
fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let path = PathBuf::from(std::env::var_os(FILE).unwrap());
    match task.as_str() {
        "inspect" => drop(inspect_file(&path)),
        "load" => {
            let host = Host::builder().plugin_dir(path).build().unwrap();
            assert!(
                host.load_plugins()
                    .iter()
                    .all(|(_, outcome)| outcome.is_ok())
            );
            return wait(host);
        }
        "default" => {
            let host = Host::builder().build().unwrap();
            assert!(host.scan_report().files.is_empty() && host.scan_report().folders.is_empty());
        }
        "named" => {
            let host = Host::builder().plugin_dir(path).build().unwrap();
            assert_eq!(host.plugins().len(), 1);
        }
        other => panic!("no task {other}"),
    }
    wait(());
}

fn wait<T>(_alive: T) {
    println!("\nready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

/// Another process, once it has done its task; it ends with its standard input.
fn child_after(task: &str, file: &Path) -> Other {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(TASK, task)
        .env(FILE, file)
        .env("HOLDALL_PLUGIN_DIR", file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let ready = said.by_ref().lines().any(|line| line.unwrap() == "ready");
    assert!(ready, "the other process failed");
    Other { child, said }
}

/// A process that waits for the end of its standard input.
struct Other {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Other {
    fn maps(&self) -> String {
        fs::read_to_string(format!("/proc/{}/maps", self.child.id())).unwrap()
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "{rest}");
    }
}

#[test]
fn a_file_that_is_inspected_is_neither_mapped_nor_run() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    for name in ["good", "other_major", "no_entry", "null_table"] {
        let path = Fixture::named(name).build(&good, folder.path());
        let child = child_after("inspect", &path);
        let maps = child.maps();
        assert!(!maps.contains("holdall:") && !maps.contains(folder.path().to_str().unwrap()));
        child.end();
        assert!(!Fixture::marker(&path).exists(), "{name} has run");
    }
    // What is looked for does appear when a plugin is loaded.
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    let path = Fixture::named("good").build(&good, &plugins);
    let child = child_after("load", &plugins);
    assert!(child.maps().contains("holdall:good"));
    child.end();
    assert!(Fixture::marker(&path).exists());
}

/// Tells whether anybody opens a folder or what lies in it.
fn watch(folder: &Path) -> OwnedFd {
    let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&queue, folder, WatchFlags::OPEN | WatchFlags::ACCESS).unwrap();
    queue
}

fn was_opened(queue: &OwnedFd) -> bool {
    rustix::io::read(queue, &mut [0u8; 4096][..]).is_ok_and(|bytes| bytes > 0)
}

#[test]
fn a_host_that_was_told_no_folder_opens_none() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    Fixture::named("good").build(&good, &plugins);
    let queue = watch(&plugins);
    // The variable of the command is set; the library does not read it.
    child_after("default", &plugins).end();
    assert!(!was_opened(&queue), "a default host opened the folder");
    child_after("named", &plugins).end();
    assert!(
        was_opened(&queue),
        "a host that was told the folder did not open it"
    );
}

#[test]
fn a_pipe_is_not_even_opened() {
    let folder = tempfile::tempdir().unwrap();
    let good = Good::build(folder.path());
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    let pipe = Fixture::named("pipe").build(&good, &plugins);
    let file = Fixture::named("good").build(&good, &plugins);
    let queue = watch(&plugins);
    // Opening it would wake whoever waits to write, and then fail him.
    inspect_file(&pipe);
    assert!(!was_opened(&queue), "the pipe was opened");
    inspect_file(&file);
    assert!(was_opened(&queue), "the file was not opened");
}
