//! A plugin that misbehaves on demand.
//!
//! Keys are strings to pull: `panic` panics in the operation that is asked, `panic-drop` when its
//! future is dropped, `panic-task` in a task of the plugin's runtime, `panic-stream` in the middle of
//! a download, `hang` never answers, `slow-200` answers after so many milliseconds, `log` writes to
//! the log, `log-levels` on every level, and `tell-...` tells its secret: in an error, in the log, in
//! a panic, in a stream. `thread-local`, `background` and `escaped-waker` leave something behind that
//! outlives the call: a destructor of the caller's thread, a thread, a waker. Anything else works.
#![forbid(unsafe_code)]

use bytes::Bytes;
use holdall_plugin_api::{
    Body, Copied, Copy, Custom, Delete, DeleteMany, Deleted, Download, Downloaded, Error,
    ErrorKind, Head, Health, Host, Instance, Key, List, ObjectInfo, Page, ProviderReply, Rename,
    Renamed, Result, SignUrl, Signing, StorageBackend, Upload, Uploaded, Usage,
};
use serde::Deserialize;
use std::cell::RefCell;
use std::fmt;
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
    /// What it should keep to itself, and does not.
    #[cfg_attr(test, schemars(extend("x-secret" = true)))]
    pub secret: String,
    /// Fails to open, and tells its secret as the reason.
    pub tell_when_opening: bool,
}

static OPENS: AtomicU64 = AtomicU64::new(0);
static FAILURES: AtomicU64 = AtomicU64::new(0);
static REFUSALS: AtomicU64 = AtomicU64::new(0);

/// How often a value was formatted for a log.
static FORMATTED: AtomicU64 = AtomicU64::new(0);

/// Counts how often it is formatted.
struct Counted;

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FORMATTED.fetch_add(1, Ordering::SeqCst);
        f.write_str("counted")
    }
}

/// Destructors of threads that ran.
static LOCALS: AtomicU64 = AtomicU64::new(0);
/// Signs of life of the thread that stays.
static TICKS: AtomicU64 = AtomicU64::new(0);
/// Wakers that were used after their operation had been dropped.
static WOKEN: AtomicU64 = AtomicU64::new(0);

/// Something on the heap that ends with its thread, whoever's thread it is.
struct Local(Vec<u8>);

impl Drop for Local {
    fn drop(&mut self) {
        LOCALS.fetch_add(
            self.0.iter().map(|byte| u64::from(*byte)).sum(),
            Ordering::SeqCst,
        );
    }
}

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// Never ready; its waker is used again when the operation has long been dropped.
async fn escaped_waker() {
    let (gone, wait) = std::sync::mpsc::channel::<()>();
    let mut wait = Some(wait);
    std::future::poll_fn(move |cx| {
        let _held_until_dropped = &gone;
        if let Some(wait) = wait.take() {
            let waker = cx.waker().clone();
            std::thread::spawn(move || {
                // An error: the other end has been dropped, together with the operation.
                let _ = wait.recv();
                std::thread::sleep(Duration::from_millis(20));
                waker.wake_by_ref();
                drop(waker.clone());
                waker.wake();
                WOKEN.fetch_add(1, Ordering::SeqCst);
            });
        }
        std::task::Poll::<()>::Pending
    })
    .await;
}

/// The backend.
#[derive(Debug)]
pub struct Puppet {
    host: Host,
    secret: String,
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
            "thread-local" => LOCAL.set(Some(Local(vec![1]))),
            "background" => drop(std::thread::spawn(|| {
                loop {
                    TICKS.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(1));
                }
            })),
            "escaped-waker" => escaped_waker().await,
            "log" => {
                tracing::error!(answer = 42, "an error of the puppet");
                tracing::debug!("a detail of the puppet");
                self.host
                    .log(holdall_plugin_api::Level::Warn, "a warning of the puppet");
            }
            "log-levels" => {
                let _span = tracing::info_span!("outer", id = 7).entered();
                tracing::error!(counted = ?Counted, "level error");
                tracing::warn!(counted = ?Counted, "level warn");
                tracing::info!(counted = ?Counted, "level info");
                tracing::debug!(counted = ?Counted, "level debug");
                tracing::trace!(counted = ?Counted, "level trace");
            }
            "tell-error" => return Err(tell(&self.secret)),
            "tell-log" => {
                let secret = &self.secret;
                let _span = tracing::info_span!("telling", secret).entered();
                tracing::error!(secret, "told: {secret}");
                tracing::warn!("told: {secret}");
                tracing::info!(escaped = ?secret, "told");
                tracing::debug!("told: {secret}");
                tracing::trace!("told: {secret}");
                let line = format!("told: {secret}");
                self.host.log(holdall_plugin_api::Level::Warn, line);
            }
            "tell-panic" => panic!("told: {}", self.secret),
            "tell-task" => {
                let secret = self.secret.clone();
                let task = tokio::spawn(async move { panic!("told: {secret}") });
                while !task.is_finished() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// An error with the secret in every text that an error has.
fn tell(secret: &str) -> Error {
    let inner = std::io::Error::other(format!("inner: {secret}"));
    Error::new(ErrorKind::Other)
        .message(format!("told: {secret}"))
        .with_code(format!("code-{secret}"))
        .fact("told", secret)
        .fact(format!("name-{secret}"), "told")
        .with_provider(ProviderReply {
            status: Some(400),
            code: Some(secret.to_owned()),
            request_id: Some(secret.to_owned()),
        })
        .because(std::io::Error::other(inner))
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
        if config.tell_when_opening {
            return Err(tell(&config.secret));
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
            secret: config.secret,
        })
    }

    fn instance(&self) -> Instance {
        Instance::new(format!(
            "puppet {}, which knows {:?}",
            self.number, self.secret
        ))
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
        if key == "tell-stream" {
            let told = futures_util::stream::iter([
                Ok(Bytes::from_static(b"abc")),
                Err(tell(&self.secret)),
            ]);
            return Ok(Downloaded::new(
                ObjectInfo::new(9),
                0..9,
                Body::stream(told),
            ));
        }
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
        match self.secret.is_empty() {
            true => Ok(Health::up()),
            false => Ok(Health::down(format!("told: {}", self.secret))),
        }
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
    /// `formatted`: how often a value of `log-levels` was formatted; `locals`, `ticks`, `woken`: what
    /// became of what was left behind; anything else is a string to pull.
    async fn custom(&self, custom: Custom<'_>) -> Result<Bytes> {
        match custom.name {
            "opens" => Ok(OPENS.load(Ordering::SeqCst).to_string().into()),
            "formatted" => Ok(FORMATTED.load(Ordering::SeqCst).to_string().into()),
            "number" => Ok(self.number.to_string().into()),
            "locals" => Ok(LOCALS.load(Ordering::SeqCst).to_string().into()),
            "ticks" => Ok(TICKS.load(Ordering::SeqCst).to_string().into()),
            "woken" => Ok(WOKEN.load(Ordering::SeqCst).to_string().into()),
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
