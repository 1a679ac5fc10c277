//! Refused credentials, counted by client.
//!
//! A client over its budget is answered 429 instead of 401 or 403, and its connection ends. Credentials
//! that are good are never throttled: tokens have 256 random bits, so the bound is there to make a
//! flood of refusals expensive, and many clients may share one address.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Clients that are counted apart; others share a count. Bounds the memory to 32 KiB.
const SLOTS: usize = 4096;
const MINUTE: u64 = 60_000;

pub(crate) struct Throttle {
    started: Instant,
    hasher: RandomState,
    /// For each client, the time in milliseconds at which its failures are paid off (GCRA).
    paid_off: Box<[AtomicU64]>,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            hasher: RandomState::new(),
            paid_off: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Counts a failure; how long to wait when there were too many. `per_minute` 0: no bound.
    pub(crate) fn failed(&self, client: IpAddr, per_minute: u32) -> Option<Duration> {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.failed_at(now, client, per_minute)
    }

    fn failed_at(&self, now: u64, client: IpAddr, per_minute: u32) -> Option<Duration> {
        let cost = MINUTE.checked_div(u64::from(per_minute))?.max(1);
        let slot = self.hasher.hash_one(network(client)) as usize % SLOTS;
        let mut over = None;
        let _ = self.paid_off[slot].try_update(Ordering::Relaxed, Ordering::Relaxed, |at| {
            let at = at.max(now) + cost;
            over = (at - now).checked_sub(MINUTE).filter(|over| *over > 0);
            over.is_none().then_some(at)
        });
        over.map(Duration::from_millis)
    }
}

/// One subscriber has a whole /64 of IPv6.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_of_failures_is_for_one_client_and_comes_back() {
        let throttle = Throttle::new();
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        for _ in 0..10 {
            assert_eq!(throttle.failed_at(5, one, 10), None);
        }
        let wait = throttle.failed_at(5, one, 10).unwrap();
        assert_eq!(wait, Duration::from_secs(6));
        assert_eq!(throttle.failed_at(6005, one, 10), None);
        assert!(throttle.failed_at(6005, one, 10).is_some());
        assert_eq!(throttle.failed_at(5, one, 0), None, "no bound");
        // In another slot but for one case in 4096: then they share a count.
        let shared = |a, b| {
            throttle.hasher.hash_one(a) as usize % SLOTS
                == throttle.hasher.hash_one(b) as usize % SLOTS
        };
        assert!(throttle.failed_at(5, other, 10).is_none() || shared(one, other));
    }

    #[test]
    fn addresses_of_one_subscriber_are_one_client() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
