//! How long a body may stand still.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// The time since a body moved.
pub(crate) struct Idle {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
}

impl Idle {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: Box::pin(tokio::time::sleep(limit)),
            waiting: false,
        }
    }

    pub(crate) fn moved(&mut self) {
        self.waiting = false;
    }

    /// Ready when the body stood still for too long. Asked whenever it is pending.
    pub(crate) fn poll(idle: &mut Option<Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(Self {
            limit,
            timer,
            waiting,
        }) = idle
        else {
            return Poll::Pending;
        };
        if !std::mem::replace(waiting, true) {
            timer.as_mut().reset(Instant::now() + *limit);
        }
        timer.as_mut().poll(cx)
    }
}
