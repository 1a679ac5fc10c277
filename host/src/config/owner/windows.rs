//! Owner and access control list of a file.

use super::Broken;
use crate::platform::access::{Access, CHANGE_FILE, Holder, READ_FILE};
use crate::platform::users::is_trusted_owner;
use std::fs::File;
use std::io;

/// # Errors
///
/// What the operating system says.
pub(super) fn broken(file: &File) -> io::Result<Broken> {
    let access = Access::of(file)?;
    let (writer, reader) = (access.holder(CHANGE_FILE), access.holder(READ_FILE));
    let is_foreign = !is_trusted_owner(&access.owner);
    Ok(Broken {
        owner: is_foreign.then(|| format!("owner {}", access.owner)),
        world_writable: world(writer.as_ref(), "write"),
        group_writable: other(writer.as_ref()),
        world_readable: world(reader.as_ref(), "read"),
    })
}

fn world(holder: Option<&Holder>, right: &str) -> Option<String> {
    match holder {
        Some(Holder::World(group)) => Some(format!("{right} for {group}")),
        _ => None,
    }
}

fn other(holder: Option<&Holder>) -> Option<String> {
    match holder {
        Some(Holder::Other(user)) => Some(format!("write for {user}")),
        _ => None,
    }
}
