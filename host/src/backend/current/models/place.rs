//! Properties of a place, under each order of its threads that shuttle tries.

use super::super::*;
use super::model;
use shuttle::thread;
use std::sync::Weak;

/// A generation that asks its place something when it ends.
struct Entry {
    number: u64,
    text: &'static str,
    of: Weak<Place<Entry>>,
}

impl Numbered for Entry {
    fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(place) = self.of.upgrade() {
            // Waits without end if it ends under the lock.
            drop(place.lock());
        }
    }
}

fn entry(place: &Arc<Place<Entry>>, number: u64, text: &'static str) -> Arc<Entry> {
    let of = Arc::downgrade(place);
    Arc::new(Entry { number, text, of })
}

fn register(place: &Arc<Place<Entry>>, text: &'static str) -> u64 {
    place.register(|number| entry(place, number, text))
}

#[test]
fn the_last_to_register_stays() {
    model(|| {
        let place = Arc::new(Place::new());
        let others = ["a", "b"].map(|text| {
            let place = place.clone();
            thread::spawn(move || register(&place, text))
        });
        let mut numbers = others.map(|other| other.join().unwrap());
        let current = place.current().unwrap();
        assert_eq!(current.number, 2);
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
    });
}

#[test]
fn an_upgrade_replaces_only_what_it_was_made_for() {
    model(|| {
        let place = Arc::new(Place::new());
        register(&place, "old");
        let old = place.current().unwrap();
        let registered = {
            let place = place.clone();
            thread::spawn(move || register(&place, "registered"))
        };
        let upgraded = {
            let (place, old) = (place.clone(), old.clone());
            thread::spawn(move || {
                let next = entry(&place, old.number + 1, "upgraded");
                place.switch(&old, next)
            })
        };
        let (number, switched) = (registered.join().unwrap(), upgraded.join().unwrap());
        // What a program registered is never undone by an upgrade, in any order.
        assert_eq!(place.current().unwrap().text, "registered");
        assert_eq!(number, if switched { 3 } else { 2 });
    });
}

#[test]
fn an_upgrade_never_brings_back_what_was_removed() {
    model(|| {
        let place = Arc::new(Place::new());
        register(&place, "old");
        let old = place.current().unwrap();
        let removed = {
            let place = place.clone();
            thread::spawn(move || place.remove())
        };
        let next = entry(&place, old.number + 1, "upgraded");
        place.switch(&old, next);
        assert!(removed.join().unwrap());
        assert!(place.current().is_none());
        assert!(!place.is_taken());
    });
}
