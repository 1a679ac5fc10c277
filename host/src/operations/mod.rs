//! What a [`Backend`](crate::Backend) does: checks, the plugin's part, and what the host composes
//! where the plugin has no such operation.

mod copy;
mod delete;
mod download;
mod list;
mod rest;
mod sign;
mod upload;

pub use delete::DeletedPrefix;

use crate::generation::Opened;
use holdall_plugin_api::{Error, Operation, Result};

/// # Errors
///
/// `Unsupported`: the plugin has no such operation.
fn needs(opened: &Opened, operation: Operation) -> Result<()> {
    if opened.has(operation) {
        return Ok(());
    }
    Err(Error::unsupported("the plugin has no such operation").fact("operation", operation))
}
