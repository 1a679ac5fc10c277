//! A plugin that misbehaves on demand.
//!
//! Keys are strings to pull: `panic` panics in the operation that is asked, `panic-drop` when its
//! future is dropped, `panic-task` in a task of the plugin's runtime, `panic-stream` in the middle of
//! a download, `hang` never answers, `slow-200` answers after so many milliseconds, `log` writes to
//! the log. Anything else works.
#![forbid(unsafe_code)]

use bytes::Bytes;
use holdall_plugin_api::{
    Body, Copied, Copy, Custom, Delete, DeleteMany, Deleted, Download, Downloaded, Error,
    ErrorKind, Head, Health, Host, Key, List, ObjectInfo, Page, Rename, Renamed, Result, SignUrl,
    Signing, StorageBackend, Upload, Uploaded, Usage,
};
use serde::Deserialize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How it opens.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Panics while opening.
    pub panic: bool,
    /// Never opens.
    pub hang: bool,
    /// Fails to open, so many times.
    pub fail: u64,
    /// Says that its credentials are refused, so many times after it was opened.
    pub unauthenticated: u64,
    /// Takes so many milliseconds to open.
    pub slow_ms: u64,
    /// Panics in this operation without a key: `health`, `usage` or `shutdown`.
    pub panic_in: String,
}

static OPENS: AtomicU64 = AtomicU64::new(0);
static FAILURES: AtomicU64 = AtomicU64::new(0);
static REFUSALS: AtomicU64 = AtomicU64::new(0);

/// The backend.
#[derive(Debug)]
pub struct Puppet {
    host: Host,
    number: u64,
    refuse: u64,
    panic_in: String,
}

struct PanicOnDrop;

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("puppet: in a drop");
        }
    }
}

impl Puppet {
    fn keyless(&self, operation: &str) {
        if self.panic_in == operation {
            panic!("puppet: told to");
        }
    }

    /// Pulls the string.
    async fn pull(&self, key: &str) -> Result<()> {
        if REFUSALS.load(Ordering::SeqCst) < self.refuse {
            REFUSALS.fetch_add(1, Ordering::SeqCst);
            return Err(Error::new(ErrorKind::Unauthenticated));
        }
        if let Some(ms) = key.strip_prefix("slow-") {
            tokio::time::sleep(Duration::from_millis(ms.parse().unwrap_or(0))).await;
            return Ok(());
        }
        match key {
            "panic" => panic!("puppet: told to"),
            "panic-late" => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                panic!("puppet: told to, late")
            }
            "panic-payload" => std::panic::panic_any(7u32),
            "panic-drop" => {
                let guard = PanicOnDrop;
                std::future::pending::<()>().await;
                drop(guard);
            }
            "panic-task" => {
                let task = tokio::spawn(async { panic!("puppet: in a task") });
                while !task.is_finished() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            "panic-thread" => {
                let _ = std::thread::spawn(|| panic!("puppet: in a thread")).join();
            }
            "hang" => std::future::pending::<()>().await,
            "log" => {
                tracing::error!(answer = 42, "an error of the puppet");
                tracing::debug!("a detail of the puppet");
                self.host
                    .log(holdall_plugin_api::Level::Warn, "a warning of the puppet");
            }
            _ => {}
        }
        Ok(())
    }
}

impl StorageBackend for Puppet {
    type Config = Config;

    async fn open(config: Config, host: Host) -> Result<Self> {
        let number = OPENS.fetch_add(1, Ordering::SeqCst) + 1;
        if config.panic {
            panic!("puppet: while opening");
        }
        if config.hang {
            std::future::pending::<()>().await;
        }
        if config.slow_ms > 0 {
            tokio::time::sleep(Duration::from_millis(config.slow_ms)).await;
        }
        if FAILURES.load(Ordering::SeqCst) < config.fail {
            FAILURES.fetch_add(1, Ordering::SeqCst);
            return Err(Error::new(ErrorKind::Unavailable).message("the puppet does not open yet"));
        }
        Ok(Puppet {
            host,
            number,
            refuse: config.unauthenticated,
            panic_in: config.panic_in,
        })
    }

    async fn upload(&self, mut upload: Upload<'_>) -> Result<Uploaded> {
        self.pull(upload.key.text()).await?;
        while let Some(chunk) = upload.body.chunk().await {
            chunk?;
        }
        Ok(Uploaded::new(upload.body.seen()))
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        let key = download.key.text();
        self.pull(key).await?;
        let chunks = futures_util::stream::iter(0..3).then_panic(key == "panic-stream");
        Ok(Downloaded::new(
            ObjectInfo::new(9),
            0..9,
            Body::stream(chunks),
        ))
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        self.pull(delete.key.text()).await?;
        Ok(Deleted::new(None))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.pull(key.text()).await?;
        Ok(true)
    }

    async fn signed_url(&self, sign: SignUrl<'_>) -> Result<Signing> {
        self.pull(sign.key.text()).await?;
        Ok(Signing::AtGateway)
    }

    async fn head(&self, head: Head<'_>) -> Result<ObjectInfo> {
        self.pull(head.key.text()).await?;
        Ok(ObjectInfo::new(9))
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        self.pull(list.prefix).await?;
        Ok(Page::default())
    }

    async fn copy(&self, copy: Copy<'_>) -> Result<Copied> {
        self.pull(copy.from.text()).await?;
        Ok(Copied::default())
    }

    async fn rename(&self, rename: Rename<'_>) -> Result<Renamed> {
        self.pull(rename.from.text()).await?;
        Ok(Renamed::new(true))
    }

    async fn delete_many(&self, delete: DeleteMany<'_>) -> Result<Vec<Result<Deleted>>> {
        for key in &delete.keys {
            self.pull(key.text()).await?;
        }
        Ok(delete.keys.iter().map(|_| Ok(Deleted::new(None))).collect())
    }

    async fn health(&self) -> Result<Health> {
        self.keyless("health");
        Ok(Health::up())
    }

    async fn usage(&self) -> Result<Usage> {
        self.keyless("usage");
        Ok(Usage::default())
    }

    async fn shutdown(&self) -> Result<()> {
        self.keyless("shutdown");
        Ok(())
    }

    /// `opens`: how often the plugin was opened in this process; `number`: which opening this is;
    /// anything else is a string to pull.
    async fn custom(&self, custom: Custom<'_>) -> Result<Bytes> {
        match custom.name {
            "opens" => Ok(OPENS.load(Ordering::SeqCst).to_string().into()),
            "number" => Ok(self.number.to_string().into()),
            string => self.pull(string).await.map(|()| Bytes::new()),
        }
    }
}

/// Three chunks of three bytes, or a panic after the first.
trait ThenPanic {
    fn then_panic(
        self,
        panics: bool,
    ) -> impl futures_util::Stream<Item = Result<Bytes>> + Send + 'static;
}

impl<S: futures_util::Stream<Item = i32> + Send + 'static> ThenPanic for S {
    fn then_panic(
        self,
        panics: bool,
    ) -> impl futures_util::Stream<Item = Result<Bytes>> + Send + 'static {
        futures_util::StreamExt::map(self, move |index| {
            if panics && index == 1 {
                panic!("puppet: in a stream");
            }
            Ok(Bytes::from_static(b"abc"))
        })
    }
}

holdall_plugin_api::export_plugin! {
    backend: Puppet,
    name: "puppet",
    schemes: ["puppet"],
    runtime: tokio,
    operations: [head, list, copy, rename, delete_many, health, usage, shutdown, custom],
    capabilities: [atomic_put, unknown_length, server_copy, atomic_move, usage, sign_get, custom],
    config_schema: "config.schema.json",
}
