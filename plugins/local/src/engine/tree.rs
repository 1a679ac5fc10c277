//! The object tree, confined to its root.
//!
//! Checks of texts miss symbolic links, in particular one that replaces a directory between check and
//! use. So the kernel resolves paths: `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
//! RESOLVE_NO_MAGICLINKS`. Where it is missing (before Linux 5.6, or forbidden by a sandbox) each
//! component is opened with `O_NOFOLLOW` below the one before, which is as safe and three times as
//! slow.

use super::fault::{Fault, FaultKind, Outcome, retry};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, StatxFlags, fstat, mkdirat, openat,
    openat2, statat, statx, unlinkat,
};
use rustix::io::Errno;

/// `ROOT/objects`.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    openat2: bool,
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

/// For directories: readable, because `fsync` needs that.
// Without O_NOFOLLOW, which would turn the answer for a link from ELOOP into ENOTDIR: `openat2` refuses
// links on its own, and `open_segment` adds the flag.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
/// For objects: opening a FIFO must not block.
pub(crate) const OBJECT: OFlags = OFlags::RDONLY
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

const CONFINED: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

const NEW_DIRECTORY: Mode = Mode::RWXU.union(Mode::RWXG).union(Mode::RWXO);

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
    pub(crate) fn new(root: OwnedFd, openat2: bool) -> Self {
        Self {
            root,
            openat2,
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
            fetch(file.as_fd(), "", AtFlags::EMPTY_PATH)?;
        }
        fstat(file)
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
        self.openat2
    }

    /// Opens an object's file.
    pub(crate) fn open(&self, key: &str) -> Result<OwnedFd, Errno> {
        self.open_at(key, OBJECT)
    }

    /// Opens an object's file if the whole path is in the kernel's caches, else fails with `AGAIN`.
    pub(crate) fn open_cached(&self, key: &str) -> Result<OwnedFd, Errno> {
        if !self.openat2 || self.folds || self.remembered {
            return Err(Errno::AGAIN);
        }
        openat2(
            &self.root,
            key,
            OBJECT,
            Mode::empty(),
            CONFINED | ResolveFlags::CACHED,
        )
    }

    /// Opens a directory; the empty path is the tree itself.
    pub(crate) fn dir(&self, path: &str) -> Result<Dir<'_>, Errno> {
        if path.is_empty() {
            Ok(Dir::Root(self.root()))
        } else {
            self.open_at(path, DIRECTORY).map(Dir::Below)
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
            let next = match self.segment(here, segment, DIRECTORY) {
                Err(Errno::NOENT) => {
                    match mkdirat(here, segment, NEW_DIRECTORY) {
                        Ok(()) => made.push(rustix::io::fcntl_dupfd_cloexec(here, 0)?),
                        Err(Errno::EXIST) => {}
                        // The parent is still there, so the file system refuses the name.
                        Err(Errno::NOENT) if fstat(here).is_ok_and(|stat| stat.st_nlink > 0) => {
                            return Err(Errno::INVAL);
                        }
                        Err(errno) => return Err(errno),
                    }
                    self.segment(here, segment, DIRECTORY)?
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
            if unlinkat(&dir, name, AtFlags::REMOVEDIR).is_err() {
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

    fn open_at(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        if self.folds {
            return match self.walk(path, flags) {
                Err(OTHER_SPELLING) => Err(Errno::NOENT),
                other => other,
            };
        }
        if self.openat2 {
            // EAGAIN: a rename raced with the walk and the kernel could not prove the confinement.
            for _ in 0..64 {
                match openat2(&self.root, path, flags, Mode::empty(), CONFINED) {
                    Err(Errno::AGAIN | Errno::INTR) => {}
                    other => return other,
                }
            }
        }
        self.walk(path, flags)
    }

    /// As [`open_segment`], by the exact name.
    fn segment(&self, dir: BorrowedFd<'_>, segment: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        if self.folds {
            self.spelled(dir, segment)?;
        }
        open_segment(dir, segment, flags)
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
            let again = || fetch(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW);
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

    fn walk(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let (parent, name) = split(path);
        let mut at: Option<OwnedFd> = None;
        for segment in parent.split('/').filter(|segment| !segment.is_empty()) {
            let here = at.as_ref().map_or(self.root(), AsFd::as_fd);
            at = Some(self.segment(here, segment, DIRECTORY)?);
        }
        self.segment(at.as_ref().map_or(self.root(), AsFd::as_fd), name, flags)
    }
}

/// The file system has the name in another spelling.
const OTHER_SPELLING: Errno = Errno::NOTUNIQ;

/// Whether the names of a directory contain exactly this one.
fn holds(dir: BorrowedFd<'_>, name: &str) -> Result<bool, Errno> {
    for entry in rustix::fs::Dir::read_from(dir)? {
        if entry?.file_name().to_bytes() == name.as_bytes() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lets the kernel fetch the facts of a name from the server.
fn fetch(dir: BorrowedFd<'_>, name: &str, flags: AtFlags) -> Result<(), Errno> {
    let flags = flags | AtFlags::STATX_FORCE_SYNC;
    retry(|| statx(dir, name, flags, StatxFlags::BASIC_STATS)).map(drop)
}

/// Opens one name below a directory, never through a link.
pub(crate) fn open_segment(
    dir: BorrowedFd<'_>,
    segment: &str,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let opened = retry(|| openat(dir, segment, flags | OFlags::NOFOLLOW, Mode::empty()));
    match opened {
        // O_DIRECTORY on a link says "not a directory"; distinguish the two as openat2 does.
        Err(Errno::NOTDIR) if is_link(dir, segment) => Err(Errno::LOOP),
        other => other,
    }
}

/// Opens a directory of a listing, by a name that may be any bytes.
pub(crate) fn open_child_dir(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    open_segment(dir, name, DIRECTORY)
}

fn is_link(dir: BorrowedFd<'_>, name: &str) -> bool {
    matches!(look(&dir, name), Ok(Some(stat)) if file_type(&stat) == FileType::Symlink)
}

/// Facts about a name in a directory; `None`: nothing has this name.
pub(crate) fn look(dir: &impl AsFd, name: &str) -> Result<Option<Stat>, Errno> {
    match retry(|| statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Deeper than any key can be: 1024 bytes hold 512 segments.
const DEEPEST: u32 = 512;

fn clear_empty_below(dir: BorrowedFd<'_>, name: &str, depth: u32) -> bool {
    if unlinkat(dir, name, AtFlags::REMOVEDIR).is_ok() {
        return true;
    }
    if depth > DEEPEST {
        return false;
    }
    let Ok(inner) = open_child_dir(dir, name) else {
        return false;
    };
    let Ok(children) = rustix::fs::Dir::read_from(&inner) else {
        return false;
    };
    for child in children {
        let Ok(child) = child else { return false };
        let Ok(child_name) = child.file_name().to_str() else {
            return false;
        };
        if !matches!(child_name, "." | "..")
            && !clear_empty_below(inner.as_fd(), child_name, depth + 1)
        {
            return false;
        }
    }
    unlinkat(dir, name, AtFlags::REMOVEDIR).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, open};
    use std::os::unix::fs::symlink;

    fn both(at: &std::path::Path) -> [Tree; 2] {
        let fd = || open(at, DIRECTORY, Mode::empty()).unwrap();
        [Tree::new(fd(), true), Tree::new(fd(), false)]
    }

    #[test]
    fn links_are_never_followed() {
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
        assert_eq!(kernel.open("../x").unwrap_err(), Errno::XDEV);
        assert_eq!(kernel.open("/etc/passwd").unwrap_err(), Errno::XDEV);
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
            assert!(statat(CWD, root.path(), AtFlags::empty()).is_ok());
        }
    }
}
