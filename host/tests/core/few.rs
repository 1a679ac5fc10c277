//! Plugins that take few operations at once: the host keeps the others outside.

use holdall::config::Config;
use holdall::{
    Backend, CallOptions, CopyObject, Download, ErrorKind, Host, Registration, Retry, Upload,
};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longer than anything takes here, however slow the machine.
const LONG: Duration = Duration::from_secs(120);

mod plugin {
    #![allow(
        unreachable_pub,
        clippy::unwrap_used,
        reason = "this is a test: what the macro exports is public, and a poisoned lock may end it"
    )]

    use holdall_plugin_api::{
        Body, Bytes, Delete, Deleted, Download, Downloaded, Error, Host, Key, ObjectInfo, Result,
        SignUrl, Signing, StorageBackend, Upload, Uploaded,
    };
    use schemars::JsonSchema;
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Deserialize, JsonSchema)]
    pub struct Config {}

    /// Who is inside, of both plugins apart.
    #[derive(Debug)]
    pub(super) struct House {
        inside: AtomicUsize,
        pub(super) most: AtomicUsize,
        pub(super) entered: AtomicUsize,
    }

    impl House {
        const fn new() -> Self {
            Self {
                inside: AtomicUsize::new(0),
                most: AtomicUsize::new(0),
                entered: AtomicUsize::new(0),
            }
        }

        fn enter(&'static self) -> Guest {
            self.entered.fetch_add(1, Ordering::SeqCst);
            let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(inside, Ordering::SeqCst);
            Guest(self)
        }
    }

    struct Guest(&'static House);

    impl Drop for Guest {
        fn drop(&mut self) {
            self.0.inside.fetch_sub(1, Ordering::SeqCst);
        }
    }

    pub(super) static ONE: House = House::new();
    pub(super) static TWO: House = House::new();

    /// In memory; stays inside over every `.await`, so that others could come in meanwhile.
    pub struct Few<const MOST: usize>(Mutex<BTreeMap<String, Bytes>>);

    impl<const MOST: usize> Few<MOST> {
        fn house() -> &'static House {
            if MOST == 1 { &ONE } else { &TWO }
        }

        /// The guest, which stays until the operation ends, whatever becomes of it.
        async fn enter() -> Guest {
            let guest = Self::house().enter();
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            guest
        }
    }

    impl<const MOST: usize> Drop for Few<MOST> {
        fn drop(&mut self) {
            let _guest = Self::house().enter();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    impl<const MOST: usize> StorageBackend for Few<MOST> {
        type Config = Config;

        async fn open(_: Config, _: Host) -> Result<Self> {
            let _guest = Self::enter().await;
            Ok(Self(Mutex::default()))
        }

        async fn upload(&self, mut upload: Upload<'_>) -> Result<Uploaded> {
            let _guest = Self::enter().await;
            let mut bytes = Vec::new();
            while let Some(chunk) = upload.body.chunk().await {
                bytes.extend_from_slice(&chunk?);
            }
            let uploaded = Uploaded::new(bytes.len() as u64);
            let mut objects = self.0.lock().unwrap();
            objects.insert(upload.key.text().to_owned(), bytes.into());
            Ok(uploaded)
        }

        async fn download(&self, download: Download<'_>) -> Result<Downloaded> {
            let guest = Self::enter().await;
            let bytes = self.0.lock().unwrap().get(download.key.text()).cloned();
            let bytes = bytes.ok_or_else(Error::not_found)?;
            let info = ObjectInfo::new(bytes.len() as u64);
            let range = 0..info.size;
            // The body stays inside too.
            let chunks = futures_util::stream::unfold((bytes, guest), |(mut bytes, guest)| async {
                if bytes.is_empty() {
                    return None;
                }
                tokio::task::yield_now().await;
                let chunk = bytes.split_to(1);
                Some((Ok(chunk), (bytes, guest)))
            });
            Ok(Downloaded::new(info, range, Body::stream(Box::pin(chunks))))
        }

        async fn delete(&self, delete: Delete<'_>) -> Result<Deleted> {
            let _guest = Self::enter().await;
            let removed = self.0.lock().unwrap().remove(delete.key.text());
            Ok(Deleted::new(Some(removed.is_some())))
        }

        async fn exists(&self, key: &Key) -> Result<bool> {
            let _guest = Self::enter().await;
            if key.text() == "stuck" {
                std::future::pending::<()>().await;
            }
            Ok(self.0.lock().unwrap().contains_key(key.text()))
        }

        async fn signed_url(&self, _: SignUrl<'_>) -> Result<Signing> {
            Ok(Signing::AtGateway)
        }
    }

    pub mod one {
        holdall_plugin_api::export_plugin! {
            backend: super::Few<1>,
            name: "one-at-a-time",
            schemes: [],
            max_in_flight: 1,
            operations: [],
            capabilities: [atomic_put, unknown_length],
            config_schema: "tests/core/empty.schema.json",
        }
    }

    pub mod two {
        holdall_plugin_api::export_plugin! {
            backend: super::Few<2>,
            name: "two-at-a-time",
            schemes: [],
            max_in_flight: 2,
            operations: [],
            capabilities: [atomic_put, unknown_length],
            config_schema: "tests/core/empty.schema.json",
        }
    }
}

fn host() -> Host {
    Host::builder()
        .built_in(&plugin::one::PLUGIN)
        .built_in(&plugin::two::PLUGIN)
        .config(Config::default())
        .build()
        .expect("the host builds")
}

async fn backend(host: &Host, plugin: &str, max_wait: Duration) -> Backend {
    let registration = Registration::new(plugin).max_wait(max_wait);
    host.register(plugin, registration).expect("registers");
    host.backend(plugin).await.expect("opens")
}

/// Everything that enters a plugin, its ends by dropping too.
async fn a_visit(host: &Host, store: &Backend, number: usize) {
    let key = format!("k{number}");
    store.upload(Upload::new(&key, "abc")).await.unwrap();
    assert!(store.exists(&key).await.unwrap());
    let whole = store.download(Download::new(&key)).await.unwrap();
    assert_eq!(whole.body.collect(10).await.unwrap(), "abc");
    // A body that is dropped half read, and an operation whose caller goes away while it is inside.
    let mut half = store.download(Download::new(&key)).await.unwrap().body;
    half.chunk().await.unwrap().unwrap();
    drop(half);
    let stuck = store.with(CallOptions::new().timeout(Duration::from_millis(20)));
    let error = stuck.exists("stuck").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    // An instance of the same plugin, opened and ended.
    let other = format!("other-{number}");
    host.register(&other, Registration::new("one-at-a-time").max_wait(LONG))
        .unwrap();
    host.backend(&other).await.unwrap();
    assert!(host.remove(&other));
}

#[test]
fn a_plugin_of_single_entry_meets_one_of_64_threads_at_a_time() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let host = host();
    let store = runtime.block_on(backend(&host, "one-at-a-time", LONG));
    std::thread::scope(|scope| {
        for number in 0..64 {
            let (host, store, runtime) = (&host, &store, &runtime);
            scope.spawn(move || runtime.block_on(a_visit(host, store, number)));
        }
    });
    let house = &plugin::ONE;
    assert!(house.entered.load(Ordering::SeqCst) >= 64 * 5);
    assert_eq!(house.most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_comes_too_much_waits_or_is_refused_as_configured() {
    let host = host();
    let store = backend(&host, "two-at-a-time", LONG).await;
    store.upload(Upload::new("k", "ab")).await.unwrap();
    // Two bodies that are being read are all that the plugin takes.
    let mut first = store.download(Download::new("k")).await.unwrap().body;
    let second = store.download(Download::new("k")).await.unwrap().body;

    host.register(
        "hurried",
        Registration::new("two-at-a-time").max_wait(Duration::ZERO),
    )
    .unwrap();
    let error = host.backend("hurried").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry(), Retry::Safe);
    assert_eq!(error.fact("max_in_flight"), Some("2"));

    // A caller's own deadline goes first, and what has not begun is not counted as abandoned.
    let bounded = store.with(CallOptions::new().timeout(Duration::from_millis(30)));
    let error = bounded.exists("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let plugins = host.plugins();
    let status = plugins.iter().find(|plugin| plugin.name == "two-at-a-time");
    assert_eq!(status.unwrap().faults.unwrap().abandoned, 0);

    // The end of a body is enough, also when its reader keeps it.
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.exists("k").await }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!waiting.is_finished());
    while first.chunk().await.is_some() {}
    assert!(waiting.await.unwrap().unwrap());
    drop((first, second));
    assert_eq!(plugin::TWO.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn copies_through_the_host_do_not_wait_for_each_other() {
    let host = host();
    let store = backend(&host, "one-at-a-time", LONG).await;
    store.upload(Upload::new("from", "abc")).await.unwrap();
    let copies = (0..8).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let to = format!("to-{number}");
            store.copy(CopyObject::new("from", &to)).await
        })
    });
    for copy in futures_util::future::join_all(copies).await {
        assert_eq!(copy.unwrap().unwrap().size, Some(3));
    }
    assert_eq!(host.status().backends[0].counters.spooled, 8);
}
