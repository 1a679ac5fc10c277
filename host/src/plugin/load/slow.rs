//! Polls that hold their caller's thread: a plugin that blocks without saying so.
//!
//! Measured at each poll, so by the coarse clock of the system: its steps of a few milliseconds are fine enough, and
//! reading it twice costs some ten nanoseconds.

use super::Plugin;
use std::time::Duration;

/// A poll that takes longer is logged.
pub(super) const LONG: Duration = Duration::from_millis(50);

/// When a poll began.
#[derive(Clone, Copy)]
pub(super) struct Began(
    #[cfg(target_os = "linux")] Duration,
    #[cfg(not(target_os = "linux"))] std::time::Instant,
);

#[cfg(target_os = "linux")]
fn coarse() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::MonotonicCoarse);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

impl Began {
    #[inline]
    pub(super) fn now() -> Self {
        #[cfg(target_os = "linux")]
        return Self(coarse());
        #[cfg(not(target_os = "linux"))]
        return Self(std::time::Instant::now());
    }

    #[inline]
    fn elapsed(self) -> Duration {
        #[cfg(target_os = "linux")]
        return coarse().saturating_sub(self.0);
        #[cfg(not(target_os = "linux"))]
        return self.0.elapsed();
    }

    /// At the end of a poll.
    #[inline]
    pub(super) fn ended(self, plugin: &Plugin, operation: &'static str) {
        let took = self.elapsed();
        if took > LONG {
            warn(plugin, operation, took);
        }
    }
}

#[cold]
fn warn(plugin: &Plugin, operation: &'static str, took: Duration) {
    tracing::warn!(
        target: "holdall",
        plugin = plugin.descriptor().about.name,
        operation,
        milliseconds = took.as_millis() as u64,
        "a poll of the plugin held its caller's thread; a plugin that blocks says `runtime: blocking` in `export_plugin!`, \
         or has HOLDALL_FLAG_BLOCKING; until it does, `polling = \"spawned\"` of its backends keeps it off that thread"
    );
}
