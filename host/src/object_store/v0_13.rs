//! As [`object_store`](mod@crate::object_store), for programs that stand on version 0.13 of that crate
//! still, such as DataFusion 55 and delta-rs. Nothing is signed, and
//! results have no extensions.
//!
//! ```no_run
//! # async fn example(host: holdall::Host) -> Result<(), Box<dyn std::error::Error>> {
//! use object_store_0_13::{ObjectStore, ObjectStoreExt, path::Path};
//!
//! let lake = host.backend("lake").await?;
//! let store: std::sync::Arc<dyn ObjectStore> = lake.into_object_store_0_13();
//! store.put(&Path::from("a/b.parquet"), "bytes".into()).await?;
//! # Ok(()) }
//! ```

mod attributes;
mod bridge;
mod copy;
mod error;
mod list;
mod multipart;
mod read;
mod write;

pub use bridge::BackendStore;
pub use error::{cause, into_error};

use crate::backend::Backend;
use ::object_store_0_13 as upstream;
use holdall_plugin_api::{ObjectInfo, Uploaded};
use std::ops::Range;
use std::sync::Arc;
use upstream::{
    Attributes, GetResult, GetResultPayload, ListResult, ObjectMeta, ObjectStore, PutResult,
};

impl Backend {
    /// This backend for programs that take the [`ObjectStore`] of version 0.13; see
    /// [the module](crate::object_store_0_13).
    pub fn into_object_store_0_13(self) -> Arc<dyn ObjectStore> {
        Arc::new(BackendStore::new(self))
    }
}

fn get_result(
    payload: GetResultPayload,
    meta: ObjectMeta,
    range: Range<u64>,
    attributes: Attributes,
    _: ObjectInfo,
) -> GetResult {
    GetResult {
        payload,
        meta,
        range,
        attributes,
    }
}

fn put_result(uploaded: Uploaded) -> PutResult {
    PutResult {
        e_tag: uploaded.etag,
        version: uploaded.version,
    }
}

fn no_objects() -> ListResult {
    ListResult {
        common_prefixes: Vec::new(),
        objects: Vec::new(),
    }
}
