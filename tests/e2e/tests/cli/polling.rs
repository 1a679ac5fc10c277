//! A plugin that blocks without saying so, moved off the server's threads by the configuration.

use std::time::{Duration, Instant};

use crate::running::Running;
use crate::workdir::Workdir;
use holdall_e2e::artifacts;

const OPEN: &str = "
[server.anonymous]
allow = [\"read\", \"write\", \"list\"]
";

/// Answers of `/healthz` between the second second and the end of the first of six uploads that each hold
/// their thread for 5 s, on a server of two threads.
fn answers_meanwhile(polling: &str) -> usize {
    let workdir = Workdir::new();
    std::fs::create_dir(workdir.path("plugins")).unwrap();
    artifacts().folder_of([artifacts().misbehaving()], &workdir.path("plugins"));
    let backend = format!("[backend.misbehaving]\npolling = {polling:?}\n");
    workdir.write("holdall.toml", backend + OPEN);
    let mut command = workdir.command();
    command
        .env("HOLDALL_PLUGIN_DIR", "plugins")
        .env("TOKIO_WORKER_THREADS", "2")
        .args(["serve", "--listen", "127.0.0.1:0", "--json", "--log", "off"]);
    let server = Running::of(command);
    // Opened before the clock runs.
    assert_eq!(server.ask("PUT", "/v1/misbehaving/k", None, "x").0, 200);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let upload = || server.ask("PUT", "/v1/misbehaving/block-5000", None, "x").0;
        let uploads: Vec<_> = (0..6).map(|_| scope.spawn(upload)).collect();
        let mut answered = 0;
        loop {
            let asked = begun.elapsed();
            assert_eq!(server.ask("GET", "/healthz", None, "").0, 200);
            if uploads.iter().any(|upload| upload.is_finished()) {
                break;
            }
            if asked > Duration::from_secs(1) {
                answered += 1;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let all = uploads.into_iter().map(|upload| upload.join().unwrap());
        assert!(all.eq([200; 6]));
        answered
    })
}

#[test]
fn uploads_that_block_hold_nothing_when_they_are_polled_in_the_pool() {
    let answered = answers_meanwhile("spawned");
    assert!(answered >= 10, "{answered} answers in about 4 s");
}
