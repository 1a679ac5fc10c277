//! Audit events in the ledger, in SQLite; in PostgreSQL by `scripts/quotas`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall::config::{Config, Sources};
use holdall::{Backend, CallOptions, DeleteMany, Host, Operation};
use holdall_testing::{BACKEND, Fault, TestBackend};
use sqlx::{AnyPool, Row};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Address of the ledger: in PostgreSQL all tests share one.
fn address(folder: &Path) -> String {
    let file = || format!("sqlite:{}", folder.join("ledger.sqlite").display());
    std::env::var("HOLDALL_TEST_POSTGRES").unwrap_or_else(|_| file())
}

/// A backend whose changes are recorded in the ledger, by this actor.
async fn recorded(url: &str, actor: &str) -> (TestBackend, Host, Backend) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("holdall.toml");
    std::fs::write(
        &config,
        format!("audit.ledger = true\nledger.url = '{url}'"),
    )
    .unwrap();
    let mut sources = Sources::default();
    sources.flags.config_file = Some(config);
    let test = TestBackend::new();
    let host = Host::builder().config(Config::load(&sources).unwrap());
    let host = host.open_ledger(holdall_ledger::open).build().unwrap();
    host.register(BACKEND, test.registration()).unwrap();
    let options = CallOptions::new()
        .actor(actor)
        .owner("ann")
        .request_id("r-1");
    let backend = host.backend(BACKEND).await.unwrap().with(options);
    (test, host, backend)
}

/// Operation, key and outcome of the events of an actor, as they came.
async fn events(url: &str, actor: &str) -> Vec<String> {
    sqlx::any::install_default_drivers();
    let url = match url.starts_with("sqlite:") {
        true => format!("{url}?mode=rwc"),
        false => url.to_owned(),
    };
    let pool = AnyPool::connect(&url).await.unwrap();
    let order = match url.starts_with("sqlite:") {
        true => "rowid",
        false => "number",
    };
    let sql = format!(
        "SELECT operation, key, outcome, owner, request_id FROM audit WHERE actor = $1 ORDER BY {order}"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(actor)
        .fetch_all(&pool)
        .await
        .unwrap();
    let rows = rows.iter().map(|row| {
        let text = |at: usize| row.get::<String, _>(at);
        assert_eq!((text(3), text(4)), ("ann".to_owned(), "r-1".to_owned()));
        [text(0), text(1), text(2)].join(" ")
    });
    rows.collect()
}

fn actor(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

#[tokio::test]
async fn every_change_is_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let (url, actor) = (address(folder.path()), actor("every"));
    let (test, _host, backend) = recorded(&url, &actor).await;
    backend.upload(("a", "text")).await.unwrap();
    backend.copy(("a", "b")).await.unwrap();
    let many = DeleteMany::new(["b", "../x"]);
    backend.delete_many(many).await.unwrap();
    backend.delete("a").await.unwrap();
    backend.exists("a").await.unwrap();
    test.inject(Operation::Upload, Fault::pause());
    let mut dropped = Box::pin(backend.upload(("d", "text")));
    assert!(futures_util::poll!(&mut dropped).is_pending());
    drop(dropped);
    // Nothing waits for that one.
    for _ in 0..500 {
        if events(&url, &actor).await.len() == 6 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        events(&url, &actor).await,
        [
            "upload a ok",
            "copy a ok",
            "delete_many b ok",
            "delete_many ../x invalid_key",
            "delete a ok",
            "upload d dropped",
        ]
    );
}

const CHILD: &str = "HOLDALL_TEST_AUDIT_LEDGER";

/// Not a test of its own: the process that the next one kills.
#[tokio::test]
async fn uploads_until_killed() {
    let Ok(url) = std::env::var(CHILD) else {
        return;
    };
    let actor = actor("killed");
    let (_test, _host, backend) = recorded(&url, &actor).await;
    println!("\nactor {actor}");
    for number in 0.. {
        let key = format!("k{number}");
        backend.upload((&*key, "text")).await.unwrap();
        println!("\nanswered {key}");
    }
}

#[tokio::test]
async fn no_answered_change_is_missing_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let url = match std::env::var("HOLDALL_TEST_POSTGRES") {
            Ok(url) => url,
            Err(_) => format!(
                "sqlite:{}",
                folder.path().join(format!("{round}.sqlite")).display()
            ),
        };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "uploads_until_killed", "--nocapture"])
            .env(CHILD, &url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut answered, mut actor) = (Vec::new(), String::new());
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some(name) = line.strip_prefix("actor ") {
                actor = name.to_owned();
            }
            if let Some(key) = line.strip_prefix("answered ") {
                answered.push(format!("upload {key} ok"));
            }
            // SIGKILL; what the pipe holds by then was answered too.
            if answered.len() == 20 + 13 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let recorded = events(&url, &actor).await;
        assert!(answered.len() >= 20 && recorded.len() >= answered.len());
        assert_eq!(recorded[..answered.len()], answered, "round {round}");
    }
}
