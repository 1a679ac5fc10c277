//! Upgrades of a plugin under `holdall serve`: on SIGHUP, and when a watched directory changes.

use crate::running::Running;
use crate::workdir::Workdir;
use holdall_e2e::artifacts;
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// The plugin `memory` with these bytes behind its own: another digest, the same code. Renamed into place.
fn place(workdir: &Workdir, mark: &str) {
    let mut bytes = std::fs::read(artifacts().plugin("memory")).unwrap();
    bytes.extend(mark.as_bytes());
    let new = workdir.path("new.so");
    std::fs::write(&new, bytes).unwrap();
    std::fs::rename(new, workdir.path("plugins/memory.so")).unwrap();
}

fn serve(workdir: &Workdir, config: &str) -> Running {
    workdir.write("holdall.toml", config);
    std::fs::create_dir(workdir.path("plugins")).unwrap();
    place(workdir, "first");
    let mut command = workdir.command();
    command
        .env("HOLDALL_PLUGIN_DIR", "plugins")
        .env("STATE_DIRECTORY", workdir.path("state"))
        .args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    Running::of(command)
}

/// Generation of the only backend.
fn generation(server: &Running) -> u64 {
    let (status, body) = server.ask("GET", "/v1/status", server.token.as_deref(), "");
    assert_eq!(status, 200, "{body}");
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    status["backends"][0]["generation"].as_u64().unwrap()
}

/// Stores and reads through the generation that serves.
fn works(server: &Running, content: &str) {
    let token = server.token.as_deref();
    let (status, body) = server.ask("PUT", "/v1/memory/k", token, content);
    assert_eq!(status, 200, "{body}");
    let (status, body) = server.ask("GET", "/v1/memory/k", token, "");
    assert_eq!((status, body.as_str()), (200, content));
}

/// Waits for the second generation; several times longer than it takes on a busy machine.
fn upgraded(server: &Running) -> bool {
    let end = Instant::now() + Duration::from_secs(120);
    while generation(server) < 2 {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

#[test]
fn sighup_puts_the_new_file_into_service() {
    let workdir = Workdir::new();
    let server = serve(&workdir, "[backend.memory]\n");
    works(&server, "before");
    let before = generation(&server);
    place(&workdir, "second");
    assert_eq!(generation(&server), before, "nothing happens by itself");
    server.signal(Signal::HUP);
    assert!(upgraded(&server));
    works(&server, "after");
}

#[test]
fn a_watched_directory_needs_no_signal() {
    let workdir = Workdir::new();
    let server = serve(&workdir, "[backend.memory]\n[upgrade]\nwatch = true\n");
    works(&server, "before");
    place(&workdir, "second");
    assert!(upgraded(&server));
    works(&server, "after");
}
