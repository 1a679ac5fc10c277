//! Holdall storage plugin `local`: objects as plain files below one directory.
//!
//! For operators: `[backend.NAME] plugin = "local"` and the settings of [`LocalConfig`].
//! For programs that link the plugin in: [`PLUGIN`].
//!
//! The object `<key>` is the plain file `ROOT/objects/<key>`. Content type, headers, user metadata and
//! checksum are one extended attribute, published together with the bytes. Several processes may share
//! a root.
//!
//! Reading order: `config`, `instance` (capabilities), `backend` (operations), `condition`, `writer`,
//! `reader` and `ranges` (streams), `error`, `engine` (the disk).
// On Windows the calls of the system are in one file, `engine/platform/windows/native.rs`.
#![cfg_attr(not(windows), forbid(unsafe_code))]

#[cfg(not(any(target_os = "linux", windows)))]
compile_error!("the plugin `local` is written for Linux and Windows: see `engine/platform`");

mod backend;
mod buffers;
mod condition;
mod config;
mod engine;
mod error;
mod instance;
mod ranges;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub use backend::Local;
pub use config::{Durability, LocalConfig};

holdall_plugin_api::export_plugin! {
    backend: Local,
    name: "local",
    schemes: ["file"],
    runtime: tokio,
    operations: [
        head, list, copy, rename, health, usage, shutdown, custom, create_upload, put_part,
        list_parts, list_uploads, complete_upload, abort_upload, download_ranges, update,
    ],
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
        case_sensitive,
        unicode_exact,
        usage,
        exact_delete,
        durability,
        custom,
        parts,
        parts_any_size,
        ranges,
        copy_if_match,
        copy_source_conditions,
        copy_replace_metadata,
        update_headers,
        update_metadata,
        read_into,
        lend_file,
    ],
    config_schema: "config.schema.json",
}
