//! Runs release functions: rules R3 and R10.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// The guard of the SDK, which reports panics to the host. Set once, by the first plugin that is opened.
static GUARD: OnceLock<fn(&mut dyn FnMut())> = OnceLock::new();

/// Lets `guard` run every later release. Only the first call has an effect.
pub(crate) fn run_under(guard: fn(&mut dyn FnMut())) {
    let _ = GUARD.set(guard);
}

/// Runs a release function. A panic never crosses; without a plugin in this library it is discarded.
pub(super) fn contained(release: impl FnOnce()) {
    let mut release = Some(release);
    let mut once = || {
        if let Some(release) = release.take() {
            release();
        }
    };
    match GUARD.get() {
        Some(guard) => guard(&mut once),
        None => {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(once)) {
                discard(payload);
            }
        }
    }
}

/// Drops the payload of a panic, whose own `Drop` may panic. The payload of that second panic is
/// dropped if it is text and leaked otherwise, so that this ends.
pub(crate) fn discard(payload: Box<dyn std::any::Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
        && !(second.is::<&str>() || second.is::<String>())
    {
        std::mem::forget(second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_release_is_contained() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("second");
            }
        }
        contained(|| std::panic::panic_any(Bomb));
        let mut ran = false;
        contained(|| ran = true);
        assert!(ran);
    }
}
