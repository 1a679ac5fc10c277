//! The loaded plugin as an `ObjectStore`, for the tests of the `object_store` crate.

use crate::bucket::Bucket;
use holdall::config::Config;
use holdall::object_store::BackendStore;
use holdall::{Host, PluginRef, Registration};
use holdall_backends::plugin;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Opened {
    pub(crate) store: BackendStore,
    _host: Host,
    _folder: tempfile::TempDir,
}

impl Opened {
    pub(crate) async fn in_an_empty_prefix(bucket: &Bucket) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(plugin("s3"), folder.path().join("plugin.so")).unwrap();
        let host = Host::builder().config(Config::default());
        let host = host.plugin_dir(folder.path()).build().unwrap();
        let prefix = bucket.prefix(NEXT.fetch_add(1, Ordering::Relaxed));
        let registration = Registration::new(PluginRef::from("s3")).config(bucket.below(&prefix));
        host.register("store", registration).unwrap();
        Self {
            store: BackendStore::new(host.backend("store").await.unwrap()),
            _host: host,
            _folder: folder,
        }
    }
}
