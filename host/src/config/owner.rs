//! Owner and mode of the configuration, and of files that hold a secret.

use super::TrustRule;
use super::trust_policy::{TrustPolicy, group_rule};
use rustix::fs::Stat;
use rustix::process::geteuid;
use std::path::Path;

const WORLD_WRITE: u32 = 0o002;
const WORLD_READ: u32 = 0o004;
const GROUP_WRITE: u32 = 0o020;

/// Whether this user may own what a host uses: root, or the user of this process.
pub(crate) fn is_trusted_owner(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw()
}

/// Rules for single files: the configuration, and files that hold a secret.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileRules {
    /// Another owner, or write for others.
    pub(super) foreign: TrustRule,
    /// Write for the group; `None` as in [`TrustPolicy::group_writable`].
    pub(super) group_writable: Option<TrustRule>,
    /// Read for others.
    pub(super) readable: TrustRule,
}

impl FileRules {
    /// For secrets.
    pub(super) fn of_secrets(policy: &TrustPolicy) -> Self {
        let group = match policy.secret_files {
            TrustRule::Refuse => policy.group_writable,
            rule => Some(rule),
        };
        Self {
            foreign: policy.secret_files,
            group_writable: group,
            readable: policy.readable_secrets,
        }
    }
}

/// A rule that a file breaks: its word, and what was found.
pub(super) type Finding = (&'static str, String);

/// Judges a file that is open.
///
/// # Errors
///
/// The first rule that it breaks and that refuses.
pub(super) fn of_file(stat: &Stat, path: &Path, rules: &FileRules) -> Result<(), Finding> {
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
            TrustRule::Refuse => return Err((code, found)),
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
    Ok(())
}
