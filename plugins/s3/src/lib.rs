//! Holdall storage plugin `s3`: Amazon S3 and every store that speaks its protocol.
//!
//! What it needs, can and cannot, and what each call costs in requests: `README.md` beside this.
//!
//! - `config`: what `holdall.toml` may say, and everything that is wrong with it.
//! - `preset`: how the compatible stores differ, as one table.
//! - `credentials`: where keys come from; `profile`: the shared files of the AWS tools.
//! - `open`: from a configuration to a store of the adapter.
//! - `request`: how requests of our own are signed, for what `object_store` has no method for:
//!   `delete` (with the code of each key), `copy` (under conditions, or with other metadata), parts, and the adapter's sweep of abandoned uploads.
#![forbid(unsafe_code)]

mod config;
mod copy;
mod credentials;
mod delete;
mod open;
mod preset;
mod profile;
mod request;

pub use config::{Checksum, Credentials, Encryption, S3Config};
pub use open::S3;

use open::CLAIMS;
pub use preset::Preset;

holdall_plugin_api::export_plugin! {
    backend: holdall_plugin_api_object_store::Adapter<S3>,
    name: "s3",
    schemes: ["s3"],
    // Requests go on beside the host's polls, and an aborted upload has a place to clean up.
    runtime: tokio_spawn,
    operations: [
        head, list, copy, delete_many, health, shutdown, create_upload, put_part, list_parts,
        list_uploads, complete_upload, abort_upload,
    ],
    capabilities: CLAIMS,
    config_schema: "config.schema.json",
}
