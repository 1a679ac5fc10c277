//! What a stage has to know of a plugin beside its type or its file.

use crate::subject::{Broken, DirectAccess, Following};
use crate::wire::Dialect;
use futures_util::future::BoxFuture;
use holdall_plugin_api::Bytes;
use http::Request;
use std::net::SocketAddr;
use std::sync::Arc;

#[cfg(doc)]
use crate::subject::Stage;

/// The stores of a plugin, and what can be done with them. One harness serves every level.
///
/// Each method is that of [`Stage`], with a configuration in the place of an opened instance. All but
/// [`config`](Harness::config) is optional: a case that needs what a harness does not have does not apply.
pub trait Harness: Send + Sync + 'static {
    /// A configuration: the type that the backend reads, or JSON (`serde_json::Value`), which the level of
    /// the loaded file takes.
    type Config: 'static;

    /// The configuration of store number `store`: equal numbers are one store; a number that was
    /// not used before is an empty one.
    ///
    /// `conformance_tests!` makes a harness for each case, and cases run at the same time in one process: stores of
    /// two harnesses must differ, for example by a temporary directory in the harness.
    fn config(&self, store: u32) -> Self::Config;

    /// Whether two instances with the configuration of one store share its objects.
    fn is_shared(&self) -> bool {
        false
    }

    /// [`Stage::has_stores`].
    fn has_stores(&self) -> bool {
        true
    }

    /// A look at a store from outside.
    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        let _ = store;
        None
    }

    /// The configuration of store `store`, confined to what is below `prefix`.
    fn scoped(&self, store: u32, prefix: &str) -> Option<Self::Config> {
        let _ = (store, prefix);
        None
    }

    /// A configuration with which something is wrong; see [`Stage::broken`].
    fn broken(&self, how: Broken) -> Option<Self::Config> {
        let _ = how;
        None
    }

    /// The configuration of store `store` with its HTTP server at this URL; see [`Stage::at`].
    fn at(&self, store: u32, url: &str) -> Option<Self::Config> {
        let _ = (store, url);
        None
    }

    /// How its servers word what goes wrong.
    fn dialect(&self) -> Dialect {
        Dialect::Plain
    }

    /// Where the real server listens; see [`Stage::server`].
    fn server(&self) -> Option<SocketAddr> {
        None
    }

    /// Uses a URL that the backend signed itself; see [`Stage::follow`]. Only asked where no host does it.
    fn follow(&self, request: Request<Bytes>) -> Option<Following<'_>> {
        let _ = request;
        None
    }

    /// Does a case in the harness's own way; see [`Stage::supplies`]. Only asked for a loaded file: it takes
    /// another process.
    fn supplies(&self, case: &str) -> Option<BoxFuture<'_, Result<(), String>>> {
        let _ = case;
        None
    }

    /// The size of the parts in which the backend uploads, in bytes.
    fn part_bytes(&self) -> usize {
        1 << 20
    }

    /// Texts that must not be in any error.
    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }
}
