//! Holdall storage plugin `memory`: objects in the memory of the process.
//!
//! The smallest complete example of a plugin. Every capability of [`CLAIMS`] holds, also under
//! races, because one lock protects one map; those of versions only with `versions = true`. What is missing (signed URLs
//! of its own, digests other than CRC-32C, durability, storage classes, encryption) is not claimed, and the host reports
//! that to callers.
//!
//! - `config`: the settings in `holdall.toml`, as one struct.
//! - `backend`: the [`StorageBackend`](holdall_plugin_api::StorageBackend) trait, method by method.
//! - `store`: what is kept, behind one lock.
//! - `lister`, `versions`, `parts`, `ranges`: pages of a sorted map, of versions and of parts; many ranges at once.
//!
//! For tests, caches and scratch data. Two backends never share objects, even with equal
//! configurations.
#![forbid(unsafe_code)]

mod backend;
mod config;
mod lister;
mod parts;
mod ranges;
mod store;
mod versions;

pub use backend::Memory;
pub use config::MemoryConfig;

use holdall_plugin_api::Capabilities;

/// What the plugin claims. An instance without `versions = true` does not claim the capabilities of versions.
pub const CLAIMS: Capabilities = Capabilities::atomic_put
    .with(Capabilities::create_only)
    .with(Capabilities::if_match_put)
    .with(Capabilities::if_match_delete)
    .with(Capabilities::if_match_get)
    .with(Capabilities::if_none_match_get)
    .with(Capabilities::if_time)
    .with(Capabilities::suffix)
    .with(Capabilities::unknown_length)
    .with(Capabilities::content_type)
    .with(Capabilities::user_metadata)
    .with(Capabilities::header_cache_control)
    .with(Capabilities::header_content_disposition)
    .with(Capabilities::header_content_encoding)
    .with(Capabilities::header_content_language)
    .with(Capabilities::checksum_crc32c)
    .with(Capabilities::server_copy)
    .with(Capabilities::copy_create_only)
    .with(Capabilities::atomic_move)
    .with(Capabilities::ordered_list)
    .with(Capabilities::start_after)
    .with(Capabilities::any_delimiter)
    .with(Capabilities::any_key)
    .with(Capabilities::key_and_prefix)
    .with(Capabilities::case_sensitive)
    .with(Capabilities::unicode_exact)
    .with(Capabilities::usage)
    .with(Capabilities::exact_delete)
    .with(Capabilities::parts)
    .with(Capabilities::parts_any_size)
    .with(Capabilities::ranges)
    .with(Capabilities::copy_if_match)
    .with(Capabilities::copy_source_conditions)
    .with(Capabilities::copy_replace_metadata)
    .with(Capabilities::update_headers)
    .with(Capabilities::update_metadata)
    .with(Capabilities::update_tags)
    .with(Capabilities::tags)
    .with(OF_VERSIONS);

/// What needs `versions = true`.
const OF_VERSIONS: Capabilities = Capabilities::versions
    .with(Capabilities::list_versions)
    .with(Capabilities::copy_source_version);

holdall_plugin_api::export_plugin! {
    backend: Memory,
    name: "memory",
    schemes: ["memory"],
    // No operation waits, so no runtime is needed.
    runtime: none,
    // No `delete_many`: the host's loop is as fast.
    operations: [
        head, list, copy, rename, health, usage, shutdown, create_upload, put_part, list_parts,
        list_uploads, complete_upload, abort_upload, download_ranges, list_versions, update,
    ],
    capabilities: CLAIMS,
    config_schema: "config.schema.json",
}
