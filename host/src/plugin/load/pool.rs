//! The threads that call plugins which block: one bounded pool for the process.
//!
//! Of our own, so that a host works on any executor, and so that a plugin that hangs takes no
//! thread from the program's. Threads start when they are needed and end when they idle.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Most threads at once. An upload holds one for as long as its caller takes to send the bytes, so
/// that there have to be more than there is work for.
const THREADS: usize = 256;
/// Most of them for one plugin: one that never returns leaves the rest to the others.
const SHARE: usize = 192;
/// A thread that had nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    /// One for each operation that may run. The queue of waiting ones is theirs, not ours: a caller that
    /// gives up while waiting has never been here.
    turns: Semaphore,
    queue: Mutex<Queue>,
    work: Condvar,
}

struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static POOL: Pool = Pool {
    turns: Semaphore::const_new(THREADS),
    queue: Mutex::new(Queue {
        jobs: VecDeque::new(),
        threads: 0,
        idle: 0,
    }),
    work: Condvar::new(),
};

thread_local! {
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// How many threads one plugin has at once.
#[derive(Clone, Debug)]
pub(super) struct Share(Arc<Semaphore>);

/// Leave to run one job; given back when it is dropped.
pub(super) struct Turn {
    _share: Option<OwnedSemaphorePermit>,
    _turn: Option<SemaphorePermit<'static>>,
}

impl Share {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(SHARE)))
    }

    /// Waits, first come, first served.
    pub(super) async fn turn(&self) -> Turn {
        // Neither is ever closed, so both are always given.
        let share = self.0.clone().acquire_owned().await.ok();
        Turn {
            _share: share,
            _turn: POOL.turns.acquire().await.ok(),
        }
    }
}

/// Runs a job in the pool. False: no thread could be started, so that it waits for better times.
pub(super) fn spawn(job: impl FnOnce() + Send + 'static) -> bool {
    POOL.spawn(Box::new(job))
}

/// Runs what may block, now in a thread of the pool and otherwise soon in one: drops of a plugin's
/// things, without a waiting caller.
pub(super) fn off_the_caller(job: impl FnOnce() + Send + 'static) {
    if IS_OURS.get() {
        job();
    } else {
        spawn(job);
    }
}

impl Pool {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&'static self, job: Job) -> bool {
        let mut queue = self.queue();
        queue.jobs.push_back(job);
        if queue.idle >= queue.jobs.len() {
            self.work.notify_one();
            return true;
        }
        if queue.threads == THREADS {
            return true;
        }
        queue.threads += 1;
        drop(queue);
        let started = std::thread::Builder::new()
            .name("holdall-blocking".to_owned())
            .spawn(|| self.run());
        if started.is_ok() {
            return true;
        }
        let mut queue = self.queue();
        queue.threads -= 1;
        queue.threads > 0
    }

    fn run(&self) {
        IS_OURS.set(true);
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // Jobs answer for their own panics; this keeps the count of threads right.
                let _ = catch_unwind(AssertUnwindSafe(job));
                queue = self.queue();
                continue;
            }
            queue.idle += 1;
            let (woken, waited) = self
                .work
                .wait_timeout(queue, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            queue.idle -= 1;
            if waited.timed_out() && queue.jobs.is_empty() {
                queue.threads -= 1;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn jobs_run_at_once_and_elsewhere() {
        let (to, from) = mpsc::channel();
        let (gate, opened) = mpsc::channel::<()>();
        let opened = Arc::new(Mutex::new(opened));
        for number in 0..4 {
            let (to, opened) = (to.clone(), opened.clone());
            assert!(spawn(move || {
                to.send((number, std::thread::current().id())).unwrap();
                let _ = opened.lock().unwrap().recv();
            }));
        }
        // All four have begun, although none of them ends before the gate opens.
        let mut begun: Vec<_> = (0..4)
            .map(|_| from.recv_timeout(Duration::from_secs(60)).unwrap())
            .collect();
        drop(gate);
        begun.sort_by_key(|(number, _)| *number);
        assert_eq!(
            begun.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
            [0, 1, 2, 3]
        );
        assert!(
            begun
                .iter()
                .all(|(_, thread)| *thread != std::thread::current().id())
        );
    }

    #[test]
    fn a_panic_costs_no_thread() {
        let (to, from) = mpsc::channel();
        spawn(|| panic!("on purpose"));
        off_the_caller(move || {
            // Already there, so it runs in place.
            let here = std::thread::current().id();
            off_the_caller(move || to.send(std::thread::current().id() == here).unwrap());
        });
        assert!(from.recv_timeout(Duration::from_secs(60)).unwrap());
    }

    #[tokio::test]
    async fn one_plugin_never_has_all_turns() {
        let (greedy, other) = (Share::new(), Share::new());
        let mut held = Vec::new();
        for _ in 0..SHARE {
            held.push(greedy.turn().await);
        }
        assert!(
            tokio::time::timeout(Duration::from_millis(50), greedy.turn())
                .await
                .is_err()
        );
        let turn = tokio::time::timeout(Duration::from_secs(60), other.turn()).await;
        assert!(turn.is_ok());
        drop(held.pop());
        assert!(
            tokio::time::timeout(Duration::from_secs(60), greedy.turn())
                .await
                .is_ok()
        );
    }
}
