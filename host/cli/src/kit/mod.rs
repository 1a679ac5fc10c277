//! A plugin behind a host of its own, as a stage of the conformance kit: what `holdall check` runs.
//!
//! URLs that the host's gateway signs are used in process; what a store signs itself is used by an HTTP
//! client.

mod file;
#[allow(
    clippy::unwrap_used,
    reason = "a panic here is the failure of the case that asked"
)]
mod gateway;
mod host;
mod once;

pub use gateway::PUBLIC_URL;
pub use host::HostStage;
pub use once::{BEGINS, ENDS, between, use_once};

use futures_util::future::BoxFuture;
use holdall_conformance::wire::Dialect;
use holdall_conformance::{Broken, DirectAccess};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

#[cfg(doc)]
use holdall_conformance::Stage;

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

    /// [`Stage::has_stores`].
    fn has_stores(&self) -> bool {
        true
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

/// What a stage needs beside this process.
pub trait Tools: Send + Sync + 'static {
    /// A process that calls [`use_once`] with this file and this configuration.
    fn child(&self, library: &Path, config: &Value) -> Option<Command> {
        let _ = (library, config);
        None
    }

    /// Loads and uses the file through tables cut or grown by `change` bytes. This host always states the
    /// size that it knows, so another one drives the file.
    fn with_table_size(
        &self,
        library: &Path,
        entry: &str,
        config: &Value,
        change: isize,
    ) -> Option<Result<(), String>> {
        let _ = (library, entry, config, change);
        None
    }
}

impl Tools for () {}
