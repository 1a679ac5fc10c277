//! The plugin's side of the boundary: what `export_plugin!` expands to.
//!
//! Authors use [`export_plugin!`](crate::export_plugin), [`Host`](crate::Host) and `tracing`; the
//! rest carries a call from a table of [`abi`](crate::abi) to the [`StorageBackend`](crate::StorageBackend).

pub mod export;
pub mod glue;
pub mod guard;
pub(crate) mod host;
pub mod op;
mod ranges;
#[cfg(feature = "tokio")]
mod runtime;
pub mod schema;
pub(crate) mod source;
mod tracing;
