//! Opening, state and end of an instance.

use super::Local;
use crate::config::LocalConfig;
use crate::engine::current::Current;
use crate::engine::platform::RESOLVES_PATHS;
use crate::engine::store::{Options, Unwritable};
use crate::error::{from_fault, from_join};
use crate::instance::capabilities_of;
use holdall_plugin_api::{Error, ErrorKind, Health, Host, Level, Result, Usage};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;

/// Number of times that `shutdown` checks whether its jobs have ended; it does not wait for those
/// that hang.
const SHUTDOWN_CHECKS: u32 = 200;
const SHUTDOWN_PAUSE: Duration = Duration::from_millis(5);

pub(super) async fn open(config: LocalConfig, host: Host) -> Result<Local> {
    if config.root.as_os_str().is_empty() {
        return Err(Error::new(ErrorKind::ConfigInvalid)
            .with_message("`root` is empty: expected the path of a directory")
            .with_fact("root", "empty"));
    }
    let LocalConfig {
        root,
        durability,
        create_root,
        max_upload_seconds,
    } = config;
    let options = Options {
        create: create_root,
        // A trial of this plugin by a host, in a process of its own.
        untouched: std::env::var_os("HOLDALL_TRIAL").is_some(),
        upload_age: Some(Duration::from_secs(max_upload_seconds.get().into())),
        ..Options::default()
    };
    let path = root.clone();
    let opened = spawn_blocking(move || Current::open(&path, options))
        .await
        .map_err(from_join)?;
    let current = opened.map_err(|fault| {
        let error = from_fault(fault);
        let shown = root.display();
        let text = format!("root \"{shown}\": {}", error.message());
        error.with_message(text).with_fact("root", shown)
    })?;
    let store = current.store();
    let note = |level, text: std::fmt::Arguments<'_>| host.log(level, text);
    if store.swept > 0 {
        let swept = store.swept;
        note(
            Level::Info,
            format_args!("removed {swept} files of killed processes"),
        );
    }
    if let Some(unwritable) = store.unwritable() {
        let (reason, path) = (reason(unwritable), store.path().display());
        note(
            Level::Warn,
            format_args!("{reason}: root {path} is open for reading and deleting only"),
        );
    }
    if RESOLVES_PATHS && !store.tree.kernel_walk() {
        note(
            Level::Info,
            format_args!("openat2 is missing or forbidden: paths are walked by segments"),
        );
    }
    // At the size of the store, so not while something waits for it.
    if store.sweep_is_due() {
        let swept = Arc::clone(&store);
        drop(spawn_blocking(move || swept.sweep()));
    }
    Ok(Local {
        claimed: capabilities_of(&store),
        current: Arc::new(current),
        durability,
        host,
    })
}

pub(super) async fn health(local: &Local) -> Result<Health> {
    let current = Arc::clone(&local.current);
    let looked = spawn_blocking(move || {
        current.store().space()?;
        current.retry_writing();
        Ok(current.store())
    });
    let store = match looked.await.map_err(from_join)?.map_err(from_fault) {
        Ok(store) => store,
        Err(error) => return Ok(Health::down(error.to_string())),
    };
    // The host opens a failed instance again, which is the way to claim more.
    if !local.claimed.contains(capabilities_of(&store)) {
        return Ok(Health::down(
            "the root can be written now: the backend is opened again",
        ));
    }
    // Reading works, so that is a fact and not a failure.
    let mut health = Health::up();
    if let Some(unwritable) = store.unwritable() {
        health.message = reason(unwritable).to_owned();
    }
    Ok(health)
}

pub(super) async fn usage(local: &Local) -> Result<Usage> {
    let space = local.job(|store| store.space()).await?;
    let mut usage = Usage::default();
    usage.used = Some(space.used);
    usage.free = Some(space.free);
    usage.total = Some(space.total);
    Ok(usage)
}

pub(super) async fn shutdown(local: &Local) -> Result<()> {
    let store = local.store();
    store.close();
    // A dropped upload leaves a job that holds the store. A process that ends before that job
    // leaves its staging directory to the next sweep.
    for _ in 0..SHUTDOWN_CHECKS {
        // One is `current`'s, one is ours.
        if Arc::strong_count(&store) <= 2 {
            break;
        }
        tokio::time::sleep(SHUTDOWN_PAUSE).await;
    }
    Ok(())
}

/// Why a root takes no new objects: a word to find, then the cause.
fn reason(unwritable: Unwritable) -> &'static str {
    match unwritable {
        Unwritable::ReadOnly => "read_only: the file system is mounted read-only",
        Unwritable::Denied => "read_only: this process may not write to the root",
        Unwritable::Full => "full: the file system or its quota takes no new objects",
    }
}
