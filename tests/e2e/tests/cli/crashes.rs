//! Crashes of plugins: the next start names the plugin, the operation and the request.

use std::time::{Duration, Instant};

use crate::running::Running;
use crate::workdir::Workdir;
use holdall_e2e::artifacts;

/// Three backends of three plugins, and rules under which nothing is kept out.
const CONFIG: &str = r#"
[backend.misbehaving]
[backend.memory]
[backend.local.config]
root = "data"
durability = "none"
[quarantine]
crashes = 1000
backoff = "0s"
"#;

fn prepared(config: &str) -> Workdir {
    let workdir = Workdir::new();
    let plugins = workdir.path("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let built = artifacts();
    let files = [
        built.misbehaving(),
        built.plugin("memory"),
        built.plugin("local"),
    ];
    built.folder_of(files, &plugins);
    workdir.write("holdall.toml", config);
    workdir
}

fn serve(workdir: &Workdir) -> Running {
    let mut command = workdir.command();
    command
        .env("HOLDALL_PLUGIN_DIR", "plugins")
        .env("STATE_DIRECTORY", workdir.path("state"))
        .args(["serve", "--listen", "127.0.0.1:0", "--json"]);
    Running::of(command)
}

/// Ends the server by this key of the misbehaving plugin, while the others work.
fn crash(server: &Running, key: &str, request: &str) {
    std::thread::scope(|scope| {
        for backend in ["memory", "local"] {
            scope.spawn(move || {
                let until = Instant::now() + Duration::from_secs(60);
                let target = format!("/v1/{backend}/k");
                while Instant::now() < until
                    && server.try_ask("other", "PUT", &target, "x").is_some()
                {}
            });
        }
        let target = format!("/v1/misbehaving/{key}");
        let answer = server.try_ask(request, "DELETE", &target, "");
        assert_eq!(answer, None, "it was to crash");
    });
}

fn crashes(workdir: &Workdir) -> Vec<serde_json::Value> {
    let mut command = workdir.command();
    command
        .env("HOLDALL_PLUGIN_DIR", "plugins")
        .env("STATE_DIRECTORY", workdir.path("state"))
        .args(["plugins", "--json"]);
    let output = command.output().unwrap();
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    record["crashes"].as_array().unwrap().clone()
}

#[test]
fn the_next_start_names_plugin_operation_and_request() {
    const ROUNDS: usize = 20;
    let workdir = prepared(CONFIG);
    let mut last = serve(&workdir);
    for round in 0..ROUNDS {
        let key = ["segfault", "segfault-late"][round % 2];
        let request = format!("request-{round}");
        crash(&last, key, &request);
        last = serve(&workdir);
        let crashes = crashes(&workdir);
        let crash = crashes.last().unwrap();
        let plugin = crash["plugin"].as_str().unwrap();
        assert!(plugin.starts_with("misbehaving "), "{crash}");
        assert_eq!(crash["signal"], 11, "{crash}");
        assert_eq!(crash["operation"], "delete", "{crash}");
        assert_eq!(crash["request"], request, "{crash}");
    }
    // Its log says it too.
    let lines = last.lines();
    let line = lines
        .iter()
        .find(|line| line.contains("ended an earlier process"));
    assert!(line.is_some_and(|line| line.contains("misbehaving")));
    drop(last);
    let crashes = crashes(&workdir);
    assert_eq!(crashes.len(), 16, "the last ones are kept");
    let logged = crashes
        .iter()
        .any(|crash| crash["log"].to_string().contains("a word before"));
    assert!(logged, "{crashes:?}");
}

#[test]
fn a_plugin_that_crashes_again_and_again_is_kept_out() {
    let config = CONFIG.replace("crashes = 1000", "crashes = 2");
    let workdir = prepared(&config);
    for round in 0..2 {
        let server = serve(&workdir);
        crash(&server, "segfault", &format!("round-{round}"));
    }
    let server = serve(&workdir);
    let token = server.token.clone().unwrap();
    let (status, body) = server.ask("GET", "/v1/misbehaving/k", Some(&token), "");
    assert_eq!(status, 500, "{body}");
    let (status, _) = server.ask("PUT", "/v1/memory/k", Some(&token), "x");
    assert_eq!(status, 200, "the others serve");
    let mut release = workdir.command();
    release.env("STATE_DIRECTORY", workdir.path("state")).args([
        "plugins",
        "release",
        "misbehaving",
    ]);
    assert!(release.status().unwrap().success());
    drop(server);
    let server = serve(&workdir);
    let token = server.token.clone().unwrap();
    let (status, body) = server.ask("GET", "/v1/misbehaving/k", Some(&token), "");
    assert_ne!(status, 500, "{body}");
}

#[test]
fn a_quarantine_expires_when_the_configuration_says_so() {
    let strict = CONFIG.replace("crashes = 1000", "crashes = 1");
    let workdir = prepared(&strict);
    crash(&serve(&workdir), "segfault", "request");
    let status = |server: Running| {
        let token = server.token.clone().unwrap();
        server.ask("GET", "/v1/misbehaving/k", Some(&token), "").0
    };
    assert_eq!(status(serve(&workdir)), 500, "without `expires` it stays");
    let is_refused_as = |code: &str| {
        let mut command = workdir.command();
        command
            .env("HOLDALL_PLUGIN_DIR", "plugins")
            .env("STATE_DIRECTORY", workdir.path("state"))
            .args(["plugins", "--load", "--json"]);
        let report = String::from_utf8(command.output().unwrap().stdout).unwrap();
        report.contains(&format!("{code:?}"))
    };
    assert!(is_refused_as("quarantined"));
    let patient = CONFIG.replace("backoff = \"0s\"", "backoff = \"1h\"");
    workdir.write("holdall.toml", patient);
    assert!(is_refused_as("crash_backoff"));
    workdir.write("holdall.toml", format!("{strict}expires = \"1ms\"\n"));
    assert_ne!(status(serve(&workdir)), 500);
}
