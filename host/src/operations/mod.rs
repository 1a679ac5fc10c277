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
use holdall_plugin_api::{Error, Operation, Operations, Result};

/// What the host composes of other operations when a plugin has none of its own. Every other
/// optional operation is `Unsupported` then, but for `shutdown`, where there is nothing to end.
const EMULATED: Operations = Operations::head
    .with(Operations::copy)
    .with(Operations::rename)
    .with(Operations::delete_many)
    .with(Operations::shutdown);

/// The operations that the host does in place of a plugin which has these.
pub(crate) fn emulated(operations: Operations) -> Operations {
    EMULATED.without(operations)
}

/// The operations that answer `Unsupported` with a plugin which has these.
pub(crate) fn unsupported(operations: Operations) -> Operations {
    let all: Operations = Operation::ALL.iter().copied().collect();
    all.without(operations).without(EMULATED)
}

/// # Errors
///
/// `Unsupported`: the plugin has no such operation.
fn needs(opened: &Opened, operation: Operation) -> Result<()> {
    if opened.has(operation) {
        return Ok(());
    }
    Err(Error::unsupported("the plugin has no such operation").fact("operation", operation))
}
