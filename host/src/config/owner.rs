//! Owner and mode of the configuration, and of files that hold a secret.

#[cfg_attr(unix, path = "owner/unix.rs")]
#[cfg_attr(windows, path = "owner/windows.rs")]
mod system;

use super::TrustRule;
use super::trust_policy::{TrustPolicy, group_rule};
use std::fs::File;
use std::io;
use std::path::Path;

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

/// What a file breaks: for each rule what was found.
struct Broken {
    owner: Option<String>,
    world_writable: Option<String>,
    group_writable: Option<String>,
    world_readable: Option<String>,
}

/// Judges a file that is open.
///
/// Returns the first rule that it breaks and that refuses.
///
/// # Errors
///
/// What the operating system says.
pub(super) fn of_file(
    file: &File,
    path: &Path,
    rules: &FileRules,
) -> io::Result<Result<(), Finding>> {
    let broken = system::broken(file)?;
    let group = group_rule(rules.group_writable);
    for (code, found, rule) in [
        ("file_owner", broken.owner, rules.foreign),
        ("file_world_writable", broken.world_writable, rules.foreign),
        ("file_group_writable", broken.group_writable, group),
        ("file_world_readable", broken.world_readable, rules.readable),
    ] {
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
