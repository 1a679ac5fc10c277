//! Policies as metrics: what each of them has refused, and what was repeated.

use std::fmt;

use holdall::Status;
use prometheus_client::encoding::DescriptorEncoder;

use super::metrics::{counter, gauge};

pub(super) fn encode(status: &Status, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let each = || {
        let backends = status.backends.iter();
        backends.map(|it| (("backend", it.name.as_str()), &it.counters.policies))
    };
    let refused = each().flat_map(|(backend, policies)| {
        let refused = policies.refused.iter();
        refused.map(move |(policy, count)| ([backend, ("policy", *policy)], *count))
    });
    counter(
        encoder,
        "holdall_policy_refused",
        "Operations that a policy of the backend has refused or ended, by policy",
        refused,
    )?;
    counter(
        encoder,
        "holdall_policy_retries",
        "Attempts that repeated a failed one",
        each().map(|(backend, policies)| ([backend], policies.retries)),
    )?;
    counter(
        encoder,
        "holdall_policy_breaker_opened",
        "Times that the breaker of the backend opened",
        each().map(|(backend, policies)| ([backend], policies.breaker_opened)),
    )?;
    gauge(
        encoder,
        "holdall_policy_breaker_open",
        "1 while the breaker of the backend is open",
        status.backends.iter().filter_map(|it| {
            let backend = ("backend", it.name.as_str());
            Some(([backend], i64::from(it.breaker_open?)))
        }),
    )
}
