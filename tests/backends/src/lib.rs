//! The built plugins against real servers. Run by `scripts/test-backends`, which starts the servers.
//!
//! One test binary for each plugin, in it one module for each server, called as the server's script
//! in `scripts/servers` with `_` for `-`. The tests are `#[ignore]`d, because a plain `cargo test` has
//! no server; the script runs exactly those, and then a missing server is a failure.
#![forbid(unsafe_code)]

mod command;
mod curl;
pub mod ended;
mod hosted;
mod kit_run;
pub mod parts;
pub mod resumed;
pub mod s3;
mod serving;
mod staged;
pub mod urls;

pub use command::{Command as Holdall, feed};
pub use curl::{curl, eventually};
pub use hosted::{Hosted, HostedPlugin};
pub use kit_run::{run_kit, run_kit_except};
pub use s3::S3;
pub use serving::Serving;
pub use staged::wait_for_staged;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the script of this server has printed.
///
/// # Panics
///
/// When it was not started.
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

/// The built library of `plugins/NAME`.
///
/// # Panics
///
/// When the script has not built it.
pub fn plugin(name: &str) -> PathBuf {
    built(&format!("libholdall_plugin_{name}.so"))
}

/// The built `holdall` command.
///
/// # Panics
///
/// When the script has not built it.
pub fn command() -> PathBuf {
    built("holdall")
}

/// Nothing is built here: the server runs already, and would wait for a compiler.
fn built(file: &str) -> PathBuf {
    let Some(folder) = std::env::var_os("HOLDALL_BUILT") else {
        panic!("HOLDALL_BUILT is not set: scripts/test-backends builds what the tests run");
    };
    let path = Path::new(&folder).join(file);
    assert!(path.is_file(), "{} is not there", path.display());
    path
}
