//! A backend that does what a key tells it to.

use holdall_plugin_api::{
    Body, Bytes, Custom, Delete, DeleteMany, Deleted, Download, Downloaded, Entry, Error,
    ErrorKind, Head, Host, Key, List, ObjectInfo, Page, Result, SignUrl, Signing, StorageBackend,
    Trailers, Upload, Uploaded,
};
use schemars::JsonSchema;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

/// What happened in this thread.
#[derive(Default)]
pub struct Events {
    futures_dropped: Cell<usize>,
    backends_dropped: Cell<usize>,
    kept: RefCell<Option<Bytes>>,
    trailers: Cell<Option<Trailers>>,
    options: RefCell<Option<String>>,
    request_id: RefCell<Option<String>>,
    cancelled: Cell<bool>,
}

thread_local! {
    pub static EVENTS: Events = Events::default();
}

impl Events {
    pub fn futures_dropped(&self) -> usize {
        self.futures_dropped.get()
    }
    pub fn backends_dropped(&self) -> usize {
        self.backends_dropped.get()
    }
    pub fn seen_address(&self) -> usize {
        self.kept
            .borrow()
            .as_ref()
            .map_or(0, |bytes| bytes.as_ptr().addr())
    }
    pub fn trailers(&self) -> Option<Trailers> {
        self.trailers.get()
    }
    pub fn options(&self) -> Option<String> {
        self.options.borrow().clone()
    }
    pub fn request_id(&self) -> Option<String> {
        self.request_id.borrow().clone()
    }
    pub fn was_cancelled(&self) -> bool {
        self.cancelled.get()
    }
}

#[derive(Deserialize, JsonSchema)]
pub struct Config {
    #[serde(rename = "mode")]
    _mode: String,
}

pub struct Puppet {
    host: Host,
}

impl Drop for Puppet {
    fn drop(&mut self) {
        EVENTS.with(|events| {
            events
                .backends_dropped
                .set(events.backends_dropped.get() + 1)
        });
    }
}

/// Pending once, waking its caller through a clone of the waker.
#[derive(Default)]
struct Once(bool);

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        let owned = cx.waker().clone();
        std::thread::spawn(move || owned.wake())
            .join()
            .expect("the waker may be used from any thread");
        Poll::Pending
    }
}

struct CountDrop;

impl Drop for CountDrop {
    fn drop(&mut self) {
        EVENTS.with(|events| events.futures_dropped.set(events.futures_dropped.get() + 1));
    }
}

struct PanicDrop;

impl Drop for PanicDrop {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in a drop");
        }
    }
}

/// A body that counts itself.
pub fn counted_body() -> (Body, Arc<AtomicUsize>) {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    impl futures_core::Stream for Counted {
        type Item = Result<Bytes>;
        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(None)
        }
    }
    let alive = Arc::new(AtomicUsize::new(1));
    (Body::stream(Counted(alive.clone())), alive)
}

pub fn rich_info() -> ObjectInfo {
    let text = |text: &str| Some(text.to_owned());
    let mut info = ObjectInfo::new(7);
    info.etag = text("etag");
    info.version = text("v1");
    info.last_modified = Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_234_567_891));
    info.content_type = text("text/plain");
    info.cache_control = text("");
    info.content_disposition = text("inline");
    info.content_encoding = text("gzip");
    info.content_language = text("de");
    info.metadata = vec![("a".into(), "1".into()), ("b".into(), "é".into())];
    info.checksums.crc32c = Some(1);
    info.checksums.sha256 = Some([2; 32]);
    info.url = text("https://x");
    info
}

pub fn rich_page(prefix: &str, limit: u32) -> Page {
    let mut page = Page::default();
    for index in 0..3 {
        let mut entry = Entry::new(format!("{prefix}/{index}"), index);
        entry.etag = (index != 1).then(|| format!("e{index}"));
        entry.last_modified = (index != 2).then_some(SystemTime::UNIX_EPOCH);
        page.entries.push(entry);
    }
    page.common_prefixes = vec!["x/".into(), format!("{limit}/")];
    page.next = Some("more".into());
    page.skipped = 4;
    page
}

impl StorageBackend for Puppet {
    type Config = Config;

    async fn open(_: Config, host: Host) -> Result<Self> {
        Ok(Puppet { host })
    }

    async fn upload(&self, mut upload: Upload<'_>) -> Result<Uploaded> {
        match upload.key.text() {
            "fail" => return Err(Error::not_found()),
            "panic" => panic!("told to"),
            _ => {}
        }
        let options = (!upload.is_plain()).then(|| format!("{:?}", upload.options()));
        EVENTS.with(|events| *events.options.borrow_mut() = options);
        while let Some(chunk) = upload.body.chunk().await {
            let chunk = chunk?;
            EVENTS.with(|events| *events.kept.borrow_mut() = Some(chunk.into()));
        }
        EVENTS.with(|events| events.trailers.set(upload.body.trailers()));
        Ok(Uploaded::new(upload.body.seen()))
    }

    async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
        match download.key.text() {
            "keep" => {
                let bytes = EVENTS.with(|events| events.kept.borrow().clone()).unwrap();
                let size = bytes.len() as u64;
                Ok(Downloaded::new(
                    ObjectInfo::new(size),
                    0..size,
                    Body::once(bytes),
                ))
            }
            "panicking-stream" => {
                struct Panics;
                impl futures_core::Stream for Panics {
                    type Item = Result<Bytes>;
                    fn poll_next(
                        self: Pin<&mut Self>,
                        _: &mut Context<'_>,
                    ) -> Poll<Option<Self::Item>> {
                        panic!("told to")
                    }
                }
                Ok(Downloaded::new(
                    ObjectInfo::new(1),
                    0..1,
                    Body::stream(Panics),
                ))
            }
            _ => Err(Error::not_found()
                .with_fact("why", "because")
                .because(std::io::Error::other("the root"))),
        }
    }

    async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
        if delete.key.text() == "pending" {
            Once::default().await;
        }
        Ok(Deleted::new(None))
    }

    #[allow(
        clippy::manual_async_fn,
        reason = "one branch panics before there is a future"
    )]
    fn exists(&self, key: &Key) -> impl Future<Output = Result<bool>> + Send {
        if key.text() == "panic-early" {
            panic!("told to");
        }
        async move {
            match key.text() {
                "panic" => panic!("told to"),
                "no" => return Ok(false),
                "pending" => Once::default().await,
                "pending-guard" => {
                    let _guard = CountDrop;
                    Once::default().await;
                }
                "large" | "large-guard" => {
                    let large = [1u8; 1024];
                    let _guard = (key.text() == "large-guard").then_some(CountDrop);
                    Once::default().await;
                    assert_eq!(large.iter().map(|b| usize::from(*b)).sum::<usize>(), 1024);
                }
                "panic-later" => {
                    Once::default().await;
                    panic!("told to");
                }
                "panic-drop" => {
                    let _guard = PanicDrop;
                    Once::default().await;
                    std::mem::forget(_guard);
                }
                "call" => {
                    let call = self.host.call().unwrap();
                    assert_eq!(call.remaining, Some(Duration::from_secs(1)));
                    EVENTS.with(|events| *events.request_id.borrow_mut() = call.request_id);
                    EVENTS.with(|events| events.cancelled.set(call.cancelled));
                    Once::default().await;
                    let call = self.host.call().unwrap();
                    EVENTS.with(|events| events.cancelled.set(call.cancelled));
                }
                _ => {}
            }
            Ok(true)
        }
    }

    async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
        Ok(Signing::AtGateway)
    }

    async fn head(&self, _: Head<'_>) -> Result<ObjectInfo> {
        Ok(rich_info())
    }

    async fn list(&self, list: List<'_>) -> Result<Page> {
        assert_eq!(list.delimiter, Some("/"));
        Ok(rich_page(list.prefix, list.limit))
    }

    async fn delete_many(&self, delete: DeleteMany<'_>) -> Result<Vec<Result<Deleted>>> {
        Ok(delete
            .keys
            .iter()
            .map(|key| match key.text() {
                "missing" => Err(Error::new(ErrorKind::FileNotFound)),
                _ => Ok(Deleted::new(Some(true))),
            })
            .collect())
    }

    async fn custom(&self, custom: Custom<'_>) -> Result<Bytes> {
        if custom.name == "extension" {
            let name = String::from_utf8_lossy(&custom.payload).into_owned();
            let offered = self.host.extension(&name).is_some();
            return Ok(format!("{:?} {offered}", self.host.about()).into());
        }
        Ok([custom.name.as_bytes(), b":", &custom.payload]
            .concat()
            .into())
    }
}

holdall_plugin_api::export_plugin! {
    backend: Puppet,
    name: "puppet",
    schemes: ["puppet"],
    operations: [head, list, delete_many, custom],
    capabilities: [custom],
    config_schema: "tests/boundary/config.schema.json",
    extensions: extension,
}

/// A table of the plugin by its name (R18).
pub static OWN: [usize; 2] = [16, 9];

fn extension(name: &str) -> *const std::ffi::c_void {
    match name {
        "unstable.kit.own" => (&raw const OWN).cast(),
        "unstable.kit.panics" => panic!("in an extension"),
        _ => std::ptr::null(),
    }
}
