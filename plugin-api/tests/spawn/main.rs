//! `runtime: tokio_spawn`: operations run as tasks of the plugin's own tokio, and own what they use.
#![allow(
    unsafe_code,
    reason = "the caller's side of the boundary, as C would write it"
)]
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "a test"
)]

#[path = "../boundary/caller.rs"]
mod caller;

use caller::{Caller, Outcome, Pending};
use holdall_plugin_api::abi::grow::Grows;
use holdall_plugin_api::abi::{answer, request};
use holdall_plugin_api::{
    Delete, Deleted, Download, Downloaded, Error, Host, Key, Result, SignUrl, Signing,
    StorageBackend, Upload, Uploaded,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub struct Config {}

static BEGUN: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Lives as long as an operation that hangs; only one test has such.
struct Hanging;

impl Hanging {
    fn new() -> Self {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        Hanging
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::SeqCst);
    }
}

pub struct Spawning(Host);

impl StorageBackend for Spawning {
    type Config = Config;

    async fn open(_: Config, host: Host) -> Result<Self> {
        Ok(Spawning(host))
    }
    async fn upload(&self, mut upload: Upload<'_>) -> Result<Uploaded> {
        while let Some(chunk) = upload.body.chunk().await {
            chunk?;
        }
        Ok(Uploaded::new(upload.body.seen()))
    }
    async fn download(&self, _: Download<'_>) -> Result<Downloaded> {
        Err(Error::not_found())
    }
    async fn delete(&self, _: Delete<'_>) -> Result<Deleted> {
        Ok(Deleted::new(None))
    }
    async fn exists(&self, key: &Key) -> Result<bool> {
        let _hanging = (key.text() == "hang").then(Hanging::new);
        let thread = std::thread::current();
        assert_eq!(
            thread.name(),
            Some("holdall-plugin"),
            "on the plugin's own runtime"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
        match key.text() {
            "panic" => panic!("told to"),
            // After a pause, so in another poll than that which began it.
            "named" => {
                let call = self.0.call().unwrap_or_default();
                Ok(call.request_id.as_deref() == Some("request-7") && !call.cancelled)
            }
            "hang" => std::future::pending().await,
            text => Ok(text == "a key that its caller frees while the task runs"),
        }
    }
    async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
        Ok(Signing::AtGateway)
    }
}

holdall_plugin_api::export_plugin! {
    backend: Spawning,
    name: "spawning",
    schemes: ["spawning"],
    runtime: tokio_spawn,
    operations: [],
    capabilities: [],
    config_schema: "tests/spawn/config.schema.json",
}

fn wait<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "nothing happens"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn end<O: Grows>(mut pending: Pending<O>) -> Outcome<O> {
    let mut seen = 0;
    loop {
        wait(|| (pending.wakes() > seen).then_some(()));
        seen = pending.wakes();
        match pending.poll() {
            Outcome::Pending(again) => pending = again,
            outcome => return outcome,
        }
    }
}

#[test]
fn a_task_owns_its_arguments() {
    let caller = Caller::open(&PLUGIN, "{}").unwrap();
    let name = String::from("a key that its caller frees while the task runs");
    let mut args = request::write_exists(Key::new(&name));
    let outcome = caller.call(caller.ops.start_exists, args.raw());
    drop(args);
    drop(name);
    let Outcome::Pending(pending) = outcome else {
        panic!("{}", outcome.name())
    };
    assert!(matches!(end(pending), Outcome::Ready(out) if answer::read_exists(&out)));
}

#[test]
fn a_panic_in_a_task_is_the_operation_s() {
    let caller = Caller::open(&PLUGIN, "{}").unwrap();
    let mut args = request::write_exists(Key::new("panic"));
    let Outcome::Pending(pending) = caller.call(caller.ops.start_exists, args.raw()) else {
        panic!("pending")
    };
    let Outcome::Panicked(error) = end(pending) else {
        panic!("panics")
    };
    assert_eq!(
        error.cause().map(|cause| cause.text.as_str()),
        Some("told to")
    );
}

#[test]
fn a_task_knows_its_request() {
    let caller = Caller::open(&PLUGIN, "{}").unwrap();
    let mut args = request::write_exists(Key::new("named"));
    let Outcome::Pending(pending) = caller.call(caller.ops.start_exists, args.raw()) else {
        panic!("pending")
    };
    assert!(matches!(end(pending), Outcome::Ready(out) if answer::read_exists(&out)));
}

#[test]
fn dropping_an_operation_ends_its_task() {
    let caller = Caller::open(&PLUGIN, "{}").unwrap();
    let mut args = request::write_exists(Key::new("hang"));
    let Outcome::Pending(pending) = caller.call(caller.ops.start_exists, args.raw()) else {
        panic!("pending")
    };
    wait(|| (BEGUN.load(Ordering::SeqCst) == 1).then_some(()));
    assert_eq!(DROPPED.load(Ordering::SeqCst), 0);
    drop(pending);
    wait(|| (DROPPED.load(Ordering::SeqCst) == 1).then_some(()));
}

#[test]
fn bodies_reach_the_task() {
    let caller = Caller::open(&PLUGIN, "{}").unwrap();
    let mut args = request::write_upload(Upload::new("a", "some bytes"));
    // The task may be quicker than the first look at it.
    let out = match caller.call(caller.ops.start_upload, args.raw()) {
        Outcome::Pending(pending) => match end(pending) {
            Outcome::Ready(out) => out,
            other => panic!("{}", other.name()),
        },
        Outcome::Ready(out) => out,
        other => panic!("{}", other.name()),
    };
    // SAFETY: R6: filled by the plugin, read once.
    assert_eq!(unsafe { answer::read_uploaded(&out) }.unwrap().size, 10);
}
