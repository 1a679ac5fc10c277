//! Owner and access control list of a file.

use super::{FileRules, Finding};
use crate::config::TrustRule;
use crate::config::trust_policy::group_rule;
use crate::platform::access::{Access, CHANGE_FILE, Holder, READ_FILE};
use crate::platform::users::is_trusted_owner;
use std::fs::File;
use std::io;
use std::path::Path;

/// Judges a file that is open.
///
/// Returns the first rule that it breaks and that refuses.
///
/// # Errors
///
/// What the operating system says.
pub(in crate::config) fn of_file(
    file: &File,
    path: &Path,
    rules: &FileRules,
) -> io::Result<Result<(), Finding>> {
    let access = Access::of(file)?;
    let (writer, reader) = (access.holder(CHANGE_FILE), access.holder(READ_FILE));
    let is_foreign = !is_trusted_owner(&access.owner);
    let broken = [
        (
            "file_owner",
            is_foreign.then(|| format!("owner {}", access.owner)),
            rules.foreign,
        ),
        (
            "file_world_writable",
            world(writer.as_ref(), "write"),
            rules.foreign,
        ),
        (
            "file_group_writable",
            other(writer.as_ref()),
            group_rule(rules.group_writable),
        ),
        (
            "file_world_readable",
            world(reader.as_ref(), "read"),
            rules.readable,
        ),
    ];
    for (code, found, rule) in broken {
        let Some(found) = found else { continue };
        match rule {
            TrustRule::Refuse => return Ok(Err((code, found))),
            TrustRule::Warn => tracing::warn!(
                target: "holdall",
                code,
                path = %path.display(),
                found,
                "other users can change or read a file of the configuration",
            ),
            TrustRule::Allow => {}
        }
    }
    Ok(Ok(()))
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
