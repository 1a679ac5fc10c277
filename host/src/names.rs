//! From names to places: a hash table that only grows.
//!
//! A place outlives the backend that has it, so none is ever taken out. That is why a look needs no
//! guard against its end: a cell is written once and read as it is. A concurrent map that can remove
//! pays for that with every look: `scripts/bench` has the figures beside papaya.

use foldhash::fast::RandomState;
use std::hash::BuildHasher;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Cells of the first table; each further one has twice as many.
const FIRST: usize = 32;
/// Enough for any memory: two thousand million cells.
const TABLES: usize = 26;

/// Open addressing with linear probing, at most half full.
type Table<T> = Box<[OnceLock<T>]>;

/// What knows its own name.
pub(crate) trait Named {
    fn name(&self) -> &str;
}

pub(crate) struct Names<T> {
    tables: [OnceLock<Table<T>>; TABLES],
    /// Held by whoever adds a name.
    last: Mutex<Last>,
    /// Not the standard library's, which defends against keys that an adversary puts in and costs
    /// more than the rest: names come from whoever configures the host.
    hasher: RandomState,
}

/// The table that takes new names, and how many it has.
#[derive(Default)]
struct Last {
    table: usize,
    names: usize,
}

impl<T: Named> Names<T> {
    pub(crate) fn new() -> Self {
        Self {
            tables: [const { OnceLock::new() }; TABLES],
            last: Mutex::default(),
            hasher: RandomState::default(),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        let hash = self.hasher.hash_one(name) as usize;
        let mut tables = self.tables.iter().map_while(OnceLock::get);
        tables.find_map(|table| {
            let mut taken = cells(table, hash).map_while(OnceLock::get);
            taken.find(|one| one.name() == name)
        })
    }

    pub(crate) fn get_or_insert(&self, name: &str, new: impl FnOnce() -> T) -> &T {
        if let Some(one) = self.get(name) {
            return one;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have been faster.
        if let Some(one) = self.get(name) {
            return one;
        }
        if last.names * 2 == FIRST << last.table {
            *last = Last {
                table: last.table + 1,
                names: 0,
            };
        }
        let new_table = || (0..FIRST << last.table).map(|_| OnceLock::new()).collect();
        let table = self.tables[last.table].get_or_init(new_table);
        last.names += 1;
        let hash = self.hasher.hash_one(name) as usize;
        let mut free = cells(table, hash).filter(|cell| cell.get().is_none());
        match free.next() {
            Some(cell) => cell.get_or_init(new),
            None => unreachable!("half of the cells are free"),
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        let tables = self.tables.iter().map_while(OnceLock::get);
        tables.flat_map(|table| table.iter().filter_map(OnceLock::get))
    }
}

/// The cells of a table in the order in which a hash looks at them.
fn cells<T>(table: &Table<T>, hash: usize) -> impl Iterator<Item = &OnceLock<T>> {
    let mask = table.len() - 1;
    (0..table.len()).map(move |step| &table[hash.wrapping_add(step) & mask])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread;
    use std::time::Duration;

    impl Named for String {
        fn name(&self) -> &str {
            self
        }
    }

    fn name(n: usize) -> String {
        format!("b-{n}")
    }

    #[test]
    fn what_was_put_in_is_found_again_in_every_table() {
        let names = Names::new();
        for n in 0..500 {
            assert!(names.get(&name(n)).is_none());
            assert_eq!(*names.get_or_insert(&name(n), || name(n)), name(n));
        }
        for n in 0..500 {
            assert_eq!(names.get(&name(n)), Some(&name(n)));
        }
        assert!(names.get("b-500").is_none() && names.get("").is_none());
        let all: HashSet<_> = names.all().cloned().collect();
        assert_eq!((all.len(), names.all().count()), (500, 500));
        // 16 + 32 + 64 + 128 + 256 names, and the rest.
        assert!(names.tables[5].get().is_some() && names.tables[6].get().is_none());
    }

    #[test]
    fn threads_that_add_the_same_names_get_the_same_places() {
        let names = Names::new();
        let all_at_once = Barrier::new(8);
        let add = |n| {
            all_at_once.wait();
            let slowly = || {
                thread::sleep(Duration::from_millis(2));
                name(n)
            };
            std::ptr::from_ref(names.get_or_insert(&name(n), slowly)).addr()
        };
        let places = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..40).map(add).collect::<Vec<_>>()))
                .collect();
            let ends = threads.into_iter().map(|thread| thread.join().unwrap());
            ends.collect::<Vec<_>>()
        });
        assert!(places.iter().all(|of_one| *of_one == places[0]));
        assert_eq!(names.all().count(), 40);
    }
}
