//! Holdall storage plugin `memory`: objects in the memory of the process, gone with it.
//!
//! This is the smallest honest example of a plugin, and meant to be read: three short files, and
//! yet nothing is pretended. Every capability in the list below is kept, races included, because
//! one lock around one map makes that easy; what the plugin does not have (signed URLs of its own,
//! other digests than CRC-32C, versions) it does not claim, and the host says so to callers.
//!
//! - `config`: what `holdall.toml` may say, as one struct.
//! - `backend`: the [`StorageBackend`](holdall_plugin_api::StorageBackend) trait, method by method.
//! - `lister`: one page of a sorted map.
//!
//! Useful beyond reading: tests, caches, a scratch store. Two backends never share objects, not
//! even with equal configurations.
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
    // Nothing here waits, so no runtime is asked for.
    runtime: none,
    // `delete_many` is left to the host: a loop here would be no faster than its own.
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
