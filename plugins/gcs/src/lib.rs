//! Holdall storage plugin `gcs`: Google Cloud Storage.
//!
//! What it needs, can and cannot, and what each call costs in requests: `README.md` beside this.
//!
//! - `config`: what `holdall.toml` may say, and everything that is wrong with it.
//! - `identity`: who we are to the store, from a key, from a file of Google's tools, or as this machine.
//! - `open`: from a configuration to a store of the adapter.
//! - `tokens`: where tokens come from, instead of the addresses that the client knows by heart.
//! - `generation`: conditions on etags, in a service whose conditions are about generations.
//! - `request`: the token of requests of our own, for abandoned uploads.
//! - `sign`: signed URLs of names with any character.
//! - `stored`: objects as they are stored, not as the service would unpack them.
#![forbid(unsafe_code)]

mod config;
mod generation;
mod identity;
mod open;
mod request;
mod sign;
mod stored;
mod tokens;

pub use config::{Credentials, GcsConfig};
pub use open::Gcs;

use open::CLAIMS;

holdall_plugin_api::export_plugin! {
    backend: holdall_plugin_api_object_store::Adapter<Gcs>,
    name: "gcs",
    schemes: ["gs", "gcs"],
    // Requests go on beside the host's polls, and an aborted upload has a place to clean up.
    runtime: tokio_spawn,
    operations: [
        head, list, copy, delete_many, health, shutdown, create_upload, put_part, list_parts,
        list_uploads, complete_upload, abort_upload,
    ],
    capabilities: CLAIMS,
    config_schema: "config.schema.json",
}
