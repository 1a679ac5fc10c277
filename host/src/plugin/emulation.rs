//! Operations that the host composes where a plugin lacks them, and those that answer `Unsupported`.

use holdall_plugin_api::{Operation, Operations};

/// What the host composes of other operations when a plugin has none of its own. Every other
/// optional operation is `Unsupported` then, but for `shutdown`, where there is nothing to end.
const EMULATED: Operations = Operations::head
    .with(Operations::copy)
    .with(Operations::rename)
    .with(Operations::delete_many)
    .with(Operations::download_ranges)
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
