//! A process of its own, whose output is watched.

use holdall_cli::kit::{BEGINS, ENDS, use_once};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What every binary that runs the kit on a loaded file calls in a test named `child`.
///
/// It does nothing unless the kit has started it: then it opens a plugin, uses it and closes it.
///
/// # Panics
///
/// When the plugin does not do what it is asked.
pub fn child() {
    let (Some(library), Ok(config)) = (
        std::env::var_os("HOLDALL_KIT_CHILD"),
        std::env::var("HOLDALL_KIT_CONFIG"),
    ) else {
        return;
    };
    println!("{BEGINS}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = serde_json::from_str(&config).unwrap();
    runtime
        .block_on(use_once(Path::new(&library), config))
        .unwrap();
    println!("{ENDS}");
}

/// This test binary once more, to run [`child`]; `None` when it has no such test.
pub(super) fn command(library: &Path, config: &Value) -> Option<Command> {
    let program = std::env::current_exe().ok()?;
    let listed = Command::new(&program)
        .args(["--list", "--exact", "child"])
        .output()
        .ok()?;
    if !String::from_utf8_lossy(&listed.stdout).contains("child: test") {
        return None;
    }
    let mut command = Command::new(program);
    command
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env("HOLDALL_KIT_CHILD", library)
        .env("HOLDALL_KIT_CONFIG", config.to_string());
    Some(command)
}
