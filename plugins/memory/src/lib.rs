//! Holdall storage plugin `memory`: objects in the memory of the process.
//!
//! The smallest complete example of a plugin, in three short files. Every capability in the list below
//! holds, also under races, because one lock protects one map. Missing features (signed URLs of its own,
//! digests other than CRC-32C, versions) are not claimed, and the host reports that to callers.
//!
//! - `config`: the settings in `holdall.toml`, as one struct.
//! - `backend`: the [`StorageBackend`](holdall_plugin_api::StorageBackend) trait, method by method.
//! - `lister`: pages of a sorted map.
//!
//! For tests, caches and scratch data. Two backends never share objects, even with equal
//! configurations.
#![forbid(unsafe_code)]

mod backend;
mod config;
mod lister;

pub use backend::Memory;
pub use config::MemoryConfig;

holdall_plugin_api::export_plugin! {
    backend: Memory,
    name: "memory",
    schemes: ["memory"],
    // No operation waits, so no runtime is needed.
    runtime: none,
    // No `delete_many`: the host's loop is as fast.
    operations: [head, list, copy, rename, health, usage, shutdown],
    capabilities: [
        atomic_put,
        create_only,
        if_match_put,
        if_match_delete,
        if_match_get,
        if_none_match_get,
        if_time,
        suffix,
        unknown_length,
        content_type,
        user_metadata,
        header_cache_control,
        header_content_disposition,
        header_content_encoding,
        header_content_language,
        checksum_crc32c,
        server_copy,
        copy_create_only,
        atomic_move,
        ordered_list,
        start_after,
        any_delimiter,
        any_key,
        key_and_prefix,
        case_sensitive,
        unicode_exact,
        usage,
        exact_delete,
    ],
    config_schema: "config.schema.json",
}
