//! Any OpenDAL operator as a Holdall storage backend.
//!
//! For authors whose service OpenDAL already speaks: say how the configuration becomes an operator
//! and what the service vows, and export the adapter.
//!
//! ```
//! use holdall_plugin_api::{Capabilities, Host, Result};
//! use holdall_plugin_api_opendal::{Adapted, Adapter, Store, from_config};
//! use opendal_core::{Operator, services::Memory};
//!
//! #[derive(serde::Deserialize)]
//! pub struct Config {}
//!
//! pub struct Example;
//!
//! impl Adapted for Example {
//!     type Config = Config;
//!     async fn open(_: Config, _: &Host) -> Result<Store> {
//!         let operator = Operator::new(Memory::default()).map_err(from_config)?;
//!         let vows = Capabilities::atomic_put.with(Capabilities::key_and_prefix);
//!         Ok(Store::new(operator, "example").vows(vows))
//!     }
//! }
//!
//! pub type Backend = Adapter<Example>; // export_plugin! { backend: Backend, runtime: tokio_spawn, .. }
//! # fn check<B: holdall_plugin_api::StorageBackend>() {}
//! # check::<Backend>();
//! ```
//!
//! **Capabilities.** What an operator says of itself ([`opendal_core::Capability`]) covers which
//! options it takes, not what readers see meanwhile. So there are three sources: what follows from
//! the operator alone, what it offers *and* the author vows ([`Store::vows`]), and what is taken
//! away again ([`Store::without`]). Nothing is claimed that only one side knows.
//!
//! **What the adapter adds**: pages of a listing in byte order with tokens that survive changes,
//! whatever order the service has, and prefixes that are strings where the service has folders
//! (`list`); uploads in parts of a bounded size that are taken back when their caller goes away
//! (`upload`); facts and bytes of one version (`download`); the provider's status, code, request id
//! and retry time in every error (`recorder`, `fault`).
//!
//! The operator's own layers are kept, but for one that retries the host should be told
//! ([`Store::retries`]). The plugin needs a runtime: `tokio_spawn` for HTTP, `tokio` otherwise.
#![forbid(unsafe_code)]

mod adapter;
mod claims;
mod convert;
mod copy;
mod delete;
mod download;
mod fault;
mod list;
mod recorder;
mod sign;
mod store;
mod upload;
mod walk;

pub use adapter::{Adapted, Adapter};
pub use fault::{TimedOut, from_config};
pub use opendal_core as opendal;
pub use store::Store;
