//! The `holdall` command on one backend, in a process of its own: to be measured, and to be killed.

use serde_json::Value;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The command, with a configuration whose one backend is `b`.
#[derive(Debug)]
pub struct Command {
    folder: tempfile::TempDir,
    holdall: std::path::PathBuf,
    environment: Vec<(String, OsString)>,
}

/// Bytes of a stream that is made and checked on the fly.
const BLOCK: usize = 1 << 20;

impl Command {
    /// The built command and this library.
    ///
    /// # Panics
    ///
    /// When the files cannot be put in place.
    pub fn new(plugin: &str, config: &Value) -> Self {
        let folder = match tempfile::tempdir() {
            Ok(folder) => folder,
            Err(cause) => panic!("no folder: {cause}"),
        };
        let plugins = folder.path().join("plugins");
        let table = serde_json::json!({"backend": {"b": {"plugin": plugin, "config": config}}});
        let placed = std::fs::create_dir(&plugins)
            .and_then(|()| std::fs::copy(crate::plugin(plugin), plugins.join("plugin.so")))
            .and_then(|_| {
                let text = toml::to_string(&table).map_err(std::io::Error::other)?;
                std::fs::write(folder.path().join("holdall.toml"), text)
            });
        if let Err(cause) = placed {
            panic!("the command cannot be set up: {cause}");
        }
        Self {
            folder,
            holdall: crate::command(),
            environment: Vec::new(),
        }
    }

    /// With this variable in its environment.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Takes the debug information out of its copy of the library, as a shipped one has none. The host
    /// keeps the bytes of the file in memory, and of a large plugin these would be most of them.
    ///
    /// # Panics
    ///
    /// When `strip` does not do it.
    #[must_use]
    pub fn stripped(self) -> Self {
        let file = self.folder.path().join("plugins/plugin.so");
        let strip = std::process::Command::new("strip")
            .arg("--strip-debug")
            .arg(&file)
            .status();
        let good = strip.as_ref().is_ok_and(std::process::ExitStatus::success);
        assert!(good, "strip {}: {strip:?}", file.display());
        self
    }

    /// Starts it, with both ends piped.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let started = self.command().arg("-q").args(arguments).spawn();
        match started {
            Ok(child) => child,
            Err(cause) => panic!("holdall does not start: {cause}"),
        }
    }

    /// The code that it ends with and everything that it says, errors as JSON and its whole log.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn told(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.command();
        let told = command
            .args(["-vvv", "--json"])
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output();
        match told {
            Ok(told) => {
                let text = [told.stdout, told.stderr].concat();
                let text = String::from_utf8_lossy(&text).into_owned();
                (told.status.code(), text)
            }
            Err(cause) => panic!("{arguments:?}: {cause}"),
        }
    }

    fn command(&self) -> std::process::Command {
        let path = self.folder.path();
        let mut command = std::process::Command::new(&self.holdall);
        // What the tests know of their servers would be settings of the command.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOLDALL_") {
                command.env_remove(name);
            }
        }
        let variables = self.environment.iter();
        command
            .envs(variables.map(|(name, value)| (name, value)))
            .arg("--config")
            .arg(path.join("holdall.toml"))
            .arg("--plugin-dir")
            .arg(path.join("plugins"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    /// Stores an object.
    ///
    /// # Panics
    ///
    /// When the command fails.
    pub fn put(&self, address: &str, bytes: &[u8]) {
        let mut put = self.start(&["put", "-", address]);
        let written = put.stdin.take().map(|mut input| input.write_all(bytes));
        let ended = put.wait();
        let good = ended.is_ok_and(|status| status.success());
        assert!(good, "put {address}: {written:?}");
    }

    /// An object; `None` when the command fails.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn get(&self, address: &str) -> Option<Vec<u8>> {
        self.output(&["get", address, "-"])
    }

    /// Removes an object; the code that the command ends with.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn remove(&self, address: &str) -> Option<i32> {
        match self.start(&["rm", address]).wait() {
            Ok(status) => status.code(),
            Err(cause) => panic!("rm {address}: {cause}"),
        }
    }

    /// A signed URL of an object, made with these arguments. What a request must carry beside it is
    /// on further lines, which are not told here.
    ///
    /// # Panics
    ///
    /// When the command fails.
    pub fn sign(&self, address: &str, arguments: &[&str]) -> String {
        let Some(text) = self.output(&[&["sign", address], arguments].concat()) else {
            panic!("sign {address} {arguments:?} fails");
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// As [`Command::sign`], for a method and a life such as `10m`.
    pub fn signed(&self, address: &str, method: &str, expires: &str) -> String {
        self.sign(address, &["--method", method, "--expires", expires])
    }

    /// What a command that succeeds prints.
    fn output(&self, arguments: &[&str]) -> Option<Vec<u8>> {
        match self.start(arguments).wait_with_output() {
            Ok(output) => output.status.success().then_some(output.stdout),
            Err(cause) => panic!("{arguments:?}: {cause}"),
        }
    }

    /// So many MiB through a pipe into the store and back, compared; the most resident memory of the
    /// two processes, in MiB.
    ///
    /// # Panics
    ///
    /// When a byte differs or the command fails.
    pub fn both_ways(&self, mib: u64) -> (u64, u64) {
        (self.put_large(mib), self.get_large(mib))
    }

    /// So many MiB, as [`feed`] makes them, into the object `large`; the most resident memory in MiB.
    ///
    /// # Panics
    ///
    /// When the command fails.
    pub fn put_large(&self, mib: u64) -> u64 {
        let mut put = self.start(&["put", "-", "b:large"]);
        let (Some(mut input), put_id) = (put.stdin.take(), put.id()) else {
            panic!("no pipe");
        };
        let written = (0..mib).try_for_each(|index| input.write_all(&block(index)));
        // Its last word: before the end of the process, after the last byte.
        let peak_in = peak_mib(put_id);
        drop(input);
        let peak_in = watch_to_the_end(&mut put, peak_in);
        if let Err(cause) = written {
            panic!("put took no more: {cause}");
        }
        peak_in
    }

    /// The object `large`, of so many MiB as [`feed`] makes them; the most resident memory in MiB.
    ///
    /// # Panics
    ///
    /// When a byte differs or the command fails.
    pub fn get_large(&self, mib: u64) -> u64 {
        let mut get = self.start(&["get", "b:large", "-"]);
        let (Some(mut output), get_id) = (get.stdout.take(), get.id()) else {
            panic!("no pipe");
        };
        let mut found = vec![0; BLOCK];
        for index in 0..mib {
            if let Err(cause) = output.read_exact(&mut found) {
                panic!("get ended in MiB {index}: {cause}");
            }
            assert!(found == block(index), "MiB {index} differs");
        }
        let peak_out = peak_mib(get_id);
        let rest = output.read_to_end(&mut found);
        assert!(matches!(rest, Ok(0)), "get has more than was put");
        watch_to_the_end(&mut get, peak_out)
    }
}

/// Writes so many MiB and keeps the pipe open: an upload in the middle.
///
/// # Panics
///
/// When the command takes them not.
pub fn feed(input: &mut ChildStdin, mib: u64) {
    for index in 0..mib {
        if let Err(cause) = input.write_all(&block(index)) {
            panic!("put took no more: {cause}");
        }
    }
}

/// Does not compress, and differs in every MiB and every page of it. Cheap, because the tests are
/// not optimised: random bytes once, and the place stamped over them.
fn block(index: u64) -> Vec<u8> {
    static RANDOM: OnceLock<Vec<u8>> = OnceLock::new();
    let mut bytes = RANDOM.get_or_init(random).clone();
    for (page, bytes) in bytes.chunks_exact_mut(4096).enumerate() {
        bytes[..8].copy_from_slice(&index.to_le_bytes());
        bytes[8..16].copy_from_slice(&page.to_le_bytes());
    }
    bytes
}

/// xorshift64*.
fn random() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(BLOCK);
    while bytes.len() < BLOCK {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend(state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes
}

/// The most resident memory that a process has had so far, in MiB; 0 when it is gone.
fn peak_mib(process: u32) -> u64 {
    let status = Path::new("/proc").join(process.to_string()).join("status");
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn watch_to_the_end(child: &mut Child, mut peak: u64) -> u64 {
    loop {
        peak = peak.max(peak_mib(child.id()));
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(20)),
            Ok(Some(status)) if status.success() => return peak,
            other => panic!("holdall ended badly: {other:?}"),
        }
    }
}
