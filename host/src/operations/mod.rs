//! What a [`Backend`](crate::Backend) does: checks, the plugin's part, and what the host composes
//! where the plugin has no such operation.

mod copy;
mod custom;
mod delete;
mod download;
mod health;
mod list;
mod parts;
mod ranges;
mod reconcile;
mod rename;
mod shutdown;
mod signed_url;
mod update;
mod upload;
mod usage;
mod versions;

mod attempts;
#[cfg(unix)]
mod buffers;
mod calls;
mod content_type;
mod download_body;
mod etag;
#[cfg(unix)]
mod file_body;
mod idle;
mod page_token;
mod quota;
mod replay;
mod spool;
mod upload_body;

pub use delete::DeletedPrefix;
pub use ranges::Ranges;

use crate::backend::generation::Opened;
use crate::backend::scope::Scope;
use crate::policy::{Guards, Refusal};
use holdall_plugin_api::{Capability, Error, ErrorKind, Operation, Result};

/// # Errors
///
/// `Unsupported`: the plugin has no such operation.
fn needs(opened: &Opened, operation: Operation) -> Result<()> {
    if opened.has(operation) {
        return Ok(());
    }
    Err(Error::unsupported("the plugin has no such operation").with_fact("operation", operation))
}

/// # Errors
///
/// `Unsupported`: the backend does not claim the capability.
fn claimed(claims: bool, capability: Capability) -> Result<()> {
    if claims {
        return Ok(());
    }
    Err(
        Error::unsupported(format!("the backend does not claim `{capability}`"))
            .with_fact("capability", capability),
    )
}

/// # Errors
///
/// `Unsupported`: the backend is read-only.
fn may_write(scope: &Scope<'_>) -> Result<()> {
    let allowed = scope.guards().map_or(Ok(()), Guards::may_write);
    allowed.inspect_err(|_| scope.refused(Refusal::ReadOnly))
}

/// The plugin broke the contract.
pub(crate) fn fault(what: &'static str) -> Error {
    Error::new(ErrorKind::PluginFault).with_message(what)
}
