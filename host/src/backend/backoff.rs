//! When the next attempt to open may be made.

use holdall_plugin_api::{Error, Retry};
use std::collections::VecDeque;
use std::time::Duration;
// tokio's clock, so that tests can stop it.
use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// So many instances may be given up within [`WINDOW`] before rebuilding slows down.
const FREE_REBUILDS: usize = 5;
const WINDOW: Duration = Duration::from_secs(60);

/// Failures of one generation: failed opens, and instances that had to be given up.
///
/// After a first failure the next caller tries at once, because most failures are the first
/// start. From the second on, callers get the last error with its retry-after until 100 ms, then
/// 200 ms, up to 30 s have passed. An instance that opens well and faults at once would escape
/// that, so giving up more than five within a minute counts as failing too.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    given_up: VecDeque<Instant>,
    closed: Option<(Instant, Error)>,
}

impl Backoff {
    /// The last error, with the time to wait, while it is too early for another attempt.
    pub(crate) fn refusal(&self) -> Option<Error> {
        let (until, error) = self.closed.as_ref()?;
        let wait = until.saturating_duration_since(Instant::now());
        (!wait.is_zero()).then(|| error.clone().with_retry(Retry::After(wait)))
    }

    /// An open failed.
    pub(crate) fn failed(&mut self, error: &Error) {
        self.failures = self.failures.saturating_add(1);
        self.close(self.failures.saturating_sub(1), error);
    }

    /// An open succeeded.
    pub(crate) fn opened(&mut self) {
        self.failures = 0;
        self.closed = None;
    }

    /// An instance was given up because of this.
    pub(crate) fn gave_up(&mut self, error: &Error) {
        let now = Instant::now();
        self.given_up.push_back(now);
        while let Some(first) = self.given_up.front()
            && now.duration_since(*first) > WINDOW
        {
            self.given_up.pop_front();
        }
        let beyond = self.given_up.len().saturating_sub(FREE_REBUILDS);
        self.close(u32::try_from(beyond).unwrap_or(u32::MAX), error);
    }

    /// Refuses for 100 ms, doubled `step - 1` times; step 0 refuses nothing.
    fn close(&mut self, step: u32, error: &Error) {
        if step == 0 {
            return;
        }
        let factor = 1 << (step - 1).min(16);
        self.closed = Some((
            Instant::now() + FIRST.saturating_mul(factor).min(LONGEST),
            error.clone(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdall_plugin_api::ErrorKind;

    fn wait(backoff: &Backoff) -> Option<Duration> {
        match backoff.refusal()?.retry() {
            Retry::After(wait) => Some(wait),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn once_at_once_then_doubling_to_thirty_seconds() {
        let error = Error::new(ErrorKind::Unavailable);
        let mut backoff = Backoff::default();
        let mut waits = Vec::new();
        for _ in 0..12 {
            backoff.failed(&error);
            waits.push(wait(&backoff).map_or(0, |wait| wait.as_millis()));
            tokio::time::advance(LONGEST).await;
            assert_eq!(wait(&backoff), None, "open again after the wait");
        }
        assert_eq!(
            waits,
            [
                0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000
            ]
        );
        backoff.opened();
        backoff.failed(&error);
        assert_eq!(wait(&backoff), None, "a success forgets");
    }

    #[tokio::test(start_paused = true)]
    async fn five_rebuilds_a_minute_are_free() {
        let error = Error::new(ErrorKind::PluginFault);
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.gave_up(&error);
            backoff.opened();
            assert_eq!(wait(&backoff), None);
        }
        backoff.gave_up(&error);
        assert_eq!(wait(&backoff), Some(FIRST));
        backoff.opened();
        backoff.gave_up(&error);
        assert_eq!(wait(&backoff), Some(2 * FIRST));
        tokio::time::advance(WINDOW + FIRST).await;
        backoff.gave_up(&error);
        assert_eq!(wait(&backoff), None, "the window has passed");
    }
}
