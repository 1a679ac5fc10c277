//! The built plugins against real servers. Run by `scripts/test-backends`, which starts the servers.
//!
//! One test binary for each plugin, in it one module for each server, called as the server's script
//! in `scripts/servers` with `_` for `-`. The tests are `#[ignore]`d, because a plain `cargo test` has
//! no server; the script runs exactly those, and then a missing server is a failure.
#![forbid(unsafe_code)]

mod command;
pub mod ended;
mod folder;
mod judge;
pub mod urls;

pub use command::{Command as Holdall, feed};
pub use folder::Folder;
pub use judge::judged;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// What the script of this server has printed.
///
/// # Panics
///
/// When nobody has started it.
pub fn server(name: &str) -> Value {
    let variable = format!(
        "HOLDALL_SERVER_{}",
        name.to_ascii_uppercase().replace('-', "_")
    );
    let Ok(address) = std::env::var(&variable) else {
        panic!("{variable} is not set: scripts/test-backends starts the servers");
    };
    match serde_json::from_str(&address) {
        Ok(value) => value,
        Err(cause) => panic!("{variable} is no JSON: {cause}"),
    }
}

/// Runs a server's script, such as `radosgw kill DIR`.
///
/// # Panics
///
/// When it fails.
pub fn script(name: &str, arguments: &[&str]) {
    let script = root().join("scripts/servers").join(name);
    match Command::new(&script).args(arguments).status() {
        Ok(status) if status.success() => {}
        other => panic!("{} {arguments:?}: {other:?}", script.display()),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The library of `plugins/NAME`, built if it is not current.
///
/// # Panics
///
/// When it does not build.
pub fn plugin(name: &str) -> PathBuf {
    built(
        &format!("holdall-plugin-{name}"),
        &format!("libholdall_plugin_{name}.so"),
    )
}

/// The `holdall` command, built if it is not current.
///
/// # Panics
///
/// When it does not build.
pub fn command() -> PathBuf {
    built("holdall-cli", "holdall")
}

fn built(package: &str, file: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--locked",
            "--quiet",
            "--message-format=json",
            "-p",
            package,
        ])
        .current_dir(root())
        .output();
    let output = match output {
        Ok(output) if output.status.success() => output,
        Ok(output) => panic!("cargo build: {}", String::from_utf8_lossy(&output.stderr)),
        Err(cause) => panic!("cargo build: {cause}"),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let files = messages.flat_map(|message| {
        let files = message["filenames"].as_array().cloned();
        files.unwrap_or_default()
    });
    let mut paths = files.filter_map(|file| file.as_str().map(PathBuf::from));
    match paths.find(|path| path.file_name().is_some_and(|name| name == file)) {
        Some(path) => path,
        None => panic!("cargo build -p {package} made no {file}"),
    }
}
