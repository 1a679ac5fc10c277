//! Spans of the program around running operations, for lines that a plugin logs from threads of its own.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tracing::Span;

/// Spans by the id of the request, with the number of calls that run within each.
type Running = HashMap<Arc<str>, (Span, usize)>;

static RUNNING: LazyLock<Mutex<Running>> = LazyLock::new(Mutex::default);

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the span of a call, until it is dropped.
#[derive(Debug)]
pub(crate) struct KeptSpan(Arc<str>);

impl KeptSpan {
    /// Keeps a span under the id of the request.
    pub(crate) fn new(request_id: &Arc<str>, span: Span) -> Arc<Self> {
        let mut running = running();
        let kept = running.entry(request_id.clone()).or_insert((span, 0));
        kept.1 += 1;
        Arc::new(Self(request_id.clone()))
    }
}

impl Drop for KeptSpan {
    fn drop(&mut self) {
        let mut running = running();
        let last = running.get_mut(&self.0).is_some_and(|kept| {
            kept.1 -= 1;
            kept.1 == 0
        });
        if last {
            let ended = running.remove(&self.0);
            // A subscriber may log when a span ends.
            drop(running);
            drop(ended);
        }
    }
}

/// The span of the request, or that of this thread.
pub(super) fn of(request_id: Option<&str>) -> Span {
    let here = Span::current();
    if !here.is_none() {
        return here;
    }
    let kept = request_id.and_then(|id| Some(running().get(id)?.0.clone()));
    kept.unwrap_or(here)
}
