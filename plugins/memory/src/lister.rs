//! Pages of a sorted map.

use holdall_plugin_api::{Entry, Error, List, ObjectInfo, Page, Result};
use std::collections::BTreeMap;
use std::ops::Bound;

/// End of a page: its last key or its last common prefix.
///
/// A name and not a count, so that it stays valid when objects change between two pages.
enum Cursor<'a> {
    Key(&'a str),
    Group(&'a str),
}

impl<'a> Cursor<'a> {
    fn parse(token: &'a str) -> Result<Self> {
        match token.split_at_checked(1) {
            Some(("k", key)) => Ok(Cursor::Key(key)),
            Some(("g", group)) => Ok(Cursor::Group(group)),
            _ => Err(Error::invalid("not a page token of this backend")),
        }
    }

    fn token(&self) -> String {
        match self {
            Cursor::Key(key) => format!("k{key}"),
            Cursor::Group(group) => format!("g{group}"),
        }
    }

    /// Whether this key was on the cursor's page or an earlier one, itself or in a group.
    fn is_past(&self, key: &str) -> bool {
        match self {
            Cursor::Key(last) => key <= *last,
            Cursor::Group(group) => key < *group || key.starts_with(group),
        }
    }
}

/// Returns the requested page, in byte order of the keys.
pub(crate) fn page<'a, T>(
    objects: &'a BTreeMap<String, T>,
    info: impl Fn(&'a T) -> &'a ObjectInfo,
    list: &List<'_>,
) -> Result<Page> {
    let mut cursor = list.page_token.map(Cursor::parse).transpose()?;
    let first = match (&cursor, list.start_after) {
        (Some(Cursor::Key(at) | Cursor::Group(at)), _) => (*at).max(list.prefix),
        (None, Some(key)) => key.max(list.prefix),
        (None, None) => list.prefix,
    };
    let mut page = Page::default();
    let from_first = objects.range::<str, _>((Bound::Included(first), Bound::Unbounded));
    for (key, object) in from_first.take_while(|(key, _)| key.starts_with(list.prefix)) {
        let is_past = |cursor: &Cursor<'_>| cursor.is_past(key);
        if cursor.as_ref().is_some_and(is_past) || list.start_after.is_some_and(|at| &**key <= at) {
            continue;
        }
        // Before the next entry is added, so that a next page is never empty.
        if page.entries.len() + page.common_prefixes.len() == list.limit as usize {
            page.next = cursor.as_ref().map(Cursor::token);
            break;
        }
        let rest = &key[list.prefix.len()..];
        let group = list.delimiter.and_then(|delimiter| {
            let end = rest.find(delimiter)? + delimiter.len();
            Some(&key[..list.prefix.len() + end])
        });
        if let Some(group) = group {
            page.common_prefixes.push(group.to_owned());
            cursor = Some(Cursor::Group(group));
        } else {
            let info = info(object);
            let mut entry = Entry::new(key, info.size);
            entry.etag.clone_from(&info.etag);
            entry.last_modified = info.last_modified;
            page.entries.push(entry);
            cursor = Some(Cursor::Key(key));
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(keys: &[&str]) -> BTreeMap<String, ObjectInfo> {
        keys.iter()
            .map(|key| ((*key).to_owned(), ObjectInfo::new(1)))
            .collect()
    }

    fn walk(objects: &BTreeMap<String, ObjectInfo>, list: List<'_>) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut token = None;
        loop {
            let page = page(objects, |info| info, &list.page_token(token.as_deref())).unwrap();
            let keys = page.entries.into_iter().map(|entry| entry.key);
            pages.push(keys.chain(page.common_prefixes).collect());
            token = page.next;
            if token.is_none() {
                return pages;
            }
        }
    }

    #[test]
    fn a_group_is_named_once_across_pages() {
        let objects = named(&["a/1", "a/2", "b", "c/1", "c/2"]);
        let pages = walk(&objects, List::new("").delimiter("/").limit(1));
        assert_eq!(pages, [["a/"], ["b"], ["c/"]]);
    }

    #[test]
    fn any_text_is_a_delimiter() {
        let objects = named(&["a--1", "a--2", "a-3", "é--4"]);
        let pages = walk(&objects, List::new("").delimiter("--"));
        assert_eq!(pages, [["a-3", "a--", "é--"]]);
    }

    #[test]
    fn an_exactly_full_page_has_no_successor() {
        assert_eq!(walk(&named(&["a", "b"]), List::new("").limit(2)).len(), 1);
        assert_eq!(walk(&named(&[]), List::new("")), [[""; 0]]);
    }

    #[test]
    fn a_start_before_the_prefix_changes_nothing() {
        let objects = named(&["a", "b/1", "b/2", "c"]);
        assert_eq!(
            walk(&objects, List::new("b/").start_after("a")),
            [["b/1", "b/2"]]
        );
        assert_eq!(
            walk(&objects, List::new("b/").start_after("b/1")),
            [["b/2"]]
        );
        assert_eq!(walk(&objects, List::new("b/").start_after("c")), [[""; 0]]);
    }

    #[test]
    fn a_foreign_token_is_refused() {
        for token in ["", "x", "é"] {
            let list = List::new("").page_token(Some(token));
            assert!(page(&named(&["a"]), |info| info, &list).is_err(), "{token}");
        }
    }
}
