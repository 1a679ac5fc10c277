//! Properties of a flight, under each order of its threads that shuttle tries.

use super::super::*;
use super::model;
use shuttle::future::{block_on, spawn};
use shuttle::thread;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// An instance that asks its flight something when it ends, as a plugin may through the host.
struct Made {
    attempt: u64,
    of: Weak<Store>,
    given_up: AtomicBool,
}

impl Kept for Made {
    fn is_usable(&self) -> bool {
        !self.is_given_up()
    }

    fn is_given_up(&self) -> bool {
        self.given_up.load(SeqCst)
    }

    fn give_up(&self) -> bool {
        self.given_up.swap(true, SeqCst)
    }

    fn is_ended(&self) -> bool {
        false
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(store) = self.of.upgrade() {
            // Waits without end if it ends under the lock.
            store.flight.state_name();
            store.ended.fetch_add(1, SeqCst);
        }
    }
}

struct Store {
    flight: Flight<Made>,
    counters: Counters,
    made: AtomicU64,
    ended: AtomicU64,
}

impl Store {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            flight: Flight::new(),
            counters: Counters::default(),
            made: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        })
    }

    /// As a generation opens.
    fn join(self: &Arc<Self>) -> Result<Opening<Made>> {
        self.flight.join(&self.counters, |attempt| {
            let this = self.clone();
            let task = spawn(async move {
                shuttle::future::yield_now().await;
                this.made.fetch_add(1, SeqCst);
                let made = Made {
                    attempt,
                    of: Arc::downgrade(&this),
                    given_up: AtomicBool::new(false),
                };
                let outcome = Ok(Arc::new(made));
                this.flight.finish(attempt, &outcome, &this.counters);
                outcome
            });
            Ok(async move { task.await.unwrap() })
        })
    }

    fn open(self: &Arc<Self>) -> Arc<Made> {
        block_on(self.join().unwrap()).unwrap()
    }

    fn evictions(&self) -> u64 {
        self.counters.evictions.load(SeqCst)
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::PermissionDenied)
}

#[test]
fn callers_share_one_attempt() {
    model(|| {
        let store = Store::new();
        let others = [(); 2].map(|()| {
            let store = store.clone();
            thread::spawn(move || store.open())
        });
        let mine = store.open();
        for other in others {
            assert!(Arc::ptr_eq(&mine, &other.join().unwrap()));
        }
        assert_eq!(store.made.load(SeqCst), 1);
        assert!(Arc::ptr_eq(&mine, &store.flight.live().unwrap()));
    });
}

#[test]
fn a_caller_that_leaves_ends_nothing() {
    model(|| {
        let store = Store::new();
        let leaver = {
            let store = store.clone();
            thread::spawn(move || drop(store.join().unwrap().now_or_never()))
        };
        let mine = store.open();
        leaver.join().unwrap();
        assert_eq!(store.made.load(SeqCst), 1);
        assert!(Arc::ptr_eq(&mine, &store.flight.live().unwrap()));
    });
}

#[test]
fn an_attempt_that_was_overtaken_stays_with_its_callers() {
    model(|| {
        let store = Store::new();
        let other = {
            let store = store.clone();
            thread::spawn(move || store.open())
        };
        store.flight.reset();
        let mine = store.open();
        let others = other.join().unwrap();
        // What serves after the reset was made after it.
        assert!(Arc::ptr_eq(&mine, &store.flight.live().unwrap()));
        assert!(others.attempt <= mine.attempt);
    });
}

#[test]
fn what_was_given_up_never_serves_again() {
    model(|| {
        let store = Store::new();
        let bad = store.open();
        let others = [(); 2].map(|()| {
            let (store, bad) = (store.clone(), bad.clone());
            thread::spawn(move || {
                store.flight.give_up(&bad, &refused(), &store.counters);
                let next = store.open();
                assert!(!Arc::ptr_eq(&next, &bad));
            })
        });
        let mine = store.open();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(store.evictions(), 1);
        let live = store.flight.live().unwrap();
        assert!(!Arc::ptr_eq(&live, &bad));
        assert!(Arc::ptr_eq(&mine, &bad) || Arc::ptr_eq(&mine, &live));
        assert_eq!(store.made.load(SeqCst), 2);
    });
}

#[test]
fn an_instance_that_no_operation_reported_is_replaced_and_ends_outside_of_the_lock() {
    model(|| {
        let store = Store::new();
        drop(store.open());
        let others = [(); 2].map(|()| {
            let store = store.clone();
            thread::spawn(move || {
                if let Some(live) = store.flight.live() {
                    // As a fault in a body does: no operation is there to say it.
                    live.give_up();
                }
                drop(store.open());
            })
        });
        store.flight.reset();
        for other in others {
            other.join().unwrap();
        }
        let (made, ended) = (store.made.load(SeqCst), store.ended.load(SeqCst));
        let kept = u64::from(store.flight.kept().is_some());
        assert_eq!(made, ended + kept);
    });
}
