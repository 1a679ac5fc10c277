//! Stages for the conformance kit: a plugin as its Rust type, linked in, and loaded, the latter two
//! through the host.
//!
//! A plugin is described once, as its [`Stores`], and driven at each [`Level`]:
//!
//! ```no_run
//! # use holdall_e2e::kit::{HostStage, Plain, Stores};
//! # use serde_json::{Value, json};
//! # use std::{path::Path, sync::Arc};
//! struct Memory;
//!
//! impl Stores for Memory {
//!     fn config(&self, _store: u32) -> Value {
//!         json!({})
//!     }
//! }
//!
//! # async fn run(library: &Path) {
//! let loaded = HostStage::loaded(library, Memory);
//! let report = holdall_conformance::run(Arc::new(loaded), |_| true).await;
//! assert!(report.is_ok(), "{report}");
//! # }
//! ```
//!
//! A plugin that speaks HTTP says in [`Stores::at`] how it is pointed at another server, and gets
//! the cases tagged `NEED:http`; with [`Stores::server`] also the one that loses answers.
//!
//! URLs that the host's gateway signs are used in process, or over the wire with the server in front
//! ([`HostStage::served`]); what a store signs itself is used by an HTTP client.

mod child;
mod file;
mod folder;
mod gateway;
mod host;
mod plain;
mod served;

pub use child::child;
pub use folder::Folder;
pub use host::HostStage;
pub use plain::Plain;

use futures_util::future::BoxFuture;
use holdall_conformance::wire::Dialect;
use holdall_conformance::{Broken, DirectAccess};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;

#[cfg(doc)]
use holdall_conformance::{Level, Stage};

/// What a stage must know of a plugin beside its file. The methods are those of [`Stage`], with a
/// configuration in the place of an opened instance.
pub trait Stores: Send + Sync + 'static {
    /// The configuration of a store: equal numbers are one store, each new number is an empty one.
    fn config(&self, store: u32) -> Value;

    /// [`Stage::at`].
    fn at(&self, store: u32, url: &str) -> Option<Value> {
        let _ = (store, url);
        None
    }

    /// [`Stage::dialect`].
    fn dialect(&self) -> Dialect {
        Dialect::Plain
    }

    /// [`Stage::server`].
    fn server(&self) -> Option<SocketAddr> {
        None
    }

    /// [`Stage::broken`].
    fn broken(&self, how: Broken) -> Option<Value> {
        let _ = how;
        None
    }

    /// [`Stage::scoped`].
    fn scoped(&self, store: u32, prefix: &str) -> Option<Value> {
        let _ = (store, prefix);
        None
    }

    /// [`Stage::is_shared`].
    fn is_shared(&self) -> bool {
        false
    }

    /// [`Stage::direct_access`].
    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        let _ = store;
        None
    }

    /// [`Stage::supplies`], for the loaded plugin: what it takes is another process.
    fn supplies(&self, case: &str) -> Option<BoxFuture<'_, Result<(), String>>> {
        let _ = case;
        None
    }

    /// [`Stage::part_bytes`].
    fn part_bytes(&self) -> usize {
        1 << 20
    }

    /// [`Stage::secrets`].
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}
