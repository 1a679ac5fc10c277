//! The audit log: what is recorded, and that nothing answered is missing.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall::audit::{AuditEvent, AuditFile, AuditLog};
use holdall::config::{Config, Sources};
use holdall::{
    Backend, CallOptions, Delete, DeleteMany, ErrorKind, Host, Operation, SignUrl, Upload,
};
use holdall_testing::{BACKEND, Fault, TestBackend};
use serde_json::Value;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

async fn recorded(log: Arc<dyn AuditLog>) -> (TestBackend, Host, Backend) {
    let test = TestBackend::new();
    let host = Host::builder().config(Config::default()).audit(log);
    let host = host.build().unwrap();
    host.register(BACKEND, test.registration()).unwrap();
    let options = CallOptions::new().actor("ci").owner("ann").group("lab");
    let options = options.request_id("r-1");
    let backend = host.backend(BACKEND).await.unwrap().with(options);
    (test, host, backend)
}

fn events(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn every_change_is_one_event() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let log = AuditFile::open(&file, true).unwrap();
    let (test, _host, backend) = recorded(Arc::new(log)).await;
    backend.upload(("a", "text")).await.unwrap();
    backend
        .upload(Upload::new("a", "x").create_only())
        .await
        .unwrap_err();
    backend.copy(("a", "b")).await.unwrap();
    backend.rename(("b", "c")).await.unwrap();
    backend
        .delete_many(DeleteMany::new(["c", "../x"]))
        .await
        .unwrap();
    let life = std::time::Duration::from_secs(60);
    let sign = SignUrl::new(holdall::Method::Get, "a", life);
    backend.signed_url(sign).await.unwrap_err();
    backend.delete(Delete::new("a")).await.unwrap();
    // Reads are not recorded.
    backend.exists("a").await.unwrap();
    backend.list("").await.unwrap();
    test.inject(Operation::Upload, Fault::pause());
    let mut dropped = Box::pin(backend.upload(("d", "text")));
    assert!(futures_util::poll!(&mut dropped).is_pending());
    drop(dropped);

    let events = events(&file);
    let seen: Vec<_> = events
        .iter()
        .map(|event| {
            assert_eq!(
                (&event["actor"], &event["request_id"]),
                (&"ci".into(), &"r-1".into())
            );
            assert_eq!(
                (&event["owner"], &event["group"]),
                (&"ann".into(), &"lab".into())
            );
            assert!(event["time_ms"].as_u64() > Some(0) && event["backend"] == BACKEND);
            let text = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
            [text("operation"), text("key"), text("to"), text("outcome")].join(" ")
        })
        .collect();
    assert_eq!(
        seen,
        [
            "upload a - ok",
            "upload a - precondition_failed",
            "copy a b ok",
            "rename b c ok",
            "delete_many c - ok",
            "delete_many ../x - invalid_key",
            "signed_url a - config_invalid",
            "delete a - ok",
            "upload d - dropped",
        ]
    );
    assert_eq!(events[0]["bytes"], 4);
}

#[derive(Debug)]
struct Full;

impl AuditLog for Full {
    fn record(&self, _: &AuditEvent<'_>) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(28))
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_answered_as_done() {
    let (_test, _host, backend) = recorded(Arc::new(Full)).await;
    let error = backend.upload(("a", "text")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = backend.upload(("../a", "text")).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::InvalidKey,
        "the operation's own error comes first"
    );
    assert!(backend.exists("a").await.unwrap());
}

const CHILD: &str = "HOLDALL_TEST_AUDIT_FILE";

/// Not a test of its own: the process that the next one kills.
#[tokio::test]
async fn uploads_until_killed() {
    let Ok(file) = std::env::var(CHILD) else {
        return;
    };
    let log = AuditFile::open(file.as_ref(), false).unwrap();
    let (_test, _host, backend) = recorded(Arc::new(log)).await;
    for number in 0.. {
        let key = format!("k{number}");
        backend.upload(Upload::new(&key, "text")).await.unwrap();
        println!("\nanswered {key}");
    }
}

#[test]
fn no_answered_change_is_missing_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let file = folder.path().join(format!("audit-{round}.jsonl"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "uploads_until_killed", "--nocapture"])
            .env(CHILD, &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut answered = Vec::new();
        for line in lines {
            if let Some(key) = line.unwrap().strip_prefix("answered ") {
                answered.push(key.to_owned());
            }
            // SIGKILL; what the pipe holds by then was answered too.
            if answered.len() == 50 + 37 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut recorded = text.lines().map(|line| {
            let event: Value = serde_json::from_str(line).expect("whole lines only");
            event["key"].as_str().unwrap().to_owned()
        });
        assert!(answered.len() >= 50);
        for key in answered {
            assert_eq!(recorded.next().as_ref(), Some(&key), "round {round}");
        }
    }
}

fn read(file: &Path) -> Config {
    let mut sources = Sources::default();
    sources.flags.config_file = Some(file.to_owned());
    Config::load(&sources).unwrap()
}

#[tokio::test]
async fn a_reload_opens_the_log_anew_and_does_not_end_it() {
    let folder = tempfile::tempdir().unwrap();
    let (config, log) = (
        folder.path().join("holdall.toml"),
        folder.path().join("a.jsonl"),
    );
    let write = |text: &str| std::fs::write(&config, text).unwrap();
    write("audit.file = 'a.jsonl'");
    let test = TestBackend::new();
    let host = Host::builder().config_file(&config).build().unwrap();
    host.register(BACKEND, test.registration()).unwrap();
    let backend = host.backend(BACKEND).await.unwrap();
    let keys = |file: &str| {
        let events = events(&folder.path().join(file));
        let keys = events
            .iter()
            .map(|event| event["key"].as_str().unwrap().to_owned());
        keys.collect::<Vec<_>>()
    };
    backend.upload(("a", "text")).await.unwrap();
    // Rotated.
    std::fs::rename(&log, folder.path().join("a.1.jsonl")).unwrap();
    backend.upload(("b", "text")).await.unwrap();
    host.reconfigure(read(&config)).unwrap();
    backend.upload(("c", "text")).await.unwrap();
    assert_eq!(
        (keys("a.1.jsonl"), keys("a.jsonl")),
        (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()])
    );
    // Another file.
    write("audit.file = 'b.jsonl'");
    host.reconfigure(read(&config)).unwrap();
    backend.upload(("d", "text")).await.unwrap();
    // A configuration that was cut, and files that cannot be opened: the old log goes on.
    for text in ["", "audit.file = 'missing/a.jsonl'", "audit.ledger = true"] {
        write(text);
        let error = host.reconfigure(read(&config)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{text}: {error:?}");
    }
    backend.upload(("e", "text")).await.unwrap();
    assert_eq!(keys("b.jsonl"), ["d", "e"]);
    assert_eq!(keys("a.jsonl"), ["c"]);
}

#[tokio::test]
async fn a_log_of_the_program_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (config, log) = (
        folder.path().join("holdall.toml"),
        folder.path().join("own.jsonl"),
    );
    let own = AuditFile::open(&log, false).unwrap();
    let (_test, host, backend) = recorded(Arc::new(own)).await;
    std::fs::write(&config, "audit.file = 'a.jsonl'").unwrap();
    host.reconfigure(read(&config)).unwrap();
    backend.upload(("a", "text")).await.unwrap();
    assert_eq!(events(&log).len(), 1);
    assert!(!folder.path().join("a.jsonl").exists());
}

#[test]
fn either_a_file_or_the_ledger_is_named() {
    for (text, expected) in [
        (
            "audit.sync = true",
            "audit.file: expected either a path or ledger = true, found nothing",
        ),
        (
            "audit = { file = 'a', ledger = true }",
            "audit.file: expected either a path or ledger = true, found both",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("holdall.toml");
        std::fs::write(&file, text).unwrap();
        let mut sources = Sources::default();
        sources.flags.config_file = Some(file);
        let problems = Config::load(&sources).unwrap_err().to_string();
        assert!(problems.contains(expected), "{problems}");
    }
}
