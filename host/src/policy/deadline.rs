//! How long operations may take.

use holdall_plugin_api::Operation;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest duration of operations: one for all, and others for some.
///
/// ```
/// use holdall::{Operation, policy::Deadlines};
/// use std::time::Duration;
///
/// let seconds = Duration::from_secs;
/// let deadlines = Deadlines::all(seconds(30)).operation(Operation::Upload, seconds(600));
/// assert_eq!(deadlines.of(Operation::Upload), Some(seconds(600)));
/// assert_eq!(deadlines.of(Operation::List), Some(seconds(30)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    default: Option<Duration>,
    by_operation: BTreeMap<&'static str, Duration>,
}

impl Deadlines {
    /// No operation has a deadline.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every operation has this one.
    pub fn all(limit: Duration) -> Self {
        Self {
            default: Some(limit),
            by_operation: BTreeMap::new(),
        }
    }

    /// This operation has another.
    #[must_use]
    pub fn operation(mut self, operation: Operation, limit: Duration) -> Self {
        self.by_operation.insert(operation.name(), limit);
        self
    }

    /// The deadline of an operation. Shutdown has none.
    pub fn of(&self, operation: Operation) -> Option<Duration> {
        if operation == Operation::Shutdown {
            return None;
        }
        let own = match self.by_operation.is_empty() {
            true => None,
            false => self.by_operation.get(operation.name()).copied(),
        };
        own.or(self.default)
    }
}
