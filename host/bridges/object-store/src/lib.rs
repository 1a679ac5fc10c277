#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod attributes;
mod copy;
mod error;
#[cfg(feature = "integration")]
mod integration;
mod list;
mod multipart;
mod parts;
mod read;
#[cfg(feature = "signer")]
mod sign;
mod store;
#[cfg(feature = "v0_13")]
pub mod v0_13;
mod write;

pub use error::{cause, into_error};
pub use store::BackendStore;

#[cfg(feature = "integration")]
#[doc(hidden)]
pub use object_store;

use holdall::Backend;
use object_store::ObjectStore;
use std::sync::Arc;

/// Converts a [`Backend`] into an [`ObjectStore`].
pub trait IntoObjectStore {
    /// Returns the backend as an object store. Opens nothing.
    fn into_object_store(self) -> Arc<dyn ObjectStore>;
}

impl IntoObjectStore for Backend {
    fn into_object_store(self) -> Arc<dyn ObjectStore> {
        Arc::new(BackendStore::new(self))
    }
}
