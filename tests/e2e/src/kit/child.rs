//! A process of its own, whose output is watched.

use super::{HostStage, Stores};
use holdall::{Delete, Download, Upload};
use holdall_conformance::Stage;
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
    println!("child: begins");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = serde_json::from_str(&config).unwrap();
    runtime.block_on(use_once(Path::new(&library), config));
    println!("child: ends");
}

struct One(Value);

impl Stores for One {
    fn config(&self, _: u32) -> Value {
        self.0.clone()
    }
}

async fn use_once(library: &Path, config: Value) {
    let stage = HostStage::loaded(library, One(config));
    let subject = stage.open(0).await.unwrap();
    let key = format!("kit-child-{}", std::process::id());
    subject.upload(Upload::new(&key, "b")).await.unwrap();
    let downloaded = subject.download(Download::new(&key)).await.unwrap();
    downloaded.body.collect(10).await.unwrap();
    let missing = format!("{key}-missing");
    assert!(subject.download(Download::new(&missing)).await.is_err());
    subject.delete(Delete::new(&key)).await.unwrap();
    subject.shutdown().await.unwrap();
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
