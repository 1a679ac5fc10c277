//! Polls that held their caller's thread, gathered from the host's warnings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use holdall_cli::kit::Calls;
use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// By operation.
pub(super) type Polls = BTreeMap<String, Long>;

/// Long polls of one operation.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Long {
    polls: u64,
    /// The longest, in milliseconds.
    longest: u64,
    /// Calls of the operation, short ones too.
    calls: u64,
}

impl Long {
    /// A few of many are the fault of a busy machine.
    fn blocks(&self) -> bool {
        self.polls >= 3 && self.polls * 4 >= self.calls
    }
}

/// Listens to the log of this process.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<Mutex<Polls>>);

impl Held {
    /// One that listens from now on.
    pub(super) fn listening() -> Self {
        let held = Self::default();
        let log = tracing_subscriber::registry().with(held.clone());
        // A process of `check` has no other log.
        let _ = tracing::subscriber::set_global_default(log);
        held
    }

    pub(super) fn polls(&self, calls: &Calls) -> Polls {
        let mut polls = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (operation, long) in &mut polls {
            long.calls = match operation.as_str() {
                "a body" => calls.of("download"),
                operation => calls.of(operation),
            };
        }
        polls
    }
}

impl<S: Subscriber> Layer<S> for Held {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() != Level::WARN || event.metadata().target() != "holdall" {
            return;
        }
        let mut poll = Poll::default();
        event.record(&mut poll);
        if let (true, Some(operation), Some(took)) = (poll.held, poll.operation, poll.milliseconds)
        {
            let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let long = polls.entry(operation).or_default();
            long.polls += 1;
            long.longest = took.max(long.longest);
        }
    }
}

/// Fields of a warning.
#[derive(Default)]
struct Poll {
    held: bool,
    operation: Option<String>,
    milliseconds: Option<u64>,
}

impl Visit for Poll {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "milliseconds" {
            self.milliseconds = Some(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "code" => self.held = value == "long_poll",
            "operation" => self.operation = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// Adds what one more process saw.
pub(super) fn add(polls: &mut Polls, more: Polls) {
    for (operation, more) in more {
        let sum = polls.entry(operation).or_default();
        sum.polls += more.polls;
        sum.calls += more.calls;
        sum.longest = sum.longest.max(more.longest);
    }
}

/// What to say of them.
pub(super) fn shown(polls: &Polls) -> Option<String> {
    let each: Vec<_> = polls
        .iter()
        // Once for each instance: `open` may read files and certificates.
        .filter(|(operation, long)| *operation != "open" && long.blocks())
        .map(|(operation, long)| {
            format!(
                "{operation} (polls over 50 ms: {} in {} calls, the longest {} ms)",
                long.polls, long.calls, long.longest
            )
        })
        .collect();
    (!each.is_empty()).then(|| format!("it blocks the thread of its caller: {}", each.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_long_polls_of_many_calls_are_no_warning() {
        let long = |polls, calls| Long {
            polls,
            longest: 80,
            calls,
        };
        let mut polls = Polls::from([("exists".to_owned(), long(2, 2))]);
        assert_eq!(shown(&polls), None);
        add(
            &mut polls,
            Polls::from([("exists".to_owned(), long(3, 400))]),
        );
        assert_eq!(shown(&polls), None);
        add(
            &mut polls,
            Polls::from([("exists".to_owned(), long(300, 300))]),
        );
        let said = shown(&polls).unwrap();
        assert!(
            said.contains("exists (polls over 50 ms: 305 in 702 calls"),
            "{said}"
        );
    }
}
