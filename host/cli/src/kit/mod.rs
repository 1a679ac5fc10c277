//! A plugin behind a host of its own, as a stage of the conformance kit: what `holdall check` runs.
//!
//! URLs that the host's gateway signs are used in process; what a store signs itself is used by an HTTP
//! client.

mod file;
#[allow(
    clippy::unwrap_used,
    reason = "a panic here is the failure of the case that asked"
)]
mod gateway;
mod host;
mod once;

pub use gateway::PUBLIC_URL;
pub use host::{Calls, HostStage};
pub use once::{BEGINS, ENDS, between, use_once};

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What a stage needs beside this process.
pub trait Tools: Send + Sync + 'static {
    /// A process that calls [`use_once`] with this file and this configuration.
    fn child(&self, library: &Path, config: &Value) -> Option<Command> {
        let _ = (library, config);
        None
    }

    /// Loads and uses the file through tables cut or grown by `change` bytes. This host always states the
    /// size that it knows, so another one drives the file.
    fn with_table_size(
        &self,
        library: &Path,
        entry: &str,
        config: &Value,
        change: isize,
    ) -> Option<Result<(), String>> {
        let _ = (library, entry, config, change);
        None
    }
}

impl Tools for () {}
