//! Listings: whole keys in byte order, page by page.
//!
//! A walk holds the sorted names of the directories that it is in, and reads times and sizes only of
//! returned entries. A page token is the last key of the page, so it survives every change of the tree.
//! The walk is kept for the next page, so that a page does not read its directories again; it continues
//! only if none of them has changed since.

use super::fault::{Fault, FaultKind, Outcome};
use super::names::{Kind, Names};
use super::platform::{AsFd, Errno, FileType, OwnedFd, stat};
use super::stamp::Stamp;
use super::store::LocalStore;
use super::tree::{Tree, check, open_child_dir, split};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Request of one page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Query<'a> {
    /// Keys begin with this text.
    pub(crate) prefix: &'a str,
    /// Groups keys up to the first `/` after the prefix.
    pub(crate) grouped: bool,
    /// Only keys after this one.
    pub(crate) start_after: Option<&'a str>,
    /// [`Page::next`] of the page before.
    pub(crate) token: Option<&'a str>,
    /// Limit of entries and groups together.
    pub(crate) limit: usize,
}

/// An object of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) stamp: Stamp,
    /// The change time.
    pub(crate) changed: Stamp,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    pub(crate) groups: Vec<String>,
    pub(crate) next: Option<String>,
    /// Names that were left out: no portable key has them, or they cannot be read.
    pub(crate) skipped: u64,
    /// The first of the directories that could not be read, for the log.
    pub(crate) unreadable: Vec<String>,
}

/// Longest key, in bytes.
pub(super) const LONGEST_KEY: usize = 1024;

/// Position where a page begins.
#[derive(Clone, Copy, Debug)]
enum Cursor<'a> {
    Start,
    /// After this key.
    Key(&'a str),
    /// After all keys with this prefix.
    Group(&'a str),
}

impl<'a> Cursor<'a> {
    fn of(query: &Query<'a>) -> Outcome<Self> {
        let foreign = || {
            Fault::new(
                FaultKind::BadArgument,
                "list",
                "the page token belongs to another listing",
            )
        };
        let from_token = match query.token {
            None => Cursor::Start,
            Some(token) => match token.split_at_checked(1) {
                Some(("k", key)) if key.starts_with(query.prefix) => Cursor::Key(key),
                Some(("g", group)) if group.starts_with(query.prefix) && query.grouped => {
                    Cursor::Group(group)
                }
                _ => return Err(foreign()),
            },
        };
        Ok(match (from_token, query.start_after) {
            (Cursor::Start, Some(key)) => Cursor::Key(key),
            (Cursor::Key(last) | Cursor::Group(last), Some(key))
                if key > last && !key.starts_with(last) =>
            {
                Cursor::Key(key)
            }
            (cursor, _) => cursor,
        })
    }

    /// First position of a directory whose keys begin with `path`.
    fn seek(self, path: &str, names: &Names) -> usize {
        let (text, group) = match self {
            Cursor::Start => return 0,
            Cursor::Key(text) => (text, false),
            Cursor::Group(text) => (text, true),
        };
        match text.strip_prefix(path) {
            Some(rest) if group => {
                names.not_before(rest.as_bytes()) + usize::from(has(names, rest.as_bytes()))
            }
            Some(rest) => names.after(rest.as_bytes()),
            // Either all keys here come after it, or none does.
            None if text < path => 0,
            None => usize::MAX,
        }
    }
}

fn has(names: &Names, name: &[u8]) -> bool {
    names
        .get(names.not_before(name))
        .is_some_and(|(found, _)| found == name)
}

/// A directory on the path of a walk.
#[derive(Debug)]
struct OpenDirectory {
    dir: OwnedFd,
    /// Empty, or with a `/` at its end.
    path: String,
    names: Names,
    next: usize,
    /// Modification time before it was read.
    stamp: Stamp,
    /// Whether that time is old enough that a later change has another one.
    settled: bool,
}

/// Ticks of file times before Linux 6.13 are up to 10 ms long.
const TICK_NS: i64 = 20_000_000;

impl OpenDirectory {
    fn open(dir: OwnedFd, path: String) -> Result<Self, Errno> {
        let stamp = stat(&dir)?.modified;
        let settled = Stamp::now().0.saturating_sub(stamp.0) > TICK_NS;
        let names = Names::read(&dir, path.is_empty())?;
        Ok(Self {
            dir,
            path,
            names,
            next: 0,
            stamp,
            settled,
        })
    }

    fn unchanged(&self) -> bool {
        self.settled && stat(&self.dir).is_ok_and(|stat| stat.modified == self.stamp)
    }
}

/// State of a listing.
#[derive(Debug, Default)]
struct Walk {
    directories: Vec<OpenDirectory>,
    /// The part of the prefix after its last `/`: names of the first directory begin with it.
    filter: String,
    /// Names that were left out while looking for a next page; that page counts them, as it does
    /// when it is walked anew.
    carried: u64,
    /// Directories that could not be read, since the page began.
    unreadable: Vec<String>,
}

/// Directories that one page names in the log.
const UNREADABLE_NAMED: usize = 8;

enum Item {
    Object(Entry),
    Group(String),
}

impl Walk {
    fn begin(store: &LocalStore, prefix: &str, cursor: Cursor<'_>) -> Outcome<(Self, u64)> {
        let (parent, filter) = prefix
            .rsplit_once('/')
            .map_or(("", prefix), |(parent, filter)| (parent, filter));
        let path = prefix[..prefix.len() - filter.len()].to_owned();
        let nothing = |skipped| Ok((Walk::default(), skipped));
        // A descriptor of its own, because the position of a directory belongs to its descriptor.
        let opened = if parent.is_empty() {
            open_child_dir(store.tree.root(), ".")
        } else {
            store
                .tree
                .dir(parent)
                .and_then(|dir| open_child_dir(dir.as_fd(), "."))
        };
        let dir = match opened {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => {
                store.present()?;
                return nothing(0);
            }
            // A text that this file system refuses as a name.
            Err(Errno::INVAL | Errno::ILSEQ | Errno::NAMETOOLONG) => return nothing(0),
            Err(Errno::LOOP) => return nothing(1),
            Err(Errno::ACCESS) => {
                let why = format!("the directory {path:?} cannot be read");
                let mut fault = Fault::os("open directory", Errno::ACCESS);
                fault.message = why.into();
                return Err(fault);
            }
            Err(errno) => return Err(Fault::os("open directory", errno)),
        };
        let mut directory = OpenDirectory::open(dir, path).map_err(Fault::at("read directory"))?;
        directory.next = cursor
            .seek(&directory.path, &directory.names)
            .max(directory.names.not_before(filter.as_bytes()));
        if directory.names.get(0).is_none() {
            store.present()?;
        }
        Ok((
            Self {
                directories: vec![directory],
                filter: filter.to_owned(),
                ..Walk::default()
            },
            0,
        ))
    }

    /// The next object or group, in order.
    fn next(
        &mut self,
        tree: &Tree,
        grouped: bool,
        cursor: Cursor<'_>,
        skipped: &mut u64,
    ) -> Outcome<Option<Item>> {
        loop {
            let first = self.directories.len() == 1;
            let Some(directory) = self.directories.last_mut() else {
                return Ok(None);
            };
            let Some((name, kind)) = directory.names.get(directory.next) else {
                self.directories.pop();
                continue;
            };
            if first && !name.starts_with(self.filter.as_bytes()) {
                self.directories.clear();
                return Ok(None);
            }
            directory.next += 1;
            let name = match std::str::from_utf8(name) {
                Ok(name)
                    if kind != Kind::Foreign
                        && directory.path.len() + name.len() <= LONGEST_KEY =>
                {
                    name
                }
                _ => {
                    *skipped += 1;
                    continue;
                }
            };
            let key = format!("{}{name}", directory.path);
            if kind == Kind::Object {
                let found = match tree.look_any(&directory.dir, name) {
                    // The directory may be read and not searched.
                    Err(Errno::ACCESS) => {
                        *skipped += 1;
                        let path = directory.path.clone();
                        self.leave_out(path);
                        continue;
                    }
                    found => found.map_err(Fault::at("stat object"))?,
                };
                match found {
                    Some(stat) if stat.kind == FileType::RegularFile => {
                        return Ok(Some(Item::Object(Entry {
                            key,
                            size: stat.size,
                            stamp: stat.modified,
                            changed: stat.changed,
                        })));
                    }
                    // Deleted or replaced since the names were read.
                    _ => continue,
                }
            }
            let child = match open_child_dir(directory.dir.as_fd(), name.trim_end_matches('/')) {
                Ok(child) => child,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(Errno::ACCESS) => {
                    *skipped += 1;
                    self.leave_out(key);
                    continue;
                }
                Err(errno) => return Err(Fault::os("open directory", errno)),
            };
            let mut child = OpenDirectory::open(child, key).map_err(Fault::at("read directory"))?;
            child.next = cursor.seek(&child.path, &child.names);
            if !grouped {
                self.directories.push(child);
                continue;
            }
            // A directory without an object is not a group.
            let group = child.path.clone();
            let mut below = Walk {
                directories: vec![child],
                ..Walk::default()
            };
            let found = below.next(tree, false, cursor, &mut 0)?.is_some();
            // What cannot be read may hold objects; it is counted, because the group may be missing.
            if !found && !below.unreadable.is_empty() {
                *skipped += 1;
                below
                    .unreadable
                    .into_iter()
                    .for_each(|path| self.leave_out(path));
            }
            if found {
                return Ok(Some(Item::Group(group)));
            }
        }
    }

    /// Notes a directory that cannot be read.
    fn leave_out(&mut self, path: String) {
        if self.unreadable.len() < UNREADABLE_NAMED && self.unreadable.last() != Some(&path) {
            self.unreadable.push(path);
        }
    }

    /// Undoes the last [`Walk::next`]: its item came from the innermost directory.
    fn step_back(&mut self) {
        if let Some(directory) = self.directories.last_mut() {
            directory.next -= 1;
        }
    }

    fn unchanged(&self) -> bool {
        self.directories.iter().all(OpenDirectory::unchanged)
    }

    fn bytes(&self) -> usize {
        self.directories
            .iter()
            .map(|directory| directory.names.bytes())
            .sum()
    }
}

impl LocalStore {
    /// A page of keys.
    pub(crate) fn list(&self, query: &Query<'_>) -> Outcome<Page> {
        self.usable()?;
        self.present_to_readers()?;
        if query.limit == 0 {
            let why = "the limit of a listing is at least 1";
            return Err(Fault::new(FaultKind::BadArgument, "list", why));
        }
        let cursor = Cursor::of(query)?;
        // A prefix is text and never a path: `..` is below no root, so no key begins with it.
        let (parent, _) = split(query.prefix);
        if !parent.is_empty() && check(parent).is_err() || query.prefix.starts_with('/') {
            return Ok(Page::default());
        }
        let mut page = Page::default();
        let (mut walk, skipped) = match self.listings.take(query) {
            Some(mut walk) => {
                let carried = std::mem::take(&mut walk.carried);
                (walk, carried)
            }
            None => Walk::begin(self, query.prefix, cursor)?,
        };
        page.skipped = skipped;
        let mut last = None;
        loop {
            let mut skipped = 0;
            let item = walk.next(&self.tree, query.grouped, cursor, &mut skipped)?;
            if item.is_some() && page.entries.len() + page.groups.len() == query.limit {
                walk.step_back();
                walk.carried = skipped;
                page.next = last;
                break;
            }
            page.skipped += skipped;
            match item {
                None => break,
                Some(Item::Object(entry)) => {
                    last = Some(format!("k{}", entry.key));
                    page.entries.push(entry);
                }
                Some(Item::Group(group)) => {
                    last = Some(format!("g{group}"));
                    page.groups.push(group);
                }
            }
        }
        page.unreadable = std::mem::take(&mut walk.unreadable);
        // Only where the time of a directory tells that its names are still the same.
        let times_tell = self.probe.time_step.is_some() && !self.probe.remembered;
        if let Some(next) = page.next.as_ref().filter(|_| times_tell) {
            self.listings.park(query, next, walk);
        }
        Ok(page)
    }
}

/// Walks that wait for their next page.
#[derive(Debug, Default)]
pub(crate) struct Listings(Mutex<VecDeque<Parked>>);

#[derive(Debug)]
struct Parked {
    prefix: String,
    grouped: bool,
    start_after: Option<String>,
    token: String,
    walk: Walk,
    since: Instant,
}

/// Limit of kept walks.
const MOST_WALKS: usize = 8;
/// Limit of bytes of names in kept walks.
const MOST_BYTES: usize = 64 << 20;
/// Time that a walk is kept.
const KEPT_FOR: Duration = Duration::from_secs(60);

impl Listings {
    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<Parked>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn clear(&self) {
        self.with(VecDeque::clear);
    }

    fn take(&self, query: &Query<'_>) -> Option<Walk> {
        let token = query.token?;
        let parked = self.with(|all| {
            all.retain(|parked| parked.since.elapsed() < KEPT_FOR);
            let found = all.iter().position(|parked| {
                parked.token == token
                    && parked.prefix == query.prefix
                    && parked.grouped == query.grouped
                    && parked.start_after.as_deref() == query.start_after
            });
            found.and_then(|index| all.remove(index))
        })?;
        parked.walk.unchanged().then_some(parked.walk)
    }

    fn park(&self, query: &Query<'_>, token: &str, walk: Walk) {
        if !walk.directories.iter().all(|directory| directory.settled) {
            return;
        }
        let parked = Parked {
            prefix: query.prefix.to_owned(),
            grouped: query.grouped,
            start_after: query.start_after.map(str::to_owned),
            token: token.to_owned(),
            walk,
            since: Instant::now(),
        };
        self.with(|all| {
            all.push_back(parked);
            while all.len() > MOST_WALKS
                || all.iter().map(|parked| parked.walk.bytes()).sum::<usize>() > MOST_BYTES
            {
                all.pop_front();
            }
        });
    }
}
