//! Holdall storage plugin `azblob`: Azure Blob Storage.
//!
//! What it needs, can and cannot, and what each call costs in requests: `README.md` beside this.
//!
//! - `config`: what `holdall.toml` may say, and everything that is wrong with it; `connection`: the
//!   connection strings of the portal.
//! - `credentials`: who we are to the store.
//! - `open`: from a configuration to a store of the adapter.
//! - `request`: requests of our own, and the signature of a conditional completion.
//! - `sas`: signed URLs.
#![forbid(unsafe_code)]

mod config;
mod connection;
mod credentials;
mod open;
mod request;
mod sas;

pub use config::{AzblobConfig, Credentials};
pub use open::Azblob;

use open::CLAIMS;

holdall_plugin_api::export_plugin! {
    backend: holdall_plugin_api_object_store::Adapter<Azblob>,
    name: "azblob",
    schemes: ["az", "azblob", "abfs"],
    // Requests go on beside the host's polls.
    runtime: tokio_spawn,
    operations: [head, list, copy, delete_many, health, shutdown],
    capabilities: CLAIMS,
    config_schema: "config.schema.json",
}
