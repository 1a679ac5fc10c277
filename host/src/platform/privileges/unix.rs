//! Rights that a process has beyond its caller's.

/// Whether the kernel marked this process as one with more rights than its caller (`AT_SECURE`):
/// set-user-ID, set-group-ID or file capabilities. Its environment is the caller's choice then.
pub fn are_raised() -> bool {
    // SAFETY: `getauxval` takes any number, and answers 0 for what the kernel did not pass on.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_plain_process_has_no_more_rights() {
        assert!(!super::are_raised());
    }
}
