//! Holdall storage plugin `opendal`: one plugin for what OpenDAL serves.
//!
//! ```toml
//! [backend.media]
//! plugin = "opendal"
//! [backend.media.config.service.oss]     # one service, with its own options
//! bucket = "media"
//! endpoint = "https://oss-cn-hangzhou.aliyuncs.com"
//! access_key_id = "LTAI5t.."
//! access_key_secret = "env:OSS_SECRET"
//! ```
//!
//! The adapter (`holdall-plugin-api-opendal`) does the work of the contract; here is what differs
//! from service to service, and the page of the plugin (`README.md`) says what it needs and costs.
//!
//! - `config`: what `holdall.toml` may say, and everything that is wrong with it.
//! - `options`: the options of a service, read off its own configuration type.
//! - `schema`: the schema of all that; which options are secret.
//! - `services`: the services, and what each asserts.
//! - `client`: HTTP with time limits that end in a typed error.
//!
//! For S3, Azure and Google Cloud the plugins of those names know more; they are here for stores
//! that only OpenDAL reaches in their way, and for comparison.
#![forbid(unsafe_code)]

mod client;
mod config;
mod options;
#[cfg(test)]
mod schema;
mod services;

use holdall_plugin_api::{Host, Result};
use holdall_plugin_api_opendal::{Adapter, CLAIMS, OpenOperator, OpenedOperator};

pub use config::OpendalConfig;

/// How a configuration becomes a store.
#[derive(Debug)]
pub struct Service;

impl OpenOperator for Service {
    type Config = OpendalConfig;

    async fn open(config: OpendalConfig, _: &Host) -> Result<OpenedOperator> {
        config.open()
    }
}

/// The backend.
pub type Opendal = Adapter<Service>;

holdall_plugin_api::export_plugin! {
    backend: Opendal,
    name: "opendal",
    schemes: ["oss", "obs", "cos", "tos", "b2", "swift", "webhdfs", "ipfs"],
    runtime: tokio_spawn,
    operations: [head, list, copy, rename, health, shutdown],
    // Of all services together; an instance claims what its service offers and asserts.
    capabilities: CLAIMS,
    config_schema: "config.schema.json",
}
