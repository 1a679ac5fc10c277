//! Owner and mode of a file.

use super::{FileRules, Finding};
use crate::config::TrustRule;
use crate::config::trust_policy::group_rule;
use crate::platform::users::is_trusted_owner;
use rustix::fs::fstat;
use std::fs::File;
use std::io;
use std::path::Path;

const WORLD_WRITE: u32 = 0o002;
const WORLD_READ: u32 = 0o004;
const GROUP_WRITE: u32 = 0o020;

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
    let stat = fstat(file)?;
    let mode = stat.st_mode;
    let broken = [
        ("file_owner", !is_trusted_owner(stat.st_uid), rules.foreign),
        (
            "file_world_writable",
            mode & WORLD_WRITE != 0,
            rules.foreign,
        ),
        (
            "file_group_writable",
            mode & GROUP_WRITE != 0,
            group_rule(rules.group_writable),
        ),
        (
            "file_world_readable",
            mode & WORLD_READ != 0,
            rules.readable,
        ),
    ];
    for (code, _, rule) in broken.into_iter().filter(|(_, broken, _)| *broken) {
        let found = format!("owner {}, mode {:04o}", stat.st_uid, mode & 0o7777);
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
