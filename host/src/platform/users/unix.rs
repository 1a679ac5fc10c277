//! Users of the machine.

use rustix::process::geteuid;

/// Whether this user may own what a host uses: root, or the user of this process.
pub(crate) fn is_trusted_owner(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw()
}

/// Whether this process has every right.
pub(crate) fn is_root() -> bool {
    geteuid().is_root()
}
