//! The Rust type, with the same configurations.

use super::Stores;
use futures_util::future::BoxFuture;
use holdall::{Bytes, StaticPlugin};
use holdall_conformance::wire::{self, Dialect};
use holdall_conformance::{Broken, Claims, DirectAccess, Following, Harness};
use holdall_plugin_api::StorageBackend;
use http::Request;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;

/// A plugin's type as a [`Harness`].
pub struct Plain<B> {
    plugin: &'static StaticPlugin,
    stores: Box<dyn Stores>,
    _backend: PhantomData<fn() -> B>,
}

impl<B> Plain<B> {
    /// The type `B`, with the claims of `plugin`.
    pub fn new(plugin: &'static StaticPlugin, stores: impl Stores) -> Self {
        Self {
            plugin,
            stores: Box::new(stores),
            _backend: PhantomData,
        }
    }
}

fn read<C: DeserializeOwned>(config: Value) -> C {
    serde_json::from_value(config).unwrap()
}

impl<B: StorageBackend> Harness for Plain<B> {
    type Backend = B;

    fn claims(&self) -> Claims {
        Claims::of(self.plugin)
    }
    fn config(&self, store: u32) -> B::Config {
        read(self.stores.config(store))
    }
    fn is_shared(&self) -> bool {
        self.stores.is_shared()
    }
    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        self.stores.direct_access(store)
    }
    fn scoped(&self, store: u32, prefix: &str) -> Option<B::Config> {
        self.stores.scoped(store, prefix).map(read)
    }
    fn broken(&self, how: Broken) -> Option<B::Config> {
        self.stores.broken(how).map(read)
    }
    fn at(&self, store: u32, url: &str) -> Option<B::Config> {
        self.stores.at(store, url).map(read)
    }
    fn dialect(&self) -> Dialect {
        self.stores.dialect()
    }
    fn server(&self) -> Option<SocketAddr> {
        self.stores.server()
    }
    fn follow(&self, request: Request<Bytes>) -> Option<Following<'_>> {
        Some(Box::pin(wire::send(request)))
    }
    fn supplies(&self, _: &str) -> Option<BoxFuture<'_, Result<(), String>>> {
        None
    }
    fn part_bytes(&self) -> usize {
        self.stores.part_bytes()
    }
    fn secrets(&self) -> Vec<String> {
        self.stores.secrets()
    }
}
