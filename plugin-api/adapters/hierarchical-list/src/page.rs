//! One page: a walk through folders, depth first, in byte order of the keys.

use crate::bound::Cursor;
use crate::folder_names::{FolderNames, Item};
use holdall_plugin_api::{Entry, Key, KeyPolicy, List, Page, Result};
use std::future::Future;

/// A store with real directories.
pub trait Folders: Sync {
    /// Offers everything that is in `folder` to `names`, but nothing that is below a folder in it.
    ///
    /// `folder` is empty for the top, else it ends in `/`. A folder that is not there offers
    /// nothing: it may have gone since its name was read.
    fn read(
        &self,
        folder: &str,
        names: &mut FolderNames,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Names of one folder that are held at once.
const KEEP: usize = 1001;

struct Frame {
    folder: String,
    names: FolderNames,
}

/// What is met on the way.
enum Step {
    Object(Entry),
    Folder(String),
    /// An object or a folder that no portable key names, or that cannot be listed.
    Foreign,
}

struct Walk<'s, S> {
    store: &'s S,
    cursor: Cursor,
    frames: Vec<Frame>,
    keep: usize,
}

impl<'s, S: Folders> Walk<'s, S> {
    fn new(store: &'s S, cursor: Cursor, keep: usize) -> Self {
        Self {
            store,
            cursor,
            frames: Vec::new(),
            keep,
        }
    }

    /// Goes into a folder, of whose names only those with this prefix count.
    async fn enter(&mut self, folder: String, prefix: &str) -> Result<()> {
        let mut names = FolderNames::new(prefix, self.cursor.within(&folder), self.keep);
        self.store.read(&folder, &mut names).await?;
        self.frames.push(Frame { folder, names });
        Ok(())
    }

    /// The next thing in the folder where the walk stands; the walk does not go into folders itself.
    async fn next(&mut self) -> Result<Option<Step>> {
        loop {
            let Some(frame) = self.frames.last_mut() else {
                return Ok(None);
            };
            let Some((name, item)) = frame.names.next() else {
                if frame.names.renew() {
                    self.store.read(&frame.folder, &mut frame.names).await?;
                } else {
                    self.frames.pop();
                }
                continue;
            };
            let key = format!("{}{name}", frame.folder);
            let portable = KeyPolicy::Portable;
            return Ok(Some(match item {
                Item::LeftOut => Step::Foreign,
                Item::Folder if portable.check_plugin_prefix(&key).is_err() => Step::Foreign,
                Item::Object(_) if portable.check(&key).is_err() => Step::Foreign,
                Item::Folder => Step::Folder(key),
                Item::Object(mut entry) => {
                    entry.key = key;
                    Step::Object(entry)
                }
            }));
        }
    }

    /// The next object, however deep.
    async fn next_object(&mut self, skipped: &mut u64) -> Result<Option<Entry>> {
        while let Some(step) = self.next().await? {
            match step {
                Step::Object(entry) => return Ok(Some(entry)),
                Step::Folder(folder) => self.enter(folder, "").await?,
                Step::Foreign => *skipped += 1,
            }
        }
        Ok(None)
    }
}

/// The page that `list` asks for, in byte order of the keys.
///
/// The delimiter is `/` or none: a backend that uses this does not claim `any_delimiter`.
///
/// # Errors
///
/// `InvalidArgument` for a token that no page of this kind has given; else what the store says.
pub async fn page<S: Folders>(store: &S, list: &List<'_>) -> Result<Page> {
    let cursor = match (list.page_token, list.start_after) {
        (Some(token), _) => Cursor::parse(token)?,
        (None, Some(key)) => Cursor::Key(Key::new(key).text().to_owned()),
        (None, None) => Cursor::Start,
    };
    let mut walk = Walk::new(store, cursor, KEEP);
    // The last folder that the prefix names; what is left of it is a prefix of names there.
    let (folder, prefix) = match list.prefix.rfind('/') {
        Some(at) => list.prefix.split_at(at + 1),
        None => ("", list.prefix),
    };
    walk.enter(folder.to_owned(), prefix).await?;
    let mut page = Page::default();
    let mut last = Cursor::Start;
    // Counted on the page whose last name follows them, so that each is counted once.
    let mut skipped = 0;
    loop {
        let found = if list.delimiter.is_some() {
            next_grouped(&mut walk, &mut skipped).await?
        } else {
            walk.next_object(&mut skipped).await?.map(Found::Object)
        };
        let Some(found) = found else {
            page.skipped += skipped;
            return Ok(page);
        };
        // Looked at before the next one is added: there is a next page only if something is on it.
        if page.entries.len() + page.common_prefixes.len() == list.limit as usize {
            page.next = last.token();
            return Ok(page);
        }
        page.skipped += std::mem::take(&mut skipped);
        match found {
            Found::Object(entry) => {
                last = Cursor::Key(entry.key.clone());
                page.entries.push(entry);
            }
            Found::Group(group) => {
                last = Cursor::Group(group.clone());
                page.common_prefixes.push(group);
            }
        }
    }
}

enum Found {
    Object(Entry),
    Group(String),
}

/// The next object of this folder, or the next folder in which there is one.
async fn next_grouped<S: Folders>(
    walk: &mut Walk<'_, S>,
    skipped: &mut u64,
) -> Result<Option<Found>> {
    while let Some(step) = walk.next().await? {
        match step {
            Step::Object(entry) => return Ok(Some(Found::Object(entry))),
            Step::Foreign => *skipped += 1,
            Step::Folder(folder) => {
                let mut inside = Walk::new(walk.store, walk.cursor.clone(), KEEP);
                inside.enter(folder.clone(), "").await?;
                // Foreign objects in a group are the group's own affair.
                if inside.next_object(&mut 0).await?.is_some() {
                    return Ok(Some(Found::Group(folder)));
                }
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Folders and files as paths; a folder ends in `/`.
    struct Tree {
        paths: BTreeSet<String>,
        reads: AtomicUsize,
    }

    impl Tree {
        fn of(paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
            let mut all = BTreeSet::new();
            for path in paths {
                let path = path.into();
                for (at, _) in path.match_indices('/') {
                    all.insert(path[..=at].to_owned());
                }
                all.insert(path);
            }
            Self {
                paths: all,
                reads: AtomicUsize::new(0),
            }
        }

        fn keys(&self) -> Vec<String> {
            let files = self.paths.iter().filter(|path| !path.ends_with('/'));
            files.cloned().collect()
        }
    }

    impl Folders for Tree {
        async fn read(&self, folder: &str, names: &mut FolderNames) -> Result<()> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            // In an order without a use.
            for path in self.paths.iter().rev() {
                let Some(rest) = path.strip_prefix(folder).filter(|rest| !rest.is_empty()) else {
                    continue;
                };
                match rest.split_once('/') {
                    None => names.object(Entry::new(rest, 1)),
                    Some((name, "")) => names.folder(name),
                    Some(_) => {}
                }
            }
            Ok(())
        }
    }

    async fn walked(tree: &Tree, list: List<'_>) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut token = None;
        loop {
            let page = page(tree, &list.page_token(token.as_deref()))
                .await
                .unwrap();
            assert!(page.entries.len() + page.common_prefixes.len() <= list.limit as usize);
            let keys = page.entries.into_iter().map(|entry| entry.key);
            pages.push(keys.chain(page.common_prefixes).collect());
            token = page.next;
            if token.is_none() {
                return pages;
            }
        }
    }

    const HARD: [&str; 12] = [
        "a-b", "a.b", "a/b", "a/c/d", "a0", "aa", "é/x", "z", "zz/y/x/w", "zz/z", "zz0", "~",
    ];

    #[tokio::test]
    async fn byte_order_of_whole_keys_whatever_the_page() {
        let tree = Tree::of(HARD);
        for limit in [1, 2, 3, 5, 1000] {
            let found = walked(&tree, List::new("").limit(limit)).await.concat();
            assert_eq!(found, tree.keys(), "limit {limit}");
        }
    }

    #[tokio::test]
    async fn a_prefix_is_a_string() {
        let tree = Tree::of(HARD);
        for prefix in [
            "a", "a/", "a/c", "zz", "zz/", "zz/y/x/", "b", "b/c/", "é", "~",
        ] {
            let expected: Vec<_> = tree
                .keys()
                .into_iter()
                .filter(|key| key.starts_with(prefix))
                .collect();
            for limit in [1, 1000] {
                let found = walked(&tree, List::new(prefix).limit(limit)).await.concat();
                assert_eq!(found, expected, "{prefix:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_start_may_be_anywhere() {
        let tree = Tree::of(HARD);
        for start in [
            "", "a/b", "a/bb", "a/c", "a/c/", "a/c/d", "b", "zz/", "zz/y", "~~",
        ] {
            let expected: Vec<_> = tree
                .keys()
                .into_iter()
                .filter(|key| key.as_str() > start)
                .collect();
            let found = walked(&tree, List::new("").start_after(start).limit(2)).await;
            assert_eq!(found.concat(), expected, "{start:?}");
        }
    }

    #[tokio::test]
    async fn groups_come_once_and_empty_folders_never() {
        let tree = Tree::of(HARD.into_iter().chain(["empty/", "em/pty/too/"]));
        for limit in [1, 2, 1000] {
            let mut found = walked(&tree, List::new("").delimiter("/").limit(limit))
                .await
                .concat();
            found.sort_unstable();
            let expected = ["a-b", "a.b", "a/", "a0", "aa", "z", "zz/", "zz0", "~", "é/"];
            assert_eq!(found, expected, "limit {limit}");
        }
        let inside = walked(&tree, List::new("zz/").delimiter("/")).await;
        assert_eq!(inside, [["zz/z", "zz/y/"]]);
    }

    #[tokio::test]
    async fn a_group_that_lies_before_the_start_is_not_named() {
        let tree = Tree::of(["p/a", "p/b/1", "p/c", "p/d/1"]);
        let after = |start| List::new("p/").delimiter("/").start_after(start);
        assert_eq!(walked(&tree, after("p/b/9")).await, [["p/c", "p/d/"]]);
        assert_eq!(
            walked(&tree, after("p/b/0")).await,
            [["p/c", "p/b/", "p/d/"]]
        );
    }

    #[tokio::test]
    async fn a_folder_larger_than_what_is_kept() {
        let tree = Tree::of((0..3 * KEEP).map(|number| format!("f/{number:05}")));
        let pages = walked(&tree, List::new("")).await;
        assert_eq!(pages.concat(), tree.keys());
        // Empty folders take the places of names that would fill a page.
        let empty = (0..2 * KEEP).map(|number| format!("e/{number:05}/"));
        let tree = Tree::of(empty.chain(["e/x".to_owned()]));
        assert_eq!(walked(&tree, List::new("")).await, [["e/x"]]);
    }

    /// A folder of which some members cannot be listed.
    struct Damaged;

    impl Folders for Damaged {
        async fn read(&self, _: &str, names: &mut FolderNames) -> Result<()> {
            for name in ["b", "d", "a", "c"] {
                match name {
                    "b" | "d" => drop(names.left_out(name)),
                    _ => names.object(Entry::new(name, 1)),
                }
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_cannot_be_listed_is_counted_once() {
        let first = page(&Damaged, &List::new("").limit(1)).await.unwrap();
        assert_eq!((first.entries[0].key.as_str(), first.skipped), ("a", 0));
        let second = List::new("").page_token(first.next.as_deref());
        let second = page(&Damaged, &second).await.unwrap();
        assert_eq!((second.entries[0].key.as_str(), second.skipped), ("c", 2));
    }

    #[tokio::test]
    async fn foreign_names_are_counted_once() {
        let tree = Tree::of(["a", "b\\c", "d", "e\\/f", "g", "z\\"]);
        let mut token = None;
        let (mut keys, mut skipped) = (Vec::new(), 0);
        loop {
            let list = List::new("").limit(1).page_token(token.as_deref());
            let page = page(&tree, &list).await.unwrap();
            keys.extend(page.entries.into_iter().map(|entry| entry.key));
            skipped += page.skipped;
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!((keys.concat(), skipped), ("adg".into(), 3));
    }
}
