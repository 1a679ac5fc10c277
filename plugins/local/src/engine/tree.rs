//! The object tree, confined to its root.
//!
//! Checks of texts miss symbolic links, in particular one that replaces a directory between check and
//! use. So the kernel resolves paths where it can (`openat2` of Linux). Where that is missing (before
//! Linux 5.6, forbidden by a sandbox, on Windows) each component is opened below the one before, and
//! never through a link, which is as safe and three times as slow.

use super::fault::{Fault, FaultKind, Outcome};
use super::platform::{
    AsFd, BorrowedFd, Errno, FileType, Open, OwnedFd, REFUSES_AS_ABSENT, Stat, duplicate, entries,
    fetch, holds, make_dir_at, open_at, open_cached, open_confined, remove_dir_at, retry, stat,
    stat_at,
};

/// `ROOT/objects`.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    /// The kernel resolves paths.
    kernel_walk: bool,
    /// The file system takes several spellings for one name; a key is one of them.
    folds: bool,
    /// The kernel remembers facts of files for a server, such as a FUSE daemon.
    remembered: bool,
}

/// A directory of the tree.
#[derive(Debug)]
pub(crate) enum Dir<'t> {
    /// The tree's own.
    Root(BorrowedFd<'t>),
    /// One below it.
    Below(OwnedFd),
}

impl AsFd for Dir<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Dir::Root(fd) => *fd,
            Dir::Below(fd) => fd.as_fd(),
        }
    }
}

/// Splits a key into the path of its parent, empty for the root, and its last segment.
pub(crate) fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('/').unwrap_or(("", key))
}

/// Refuses texts that are no path below the root. The host has applied its key policy before;
/// this holds for every caller.
pub(crate) fn check(key: &str) -> Outcome<()> {
    let sound = !key.contains('\0')
        && key
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | ".."));
    if sound {
        Ok(())
    } else {
        Err(Fault::new(
            FaultKind::BadKey,
            "check key",
            "the key is not a path below the root",
        ))
    }
}

impl Tree {
    pub(crate) fn new(root: OwnedFd, kernel_walk: bool) -> Self {
        Self {
            root,
            kernel_walk,
            folds: false,
            remembered: false,
        }
    }

    /// For a file system whose server the kernel does not ask each time (FUSE, network): facts are
    /// fetched again, because a rename changes them on the server only, and an absence is looked at
    /// twice, because a name that is replaced during an open is "not found" there.
    pub(crate) fn take_fresh_facts(&mut self) {
        self.remembered = true;
    }

    /// Whether an open that found nothing may be the effect of a rename.
    pub(crate) fn doubts_absence(&self) -> bool {
        self.remembered
    }

    /// Facts about an open file.
    pub(crate) fn facts(&self, file: &impl AsFd) -> Result<Stat, Errno> {
        if self.remembered {
            fetch(file.as_fd(), "")?;
        }
        stat(file)
    }

    /// For a file system that folds case or composition: names are taken in the spelling that a
    /// directory holds, and in no other. Rights are judged on the text of keys, so `SECRET/x` must not
    /// reach what is stored as `secret/x`. Each step reads a directory.
    pub(crate) fn take_exact_names(&mut self) {
        self.folds = true;
    }

    pub(crate) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Whether the kernel resolves paths.
    pub(crate) fn kernel_walk(&self) -> bool {
        self.kernel_walk
    }

    /// Opens an object's file.
    pub(crate) fn open(&self, key: &str) -> Result<OwnedFd, Errno> {
        self.open_below(key, Open::Object)
    }

    /// Opens an object's file if the whole path is in the kernel's caches, else fails with `AGAIN`.
    pub(crate) fn open_cached(&self, key: &str) -> Result<OwnedFd, Errno> {
        if !self.kernel_walk || self.folds || self.remembered {
            return Err(Errno::AGAIN);
        }
        open_cached(&self.root, key)
    }

    /// Opens a directory; the empty path is the tree itself.
    pub(crate) fn dir(&self, path: &str) -> Result<Dir<'_>, Errno> {
        if path.is_empty() {
            Ok(Dir::Root(self.root()))
        } else {
            self.open_below(path, Open::Directory).map(Dir::Below)
        }
    }

    /// As [`Tree::dir`], but creates missing directories. Adds each directory with a new entry to
    /// `made`, for `fsync`.
    pub(crate) fn make_dir(&self, path: &str, made: &mut Vec<OwnedFd>) -> Result<Dir<'_>, Errno> {
        match self.dir(path) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        let mut at: Option<OwnedFd> = None;
        for segment in path.split('/') {
            let here = at.as_ref().map_or(self.root(), AsFd::as_fd);
            let next = match self.segment(here, segment, Open::Directory) {
                Err(Errno::NOENT) => {
                    match make_dir_at(here, segment) {
                        Ok(()) => made.push(duplicate(here)?),
                        Err(Errno::EXIST) => {}
                        // The parent is still there, so the file system refuses the name.
                        Err(Errno::NOENT)
                            if REFUSES_AS_ABSENT && stat(here).is_ok_and(|stat| stat.links > 0) =>
                        {
                            return Err(Errno::INVAL);
                        }
                        Err(errno) => return Err(errno),
                    }
                    self.segment(here, segment, Open::Directory)?
                }
                other => other?,
            };
            at = Some(next);
        }
        at.map(Dir::Below).ok_or(Errno::NOENT)
    }

    /// Facts about a name, a link's own if it is one. `None`: nothing has this name.
    pub(crate) fn stat(&self, key: &str) -> Result<Option<Stat>, Errno> {
        let (parent, name) = split(key);
        let found = self.dir(parent).and_then(|dir| self.look(&dir, name));
        match found {
            // A parent segment is an object, so nothing is below it.
            Err(Errno::NOENT | Errno::NOTDIR | OTHER_SPELLING) => Ok(None),
            other => other,
        }
    }

    /// Removes a directory and those above it while they are empty. A concurrent put finds the
    /// directory missing, creates it again and continues.
    pub(crate) fn prune(&self, mut path: &str) {
        while !path.is_empty() {
            let (parent, name) = split(path);
            let Ok(dir) = self.dir(parent) else { return };
            // Never follows a link; fails for a directory with entries.
            if remove_dir_at(&dir, name).is_err() {
                return;
            }
            path = parent;
        }
    }

    /// Removes a directory that contains only empty directories, such as a killed upload leaves.
    /// Returns whether it is gone.
    pub(crate) fn clear_empty(&self, path: &str) -> bool {
        let (parent, name) = split(path);
        let Ok(dir) = self.dir(parent) else {
            return false;
        };
        clear_empty_below(dir.as_fd(), name, 0)
    }

    fn open_below(&self, path: &str, what: Open) -> Result<OwnedFd, Errno> {
        if self.folds {
            return match self.walk(path, what) {
                Err(OTHER_SPELLING) => Err(Errno::NOENT),
                other => other,
            };
        }
        if self.kernel_walk {
            // EAGAIN: a rename raced with the walk and the kernel could not prove the confinement.
            for _ in 0..64 {
                match open_confined(&self.root, path, what) {
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    other => return other,
                }
            }
        }
        self.walk(path, what)
    }

    /// As [`open_segment`], by the exact name.
    fn segment(&self, dir: BorrowedFd<'_>, segment: &str, what: Open) -> Result<OwnedFd, Errno> {
        if self.folds {
            self.spelled(dir, segment)?;
        }
        open_segment(dir, segment, what)
    }

    /// As [`look`], by the exact name.
    ///
    /// # Errors
    ///
    /// `NOTUNIQ`: the file system has the name in another spelling.
    pub(crate) fn look(&self, dir: &impl AsFd, name: &str) -> Result<Option<Stat>, Errno> {
        if self.folds {
            match self.spelled(dir.as_fd(), name) {
                Ok(()) => {}
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(errno),
            }
        }
        self.look_any(dir, name)
    }

    /// As [`Tree::look`], by whatever spelling the file system takes for the name.
    pub(crate) fn look_any(&self, dir: &impl AsFd, name: &str) -> Result<Option<Stat>, Errno> {
        if self.remembered {
            let again = || fetch(dir.as_fd(), name);
            // "Not found" may be what the server says of a file that was just replaced.
            match again().or_else(|_| again()) {
                Err(Errno::NOENT | Errno::STALE) => return Ok(None),
                fetched => fetched?,
            }
        }
        look(dir, name)
    }

    /// Whether a directory of a file system that folds names holds exactly this one.
    ///
    /// # Errors
    ///
    /// `NOENT`: it holds no such name. [`OTHER_SPELLING`].
    fn spelled(&self, dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
        if holds(dir, name)? {
            return Ok(());
        }
        match self.look_any(&dir, name)? {
            None => Err(Errno::NOENT),
            // Created since the names were read?
            Some(_) if holds(dir, name)? => Ok(()),
            Some(_) => Err(OTHER_SPELLING),
        }
    }

    fn walk(&self, path: &str, what: Open) -> Result<OwnedFd, Errno> {
        let (parent, name) = split(path);
        let mut at: Option<OwnedFd> = None;
        for segment in parent.split('/').filter(|segment| !segment.is_empty()) {
            let here = at.as_ref().map_or(self.root(), AsFd::as_fd);
            at = Some(self.segment(here, segment, Open::Directory)?);
        }
        self.segment(at.as_ref().map_or(self.root(), AsFd::as_fd), name, what)
    }
}

/// The file system has the name in another spelling.
const OTHER_SPELLING: Errno = Errno::NOTUNIQ;

/// Opens one name below a directory, never through a link.
pub(crate) fn open_segment(
    dir: BorrowedFd<'_>,
    segment: &str,
    what: Open,
) -> Result<OwnedFd, Errno> {
    let opened = retry(|| open_at(dir, segment, what));
    match opened {
        // O_DIRECTORY on a link says "not a directory"; distinguish the two as openat2 does.
        Err(Errno::NOTDIR) if is_link(dir, segment) => Err(Errno::LOOP),
        other => other,
    }
}

/// Opens a directory of a listing, by a name that may be any bytes.
pub(crate) fn open_child_dir(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    open_segment(dir, name, Open::Directory)
}

fn is_link(dir: BorrowedFd<'_>, name: &str) -> bool {
    matches!(look(&dir, name), Ok(Some(stat)) if stat.kind == FileType::Symlink)
}

/// Facts about a name in a directory; `None`: nothing has this name.
pub(crate) fn look(dir: &impl AsFd, name: &str) -> Result<Option<Stat>, Errno> {
    match retry(|| stat_at(dir, name)) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Deeper than any key can be: 1024 bytes hold 512 segments.
const DEEPEST: u32 = 512;

fn clear_empty_below(dir: BorrowedFd<'_>, name: &str, depth: u32) -> bool {
    if remove_dir_at(dir, name).is_ok() {
        return true;
    }
    if depth > DEEPEST {
        return false;
    }
    let Ok(inner) = open_child_dir(dir, name) else {
        return false;
    };
    let Ok(children) = entries(&inner) else {
        return false;
    };
    for child in children {
        let Ok(child) = child else { return false };
        let Ok(child_name) = std::str::from_utf8(&child.name) else {
            return false;
        };
        if !clear_empty_below(inner.as_fd(), child_name, depth + 1) {
            return false;
        }
    }
    remove_dir_at(dir, name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::platform::{can_open_confined, open_path};

    /// With and without the kernel's walk.
    fn both(at: &std::path::Path) -> [Tree; 2] {
        let fd = || open_path(at).unwrap();
        let confined = can_open_confined(fd());
        assert!(confined || cfg!(windows), "openat2 is missing here");
        [Tree::new(fd(), confined), Tree::new(fd(), false)]
    }

    #[cfg(unix)]
    #[test]
    fn links_are_never_followed() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        symlink(outside.path(), root.path().join("dir")).unwrap();
        symlink(outside.path().join("secret"), root.path().join("file")).unwrap();
        std::fs::create_dir(root.path().join("real")).unwrap();
        symlink("../real", root.path().join("real/inner")).unwrap();
        for tree in both(root.path()) {
            for key in ["file", "dir/secret", "real/inner/x"] {
                assert_eq!(
                    tree.open(key).unwrap_err(),
                    Errno::LOOP,
                    "{key} {}",
                    tree.kernel_walk()
                );
            }
            assert_eq!(tree.dir("dir").unwrap_err(), Errno::LOOP);
            assert_eq!(
                tree.make_dir("dir/new", &mut Vec::new()).unwrap_err(),
                Errno::LOOP
            );
            assert!(!outside.path().join("new").exists());
        }
    }

    #[test]
    fn texts_that_climb_are_refused_twice() {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("root")).unwrap();
        std::fs::write(base.path().join("x"), "x").unwrap();
        for key in ["../x", "a/../../x", "/etc/passwd", "", ".", "a//b", "a\0"] {
            assert!(check(key).is_err(), "{key:?}");
        }
        let kernel = &both(&base.path().join("root"))[0];
        for key in ["../x", "/etc/passwd"] {
            let refused = kernel.open(key).unwrap_err();
            // On Windows `..` is no name, and the root's `etc` is missing.
            let expected = match (cfg!(windows), key) {
                (false, _) => Errno::XDEV,
                (true, "../x") => Errno::ILSEQ,
                (true, _) => Errno::NOENT,
            };
            assert_eq!(refused, expected, "{key}");
        }
    }

    #[test]
    fn directories_are_made_and_removed() {
        let root = tempfile::tempdir().unwrap();
        for tree in both(root.path()) {
            let mut made = Vec::new();
            tree.make_dir("a/b/c", &mut made).unwrap();
            assert_eq!(made.len(), 3);
            std::fs::write(root.path().join("a/keep"), "").unwrap();
            tree.prune("a/b/c");
            assert!(root.path().join("a").exists() && !root.path().join("a/b").exists());
            assert!(!tree.clear_empty("a"));
            std::fs::remove_file(root.path().join("a/keep")).unwrap();
            tree.make_dir("a/b/c", &mut Vec::new()).unwrap();
            tree.make_dir("a/d", &mut Vec::new()).unwrap();
            assert!(tree.clear_empty("a"));
            assert!(!root.path().join("a").exists());
            assert!(root.path().exists());
        }
    }
}
