//! A working folder with a configuration, and the command in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use holdall_e2e::artifacts;
use serde_json::Value;
use tempfile::TempDir;

/// `local` and `other` are folders, `tiny` takes few bytes, and a gateway can sign.
const CONFIG: &str = r#"
[backend.local.config]
root = "data"
durability = "none"

[backend.other]
plugin = "local"
[backend.other.config]
root = "other"
durability = "none"

[backend.tiny]
plugin = "memory"
[backend.tiny.config]
max_bytes = 10

[gateway]
public_url = "https://files.example.org"
keys = [{ id = "1", secret = "a secret for tests only" }]
"#;

pub(crate) struct Workdir(TempDir);

/// What a run of the command came to.
pub(crate) struct Ran {
    /// 128 and the number for a signal, as shells show it.
    pub(crate) code: i32,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Workdir {
    pub(crate) fn new() -> Self {
        let workdir = Self(tempfile::tempdir().unwrap());
        workdir.write("holdall.toml", CONFIG);
        workdir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"))
    }

    /// The command without any setting of the machine it runs on.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(artifacts().holdall());
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command.env("STATE_DIRECTORY", state());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOLDALL_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// The command with our plugins and this workdir's configuration.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.bare();
        command
            .env("HOLDALL_PLUGIN_DIR", plugins())
            .env("HOLDALL_CONFIG", "holdall.toml");
        command
    }

    pub(crate) fn run<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ran {
        Ran::of(self.command().args(args))
    }

    /// Must succeed, and have nothing to complain about.
    pub(crate) fn ok(&self, line: &str) -> String {
        let ran = self.run(line.split_whitespace());
        assert_eq!((ran.code, &*ran.err), (0, ""), "{line}: {}", ran.text());
        ran.text()
    }

    /// Must succeed, and answer with JSON: one object.
    pub(crate) fn json(&self, line: &str) -> Value {
        let text = self.ok(&format!("{line} --json"));
        serde_json::from_str(&text).unwrap_or_else(|why| panic!("{line}: {why}: {text}"))
    }

    /// Must fail with this code and tell one clear error, which is returned.
    pub(crate) fn fails(&self, code: i32, line: &str) -> String {
        self.fails_with(code, &line.split_whitespace().collect::<Vec<_>>())
    }

    pub(crate) fn fails_with(&self, code: i32, args: &[&str]) -> String {
        let ran = self.run(args.iter().copied());
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        let told = ran
            .err
            .lines()
            .filter(|line| line.starts_with("holdall: ") || line.starts_with("error: "));
        assert_eq!(told.count(), 1, "{args:?}: one error, not: {}", ran.err);
        ran.err
    }

    /// Must fail with this code, and tell why as one JSON object.
    pub(crate) fn fails_json(&self, code: i32, line: &str) -> Value {
        let ran = self.run(line.split_whitespace().chain(["--json"]));
        assert_eq!(ran.code, code, "{line}: {}", ran.err);
        let report: Value = serde_json::from_str(&ran.err)
            .unwrap_or_else(|why| panic!("{line}: {why}: {}", ran.err));
        assert_eq!(report["exit"], code, "{line}: {report}");
        report
    }

    /// Starts the command with a pipe for standard input and output each.
    pub(crate) fn start(&self, line: &str) -> Child {
        let mut command = self.command();
        command
            .args(line.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// Runs the command with this on its standard input.
    pub(crate) fn pipe(&self, line: &str, input: &[u8]) -> Ran {
        let mut child = self.start(line);
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|threads| {
            // A command that has seen enough may close the pipe.
            threads.spawn(move || stdin.write_all(input));
            Ran::from(child.wait_with_output().unwrap())
        })
    }

    /// Files below a folder of the workdir, with their paths in it.
    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.path(folder)];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => found.push(entry.path()),
                }
            }
        }
        let root = self.path(folder);
        let mut names: Vec<_> = found
            .iter()
            .map(|path| {
                path.strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        names.sort();
        names
    }
}

/// What the command remembers of plugins, for all tests of a run: each plugin is tried once.
fn state() -> &'static Path {
    static STATE: OnceLock<PathBuf> = OnceLock::new();
    STATE.get_or_init(|| {
        let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli-state");
        let _ = std::fs::remove_dir_all(&state);
        state
    })
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

impl From<std::process::Output> for Ran {
    fn from(output: std::process::Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let signal = output.status.signal();
        let code = output.status.code().or_else(|| Some(128 + signal?));
        Self {
            code: code.unwrap(),
            signal,
            out: output.stdout,
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The folder of the built plugins, filled once.
pub(crate) fn plugins() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let built = ["local", "memory"].map(|name| artifacts().plugin(name));
        artifacts().folder_of(built, folder.path());
        folder
    });
    folder.path()
}

/// Bytes that repeat nowhere near a chunk's size, other ones for each seed.
pub(crate) fn bytes(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = vec![0; size];
    for part in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        part.copy_from_slice(&state.to_le_bytes()[..part.len()]);
    }
    bytes
}

/// Waits for something that must happen.
pub(crate) fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
