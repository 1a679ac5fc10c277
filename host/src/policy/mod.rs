//! What the host enforces between a caller and a backend, whatever the plugin: one file for each policy.
//!
//! The order is fixed. Before the plugin is called: key policy, prefix, read-only, size, file type, quota.
//! Around the operation: deadline, then concurrency. Around each attempt (`operations/calls.rs`): retry, then breaker.
//! A backend without `[backend.NAME.policy]` has no guards, and its calls go straight to the plugin.

mod breaker;
mod concurrency;
pub(crate) mod counts;
mod deadline;
pub(crate) mod file_type;
pub(crate) mod idle_timeout;
mod prefix;
mod quota;
mod read_only;
pub(crate) mod retry;
mod size;

pub use counts::PolicyReport;
pub use deadline::Deadlines;
pub use file_type::{FileTypes, Mismatch};
use holdall_plugin_api::{Operation, SignUrl};
pub use quota::{OWNER_QUOTA, Quota};
use std::time::Duration;

pub(crate) use concurrency::Turn;
use counts::PolicyCounters;
pub(crate) use counts::Refusal;
pub(crate) use prefix::RULE as PREFIX_RULE;

/// Default of `max_size`, in bytes.
pub const MAX_SIZE: u64 = 10 << 20;
/// Default of `deadline` and `idle_timeout`.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Default of `concurrency`.
pub const CONCURRENCY: u32 = 64;

/// The policies of one backend: `[backend.NAME.policy]`, or [`Registration::policy`](crate::Registration::policy).
///
/// `None` and the default of each field: not enforced.
///
/// ```
/// use holdall::policy::{FileTypes, Policy, Retries};
///
/// let mut policy = Policy::new();
/// policy.prefix = Some("tenants/a/".to_owned());
/// policy.max_size = Some(10 << 20);
/// policy.types = Some(FileTypes::new(["image/*", "application/pdf"]));
/// policy.retry = Some(Retries::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Every key lies under this prefix in the store, which callers never see. Ends in `/`.
    pub prefix: Option<String>,
    /// Operations that change something are `Unsupported`.
    pub read_only: bool,
    /// Largest object that may be uploaded, in bytes.
    pub max_size: Option<u64>,
    /// Content types that may be uploaded.
    pub types: Option<FileTypes>,
    /// Most bytes that may be stored.
    pub quota: Option<Quota>,
    /// Longest duration of each operation.
    pub deadline: Deadlines,
    /// Longest time that the body of an upload or download may stand still.
    pub idle_timeout: Option<Duration>,
    /// Most operations at once. Later ones wait in order of arrival.
    pub concurrency: Option<u32>,
    /// Repeats of failed attempts.
    pub retry: Option<Retries>,
    /// When the backend is left alone for a time.
    pub breaker: Option<Breaker>,
}

/// Repeats of failed attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retries {
    /// Most attempts, the first included. Repeats that the plugin makes itself
    /// ([`Limits::retries`](crate::Limits)) count.
    pub attempts: u32,
    /// Wait before the second attempt; doubles each time, with a random part of up to its own length.
    pub first: Duration,
    /// Longest wait. An error that asks for a longer one is answered at once.
    pub max: Duration,
}

impl Default for Retries {
    /// 3 attempts, waits of 100 ms to 5 s.
    fn default() -> Self {
        Self {
            attempts: 3,
            first: Duration::from_millis(100),
            max: Duration::from_secs(5),
        }
    }
}

/// When a backend that is down is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Breaker {
    /// Attempts that fail in a row before it opens.
    pub failures: u32,
    /// Time until one attempt is let through again.
    pub open_for: Duration,
}

impl Default for Breaker {
    /// 5 failures, 10 s.
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Duration::from_secs(10),
        }
    }
}

impl Policy {
    /// Enforces nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is enforced.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks what a schema cannot.
    ///
    /// # Errors
    ///
    /// The field that is wrong, and what was found.
    pub(crate) fn check(&self) -> Result<(), (&'static str, String)> {
        let prefix = self.prefix.as_deref().map_or(Ok(()), prefix::check);
        prefix.map_err(|found| ("prefix", found))
    }
}

/// The policies of one registration, with their state.
#[derive(Debug)]
pub(crate) struct Guards {
    pub(crate) prefix: Option<prefix::Prefix>,
    read_only: bool,
    pub(crate) max_size: Option<u64>,
    pub(crate) types: Option<FileTypes>,
    pub(crate) quota: Option<Quota>,
    deadline: Deadlines,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) concurrency: Option<concurrency::Concurrency>,
    pub(crate) retry: Option<Retries>,
    pub(crate) breaker: Option<breaker::State>,
}

impl Guards {
    /// `None` when nothing is enforced.
    pub(crate) fn new(policy: &Policy, max_wait: Duration) -> Option<Box<Self>> {
        if policy.is_empty() {
            return None;
        }
        Some(Box::new(Self {
            prefix: policy.prefix.as_deref().map(prefix::Prefix::new),
            read_only: policy.read_only,
            max_size: policy.max_size,
            types: policy.types.clone(),
            quota: policy.quota,
            deadline: policy.deadline.clone(),
            idle_timeout: policy.idle_timeout,
            concurrency: policy
                .concurrency
                .map(|most| concurrency::Concurrency::new(most, max_wait)),
            retry: policy.retry.clone(),
            breaker: policy.breaker.clone().map(breaker::State::new),
        }))
    }

    pub(crate) fn deadline(&self, operation: Operation) -> Option<Duration> {
        self.deadline.of(operation)
    }

    /// The host itself ended an operation at its deadline: the backend hangs.
    pub(crate) fn timed_out(&self, counts: &PolicyCounters) {
        if let Some(breaker) = &self.breaker {
            breaker.failed(counts);
        }
    }

    /// Whether the breaker is open; `None` when there is none.
    pub(crate) fn breaker_is_open(&self) -> Option<bool> {
        self.breaker.as_ref().map(breaker::State::is_open)
    }

    /// Whether a URL may be signed by the store, which then enforces nothing of ours but the bound size.
    pub(crate) fn may_sign_natively(&self, sign: &SignUrl<'_>) -> bool {
        use holdall_plugin_api::Method;
        match sign.method {
            Method::Put => self.types.is_none() && self.quota.is_none(),
            Method::Delete => self.quota.is_none(),
            _ => true,
        }
    }
}
