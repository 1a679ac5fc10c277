//! The `holdall` command as people and scripts run it: the built binary, the built plugins, real
//! files, exit codes.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]
#![forbid(unsafe_code)]

mod check;
mod crashes;
mod examples;
mod folders;
mod interrupted;
mod objects;
mod plugin_files;
mod polling;
mod process;
mod quotas;
mod running;
mod secrets;
mod serve;
mod serve_ends;
mod service;
mod texts;
mod upgrades;
mod workdir;
mod wrong;
