//! The part of a folder that is kept: its smallest names after a bound.

use crate::bound::Bound;
use holdall_plugin_api::Entry;
use std::collections::BTreeMap;

/// One name in a folder.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Another folder.
    Folder,
    /// An object. Its key is filled in by the listing.
    Object(Entry),
    /// Something that cannot be listed, and is counted.
    LeftOut,
}

/// What a reader of a folder fills: it may offer the names in any order, and every one of them.
///
/// Only the smallest are kept, so that a folder of a million names costs no more memory than a page.
#[derive(Debug)]
pub struct FolderNames {
    prefix: String,
    after: Bound,
    keep: usize,
    items: BTreeMap<String, Item>,
    /// Names were offered that did not fit.
    cut: bool,
}

impl FolderNames {
    pub(crate) fn new(prefix: &str, after: Bound, keep: usize) -> Self {
        Self {
            prefix: prefix.to_owned(),
            after,
            keep,
            items: BTreeMap::new(),
            cut: false,
        }
    }

    /// Offers an object of the folder; `entry.key` is its name without the folder.
    pub fn object(&mut self, entry: Entry) {
        let name = entry.key.clone();
        self.offer(name, Item::Object(entry));
    }

    /// Offers a folder of the folder, by its name without any `/`.
    pub fn folder(&mut self, name: &str) {
        // As all keys below it begin, so that it sorts as they do.
        self.offer(format!("{name}/"), Item::Folder);
    }

    /// Offers something in the folder that cannot be listed: its name, its size or the server's
    /// answer is not usable. Counted once, on the page where its name would be; returns whether it is
    /// kept for this page.
    pub fn left_out(&mut self, name: &str) -> bool {
        self.offer(name.to_owned(), Item::LeftOut);
        matches!(self.items.get(name), Some(Item::LeftOut))
    }

    fn offer(&mut self, name: String, item: Item) {
        // A folder whose name is a prefix of the prefix is not one of these: the listing begins in
        // the last folder that the prefix names.
        if !name.starts_with(&self.prefix) || !self.after.admits(&name) {
            return;
        }
        if self.items.len() == self.keep {
            self.cut = true;
            match self.items.last_key_value() {
                Some((last, _)) if *last > name => drop(self.items.pop_last()),
                _ => return,
            }
        }
        self.items.insert(name, item);
    }

    /// The smallest name that is left.
    pub(crate) fn next(&mut self) -> Option<(String, Item)> {
        let (name, item) = self.items.pop_first()?;
        self.after = Bound::After(name.clone());
        Some((name, item))
    }

    /// Empties itself for another look at the folder, when the last one did not hold all.
    pub(crate) fn renew(&mut self) -> bool {
        std::mem::take(&mut self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_names_are_kept_in_order() {
        let mut names = FolderNames::new("", Bound::From(String::new()), 3);
        for name in ["e", "a", "d", "b", "c"] {
            names.object(Entry::new(name, 1));
        }
        names.folder("a");
        let mut kept = Vec::new();
        while let Some((name, _)) = names.next() {
            kept.push(name);
        }
        assert_eq!(kept, ["a", "a/", "b"]);
        assert!(names.renew());
        assert!(!names.renew());
    }

    #[test]
    fn bound_and_prefix_hold() {
        let mut names = FolderNames::new("ab", Bound::After("ab1".into()), 9);
        for name in ["a", "ab", "ab1", "ab2", "b"] {
            names.object(Entry::new(name, 1));
        }
        assert_eq!(names.next().map(|(name, _)| name), Some("ab2".into()));
        assert_eq!(names.next(), None);
    }
}
