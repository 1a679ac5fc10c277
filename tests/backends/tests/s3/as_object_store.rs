//! The loaded plugin as an `ObjectStore`, for the tests of the `object_store` crate.

use crate::bucket::Bucket;
use holdall_backends::Hosted;
use holdall_object_store::BackendStore;
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Opened {
    pub(crate) store: BackendStore,
    _hosted: Hosted,
}

impl Opened {
    pub(crate) async fn in_an_empty_prefix(bucket: &Bucket) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = bucket.prefix(NEXT.fetch_add(1, Ordering::Relaxed));
        let hosted = Hosted::new("s3");
        let backend = hosted.open(bucket.below(&prefix)).await.unwrap();
        Self {
            store: BackendStore::new(backend),
            _hosted: hosted,
        }
    }
}
