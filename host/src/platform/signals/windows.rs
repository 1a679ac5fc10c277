//! Signal handlers of the process. Windows has none.
//!
//! Handlers of console events are a list to which code can only add; it cannot be read, so that a handler of a
//! plugin is not seen.

use std::ops::Range;

/// The handlers of one moment: none.
#[derive(Clone, Debug)]
pub struct Handlers(());

impl Handlers {
    /// The handlers of now.
    #[must_use]
    pub fn save() -> Self {
        Self(())
    }

    /// Puts nothing back: no handler is known.
    pub(crate) fn restore(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Puts nothing back: no handler is known.
    pub fn restore_only(&self, _signals: &[i32]) -> Vec<&'static str> {
        Vec::new()
    }

    /// Puts nothing back: no handler is known.
    pub(crate) fn restore_from(&self, _code: &[Range<usize>]) -> Vec<&'static str> {
        Vec::new()
    }
}
