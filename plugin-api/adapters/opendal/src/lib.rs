//! Any OpenDAL operator as a Holdall storage backend.
//!
//! For authors whose service OpenDAL already speaks: say how the configuration becomes an operator
//! and what the service asserts, and export the adapter.
//!
//! ```
//! use holdall_plugin_api::{Capabilities, Host, Result};
//! use holdall_plugin_api_opendal::opendal::{Operator, services::Memory};
//! use holdall_plugin_api_opendal::{OpenOperator, Adapter, CLAIMS, OpenedOperator, from_config};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! pub struct Config {}
//!
//! pub struct OfMemory;
//!
//! impl OpenOperator for OfMemory {
//!     type Config = Config;
//!     async fn open(_: Config, _: &Host) -> Result<OpenedOperator> {
//!         let operator = Operator::new(Memory::default()).map_err(from_config)?;
//!         let asserted = Capabilities::atomic_put.with(Capabilities::key_and_prefix);
//!         Ok(OpenedOperator::new(operator, "memory").asserts(asserted))
//!     }
//! }
//!
//! // holdall_plugin_api::export_plugin! {
//! //     backend: Adapter<OfMemory>,
//! //     name: "of-memory",
//! //     schemes: ["of-memory"],
//! //     runtime: tokio_spawn,
//! //     operations: [head, list, copy, rename, health, shutdown],
//! //     capabilities: CLAIMS,
//! //     config_schema: "config.schema.json",
//! // }
//! # fn check<B: holdall_plugin_api::StorageBackend>() -> Capabilities { CLAIMS }
//! # check::<Adapter<OfMemory>>();
//! ```
//!
//! That is the whole library. Its manifest names `crate-type = ["cdylib"]` and depends on
//! `holdall-plugin-api`, this crate, `serde` (with `derive`), and on `opendal` without default features,
//! in the version that this crate re-exports, for the feature of its service (`services-memory`). The
//! schema of the configuration lies beside the manifest: `{}` says nothing and takes everything. `holdall
//! inspect` on the built file says whether a host takes it.
//!
//! **Capabilities.** What an operator says of itself ([`opendal_core::Capability`]) covers which
//! options it takes, not what readers see meanwhile. So there are three sources: what follows from
//! the operator alone, what it offers *and* the author asserts ([`OpenedOperator::asserts`]), and what is taken
//! away again ([`OpenedOperator::without`]). Nothing is claimed that only one side knows. What `export_plugin!`
//! declares is the most of it, [`CLAIMS`]; an instance that claims more than its plugin declares is
//! refused.
//!
//! **What the adapter adds**: pages of a listing in byte order with tokens that survive changes,
//! whatever order the service has, and prefixes that are strings where the service has folders
//! (`list`); uploads in parts of a bounded size that are taken back when their caller goes away
//! (`upload`); facts and bytes of one version (`download`); the provider's status, code, request id
//! and retry time in every error (`provider_reply`, `fault`).
//!
//! The operator's own layers are kept, but for one that retries the host should be told
//! ([`OpenedOperator::retries`]). The plugin needs a runtime: `tokio_spawn` for HTTP, `tokio` otherwise.
#![forbid(unsafe_code)]

mod adapter;
mod asked;
mod claims;
mod convert;
mod copy;
mod delete;
mod download;
mod fault;
mod list;
mod opened_operator;
mod provider_reply;
mod sign;
mod upload;
mod walk;

pub use adapter::{Adapter, OpenOperator};
pub use claims::CLAIMS;
pub use fault::{TimedOut, from_config};
pub use opendal_core as opendal;
pub use opened_operator::OpenedOperator;
