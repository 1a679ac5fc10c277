//! Holdall storage plugin `sftp`: objects as plain files on an SSH server.
//!
//! For operators: `[backend.NAME] plugin = "sftp"` and, below it, what [`SftpConfig`] says; the
//! README beside this crate tells what it can and cannot do, and what it costs.
//! For programs that link the plugin in: [`PLUGIN`].
//!
//! An object is the file `ROOT/objects/<key>`. It is written in `ROOT/staging` first and renamed when
//! it is whole. The server must show the pinned host key, or it is not talked to.
//!
//! Reading order: `config`, `identity` (the pinned key), `session` (one connection), `pool`, `store`
//! (looking and publishing), `backend` (the contract), `writer`, `reader`, `lister`, `sweep`, `error`.
#![forbid(unsafe_code)]

mod backend;
mod config;
mod error;
mod identity;
mod lister;
mod pool;
mod reader;
mod session;
mod store;
mod sweep;
mod writer;

pub use backend::Sftp;
pub use config::{Durability, SftpConfig};

holdall_plugin_api::export_plugin! {
    backend: Sftp,
    name: "sftp",
    schemes: ["sftp"],
    runtime: tokio,
    operations: [head, list, copy, rename, health, usage, shutdown],
    // The most that a server can give; an opened instance claims what its server offers.
    capabilities: [
        atomic_put,
        create_only,
        if_time,
        suffix,
        unknown_length,
        server_copy,
        copy_create_only,
        atomic_move,
        ordered_list,
        start_after,
        case_sensitive,
        unicode_exact,
        usage,
        exact_delete,
    ],
    config_schema: "config.schema.json",
}
