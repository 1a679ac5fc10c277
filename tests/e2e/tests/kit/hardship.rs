//! What only another process can show of `local`: a kill in the middle of an upload, a full disk, the
//! order of its system calls. E-09, E-10, E-11, with the built command and the built plugin.

use holdall_e2e::artifacts;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

type Outcome = Result<(), String>;

/// The case in its own way; `None` where this machine has not what it takes, which the kit reports
/// and this says aloud.
pub(crate) fn suffer(case: &str) -> Option<fn() -> Outcome> {
    let mount = "mount -t tmpfs none /tmp";
    let (suffering, tool, args): (fn() -> Outcome, _, &[_]) = match case {
        "E-09" => return Some(killed),
        "E-10" => (disk_full, "unshare", &["-rm", "sh", "-c", mount]),
        "E-11" => (order, "strace", &["-f", "-o", "/dev/null", "true"]),
        _ => return None,
    };
    let tried = Command::new(tool).args(args).output();
    if tried.is_ok_and(|tried| tried.status.success()) {
        return Some(suffering);
    }
    // Not `eprintln`: the output of a test that passes is captured.
    let line = format!(
        "SKIPPED: {case} of local: `{tool} {}` fails here\n",
        args.join(" ")
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}

/// A folder with the plugin, a configuration, and the command.
struct Workdir(tempfile::TempDir);

impl Workdir {
    fn new(root: &Path) -> Self {
        let workdir = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(workdir.path().join("plugins")).unwrap();
        artifacts().folder_of(
            [artifacts().plugin("local")],
            &workdir.path().join("plugins"),
        );
        // Without a trial, which has system calls of its own.
        let config = format!(
            "[trial]\nenabled = false\n[backend.local.config]\nroot = {root:?}\ndurability = \"full\"\n"
        );
        std::fs::write(workdir.path().join("holdall.toml"), config).unwrap();
        workdir
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path())
            .env("HOLDALL_CONFIG", "holdall.toml")
            .env("HOLDALL_PLUGIN_DIR", "plugins")
            .env("HOLDALL", artifacts().holdall());
        command
    }

    fn holdall(&self, args: &[&str]) -> Output {
        let command = artifacts().holdall().to_str().unwrap();
        self.at(command).args(args).output().unwrap()
    }
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(why()) }
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    format!(
        "{:?}: {}",
        output.status.code(),
        String::from_utf8_lossy(&text)
    )
}

/// Names of the files below `folder/staging/*`.
fn staged(root: &Path) -> Vec<String> {
    let folders = std::fs::read_dir(root.join("staging"))
        .into_iter()
        .flatten()
        .flatten();
    let files = folders.flat_map(|own| {
        std::fs::read_dir(own.path())
            .into_iter()
            .flatten()
            .flatten()
    });
    files
        .map(|file| file.path().display().to_string())
        .collect()
}

fn killed() -> Outcome {
    let workdir = Workdir::new(Path::new("data"));
    let root = workdir.path().join("data");
    std::fs::write(workdir.path().join("old"), "as it was").unwrap();
    let stored = workdir.holdall(&["put", "old", "local:a"]);
    ensure(stored.status.success(), || said(&stored))?;
    let mut child = workdir
        .at(artifacts().holdall().to_str().unwrap())
        .args(["put", "-", "local:a"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // The rest never comes: the upload waits in its middle.
    let mut input = child.stdin.take().unwrap();
    input.write_all(&vec![7; 3 << 20]).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    let grown = |path: &String| std::fs::metadata(path).is_ok_and(|facts| facts.len() >= 1 << 20);
    while !staged(&root).iter().any(grown) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(input);
    let left = staged(&root);
    ensure(!left.is_empty(), || {
        "nothing was staged within a minute, or the kill came too late".into()
    })?;
    let read = workdir.holdall(&["get", "local:a", "-"]);
    ensure(read.stdout == b"as it was", || {
        format!("after the kill: {}", said(&read))
    })?;
    // The next writer sweeps.
    let stored = workdir.holdall(&["put", "old", "local:b"]);
    ensure(stored.status.success(), || said(&stored))?;
    let left = staged(&root);
    ensure(left.is_empty(), || format!("leftovers: {left:?}"))
}

fn disk_full() -> Outcome {
    // The disk is there for this one process and its children.
    let script = r#"
        set -e
        mount -t tmpfs -o size=4m none "$PWD/disk"
        "$HOLDALL" put old local:a >&2
        code=0; "$HOLDALL" put large local:a >&2 || code=$?
        echo "code $code"
        echo "content $("$HOLDALL" get local:a -)"
        echo "staged $(find disk/staging -type f | wc -l)"
        "$HOLDALL" put old local:b >&2
        echo "next works"
    "#;
    let workdir = Workdir::new(Path::new("disk"));
    std::fs::create_dir(workdir.path().join("disk")).unwrap();
    std::fs::write(workdir.path().join("old"), "as it was").unwrap();
    std::fs::write(workdir.path().join("large"), vec![7; 8 << 20]).unwrap();
    let output = workdir
        .at("unshare")
        .args(["-rm", "sh", "-c", script])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    // 6: quota, which a full disk is.
    let expected = "code 6\ncontent as it was\nstaged 0\nnext works\n";
    ensure(told == expected, || said(&output))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure(error.contains("quota_exceeded"), || said(&output))
}

/// What of a line of strace matters: the call, and the file that it is about.
fn step(line: &str) -> Option<&'static str> {
    let staged = line.contains("/staging/");
    let done = line.ends_with("= 0");
    match () {
        // The probe of the file system, when the root is opened.
        () if !done || line.contains("\"probe-") => None,
        () if line.contains("fsync(") && staged => Some("file sync"),
        () if line.contains("rename") && staged && line.contains("/objects") => Some("rename"),
        () if line.contains("fsync(") && line.contains("/objects") => Some("directory sync"),
        () => None,
    }
}

fn order() -> Outcome {
    let workdir = Workdir::new(Path::new("data"));
    std::fs::write(workdir.path().join("new"), vec![7; 100_000]).unwrap();
    let trace = [
        "-f",
        "-y",
        "-o",
        "trace",
        "-e",
        "trace=fsync,fdatasync,rename,renameat,renameat2,linkat",
    ];
    let command = artifacts().holdall().to_str().unwrap();
    let put = ["put", "new", "local:folder/object"];
    let output = workdir
        .at("strace")
        .args(trace)
        .arg(command)
        .args(put)
        .output()
        .unwrap();
    ensure(output.status.success(), || said(&output))?;
    let trace = std::fs::read_to_string(workdir.path().join("trace")).unwrap();
    // What is tried out at the opening is not the object's.
    let lines = trace.lines().filter(|line| !line.contains("robe-"));
    let mut steps: Vec<_> = lines.filter_map(step).collect();
    steps.dedup();
    ensure(steps == ["file sync", "rename", "directory sync"], || {
        format!("{steps:?} in\n{trace}")
    })
}
