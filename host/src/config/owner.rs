//! Owner and mode of the configuration, and of files that hold a secret.

#[cfg_attr(unix, path = "owner/unix.rs")]
#[cfg_attr(windows, path = "owner/windows.rs")]
mod system;

use super::TrustRule;
use super::trust_policy::TrustPolicy;
pub(super) use system::of_file;

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
