//! Faults and where they apply.

use holdall::{Error, ErrorKind, Operation};
use std::time::Duration;

/// What an operation does wrong. Applies to every call until [`TestBackend::clear`] unless
/// [`times`](Fault::times) or [`on_key`](Fault::on_key) says less.
///
/// [`TestBackend::clear`]: crate::TestBackend::clear
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) action: Action,
    key: Option<String>,
    remaining: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Fail(Error),
    Delay(Duration),
    Hang,
    Pause,
    Panic,
    /// The body ends after so many bytes: with this error, or as if it were complete.
    Cut(u64, Option<Error>),
}

impl Fault {
    fn new(action: Action) -> Self {
        Self {
            action,
            key: None,
            remaining: None,
        }
    }

    /// Fails before the operation does anything, with an error of this kind or with this error.
    ///
    /// ```
    /// use holdall::{Error, ErrorKind};
    /// # use holdall_testing::Fault;
    ///
    /// let by_kind = Fault::error(ErrorKind::Unavailable);
    /// let whole = Fault::error(Error::new(ErrorKind::RateLimited).with_message("slow down"));
    /// ```
    pub fn error(error: impl Into<InjectedError>) -> Self {
        Self::new(Action::Fail(error.into().0))
    }

    /// Starts the operation after this time of tokio's clock.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Action::Delay(delay))
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self::new(Action::Hang)
    }

    /// Waits for [`TestBackend::resume`](crate::TestBackend::resume) before the operation starts.
    pub fn pause() -> Self {
        Self::new(Action::Pause)
    }

    /// Panics inside the plugin.
    pub fn panic() -> Self {
        Self::new(Action::Panic)
    }

    /// Ends the body after so many bytes, without an error. A download sends too little, an upload
    /// stores too little.
    pub fn truncate(bytes: u64) -> Self {
        Self::new(Action::Cut(bytes, None))
    }

    /// Fails the body of a download or upload after so many bytes.
    pub fn break_after(bytes: u64, error: impl Into<InjectedError>) -> Self {
        Self::new(Action::Cut(bytes, Some(error.into().0)))
    }

    /// Applies to operations on this key only; of a copy or rename, the source.
    #[must_use]
    pub fn on_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Applies to so many calls only.
    #[must_use]
    pub fn times(mut self, calls: u32) -> Self {
        self.remaining = Some(calls);
        self
    }
}

/// An error to inject: an [`Error`], or an [`ErrorKind`] for one without further facts.
#[derive(Clone, Debug)]
pub struct InjectedError(Error);

impl From<Error> for InjectedError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<ErrorKind> for InjectedError {
    fn from(kind: ErrorKind) -> Self {
        Self(Error::new(kind).with_message("injected by the test"))
    }
}

/// The faults that are in force, the latest first.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(Operation, Fault)>);

impl Faults {
    pub(crate) fn add(&mut self, operation: Operation, fault: Fault) {
        self.0.insert(0, (operation, fault));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The latest fault that applies to this call; one of a limited number is used up.
    pub(crate) fn take(&mut self, operation: Operation, key: Option<&str>) -> Option<Action> {
        let applies = |(of, fault): &(Operation, Fault)| {
            *of == operation && fault.key.as_deref().is_none_or(|of| Some(of) == key)
        };
        let index = self.0.iter().position(applies)?;
        let fault = &mut self.0[index].1;
        let action = fault.action.clone();
        if let Some(remaining) = &mut fault.remaining {
            *remaining = remaining.saturating_sub(1);
            if *remaining == 0 {
                self.0.remove(index);
            }
        }
        Some(action)
    }
}
