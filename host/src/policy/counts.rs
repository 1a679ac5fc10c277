//! What the policies of a backend have done, counted.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A policy that refuses or ends operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Prefix,
    ReadOnly,
    MaxSize,
    Types,
    Quota,
    Deadline,
    IdleTimeout,
    Concurrency,
    Breaker,
}

/// Each with its key in `[backend.NAME.policy]`.
const REFUSALS: [(Refusal, &str); 9] = [
    (Refusal::Prefix, "prefix"),
    (Refusal::ReadOnly, "read_only"),
    (Refusal::MaxSize, "max_size"),
    (Refusal::Types, "types"),
    (Refusal::Quota, "quota"),
    (Refusal::Deadline, "deadline"),
    (Refusal::IdleTimeout, "idle_timeout"),
    (Refusal::Concurrency, "concurrency"),
    (Refusal::Breaker, "breaker"),
];

#[derive(Debug, Default)]
pub(crate) struct PolicyCounters {
    refused: [AtomicU64; REFUSALS.len()],
    retries: AtomicU64,
    breaker_opened: AtomicU64,
}

impl PolicyCounters {
    pub(crate) fn refused(&self, by: Refusal) {
        self.refused[by as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn breaker_opened(&self) {
        self.breaker_opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> PolicyReport {
        let refused = REFUSALS.iter().map(|(by, name)| {
            let count = self.refused[*by as usize].load(Ordering::Relaxed);
            (*name, count)
        });
        PolicyReport {
            refused: refused.filter(|(_, count)| *count > 0).collect(),
            retries: self.retries.load(Ordering::Relaxed),
            breaker_opened: self.breaker_opened.load(Ordering::Relaxed),
        }
    }
}

/// What the policies of a backend have done since its name was first registered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PolicyReport {
    /// Operations that a policy refused, or whose body or wait it ended, by its key in the configuration. Each attempt
    /// that the open breaker refused counts.
    pub refused: BTreeMap<&'static str, u64>,
    /// Attempts that repeated a failed one.
    pub retries: u64,
    /// Times that the breaker opened after it had been closed.
    pub breaker_opened: u64,
}
