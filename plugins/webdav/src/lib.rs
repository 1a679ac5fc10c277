//! Holdall storage plugin `webdav`: objects as plain files of a WebDAV server.
//!
//! For operators: `[backend.NAME] plugin = "webdav"` and, below it, what [`WebdavConfig`] says; the
//! README beside this crate tells what each kind of server can and cannot do, and what it costs.
//! For programs that link the plugin in: [`PLUGIN`].
//!
//! An object is a file `URL/objects/<key>` that any other client can read. It is put into
//! `URL/staging` first and moved when it is whole. Content type, headers, metadata, checksum and
//! etag are one dead property, set before the move, on servers that carry it.
//!
//! Reading order: `config`, `features` (what is promised for which server), `backend` (the
//! contract), `store` (looking and publishing), `writer`, `reader`, `lister`, `lock`, `key_changes`,
//! `metadata_record`, `client` and `multistatus` (the protocol), `error`.
#![forbid(unsafe_code)]

mod backend;
mod client;
mod condition;
mod config;
mod error;
mod features;
mod key_changes;
mod lister;
mod lock;
mod metadata_record;
mod multistatus;
mod names;
mod reader;
mod store;
mod sweep;
mod writer;

pub use backend::Webdav;
pub use config::WebdavConfig;

holdall_plugin_api::export_plugin! {
    backend: Webdav,
    name: "webdav",
    schemes: ["webdav"],
    // The HTTP client is a crowd of tasks; operations live beside them.
    runtime: tokio_spawn,
    operations: [head, list, copy, rename, health, usage, shutdown],
    // The most that a server can give; an opened instance claims what its server was seen to do.
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
        ordered_list,
        start_after,
        case_sensitive,
        unicode_exact,
        usage,
    ],
    config_schema: "config.schema.json",
}
