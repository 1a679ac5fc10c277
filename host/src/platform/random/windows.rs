//! Random bytes of the system.

/// Fills `out`; false when the system gives none.
pub(crate) fn fill(out: &mut [u8]) -> bool {
    getrandom::fill(out).is_ok()
}
