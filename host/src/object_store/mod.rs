//! Any backend as an [`ObjectStore`], for DataFusion, delta-rs and all that takes one.
//!
//! ```no_run
//! # async fn example(host: holdall::Host) -> Result<(), Box<dyn std::error::Error>> {
//! use object_store::{ObjectStore, ObjectStoreExt, path::Path};
//!
//! let store: std::sync::Arc<dyn ObjectStore> = host.backend("lake").await?.into_object_store();
//! store.put(&Path::from("a/b.parquet"), "bytes".into()).await?;
//! # Ok(()) }
//! ```
//!
//! **Keys and paths.** The key of a [`Path`] is its raw text, byte for
//! byte: nothing is decoded on the way in, nothing encoded on the way out. So the object `a b#1`
//! is `Path::parse("a b#1")`, while `Path::from("a b#1")`, which percent-encodes what some stores
//! dislike, names another one: `a b%231`. Every portable key is a path. A path that is no portable
//! key (a backslash, a segment over 255 bytes, white space at an end) is refused as the host
//! refuses the key. Under `key_policy = "opaque"` a store may hold keys that no path can name
//! (`a//b`, `/a`, `..`): listings leave them out and log it at debug level.
//!
//! **Listing.** A prefix is a folder here: `foo` lists `foo/x`, neither `foo` nor `foobar`. For
//! plain string prefixes, page by page, there is
//! [`PaginatedListStore`](::object_store::list::PaginatedListStore). An object whose store does
//! not tell when it was written has the time 1970-01-01.
//!
//! **Conditions.** What the backend claims is decided in the store. Everything else (lists of etags,
//! conditions that it does not claim) is decided on the facts that come with the very bytes, in
//! the same request, so it is exact too; only the first chunk may have travelled in vain. A suffix
//! range that the backend does not claim costs one `head` first.
//!
//! **Writing.** [`PutMode::Update`](::object_store::PutMode) needs the etag. Attributes that the
//! backend does not claim, storage classes and tags are refused (`NotImplemented`), never dropped.
//! Names of metadata may be any text: what a portable name cannot hold is written `--` and two hex
//! digits for each byte, so `test_key` is kept as `test--5fkey`.
//!
//! **Multipart uploads** are one upload of the backend, fed part after part in the order of the
//! calls of `put_part`, whatever the order in which their futures are awaited. A part's future is
//! done when the backend has taken its bytes, so memory is what the caller has in flight and what
//! the backend buffers; nothing is spooled unless the backend must know the length. The object
//! appears in one step at `complete`; `abort`, or dropping the upload, leaves nothing. A configured
//! `timeout` of the backend counts for the whole upload. Needs a tokio runtime.
//!
//! **Errors** keep all that the host knows: the [`Error`] is the source of what is returned, and
//! [`cause`] finds it again, through any wrapping. [`into_error`] goes all the way back.
//!
//! **One call's options**: a [`CallOptions`](crate::CallOptions) in the `extensions` of an option struct bounds and
//! names that call. The other way round, the extensions of a
//! [`GetResult`] hold the [`ObjectInfo`], those of a
//! [`PutResult`] the [`Uploaded`], with checksums.

mod attributes;
mod bridge;
mod copy;
mod error;
mod list;
mod multipart;
mod read;
#[cfg(feature = "object-store-signer")]
mod sign;
mod write;

pub use bridge::BackendStore;
pub use error::{cause, into_error};

use crate::backend::Backend;
// The files below are compiled once for each version of the trait that is asked for: this one, and
// `v0_13`. They name it as `super::upstream`.
use ::object_store as upstream;
#[cfg(doc)]
use holdall_plugin_api::Error;
use holdall_plugin_api::{ObjectInfo, Uploaded};
use std::ops::Range;
use std::sync::Arc;
#[cfg(doc)]
use upstream::path::Path;
use upstream::{
    Attributes, Extensions, GetResult, GetResultPayload, ListResult, ObjectMeta, ObjectStore,
    PutResult,
};

impl Backend {
    /// This backend for programs that take an [`ObjectStore`]; see [the module](crate::object_store).
    pub fn into_object_store(self) -> Arc<dyn ObjectStore> {
        Arc::new(BackendStore::new(self))
    }
}

fn get_result(
    payload: GetResultPayload,
    meta: ObjectMeta,
    range: Range<u64>,
    attributes: Attributes,
    info: ObjectInfo,
) -> GetResult {
    let mut extensions = Extensions::new();
    extensions.insert(info);
    GetResult {
        payload,
        meta,
        range,
        attributes,
        extensions,
    }
}

fn put_result(uploaded: Uploaded) -> PutResult {
    let mut extensions = Extensions::new();
    let (e_tag, version) = (uploaded.etag.clone(), uploaded.version.clone());
    extensions.insert(uploaded);
    PutResult {
        e_tag,
        version,
        extensions,
    }
}

fn no_objects() -> ListResult {
    ListResult {
        common_prefixes: Vec::new(),
        objects: Vec::new(),
        extensions: Extensions::new(),
    }
}
