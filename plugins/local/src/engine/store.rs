//! An opened root: its directories, what its file system can do, and who may still use it.

use super::fault::{Fault, FaultKind, Outcome};
use super::list::Listings;
use super::lock::KeyLocks;
use super::probe::{Probe, has_openat2, probe};
use super::sidecar::Sidecars;
use super::staging::{Staging, random};
use super::stamp::{Clock, Stamp, etag};
use super::tree::Tree;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, fstat, fstatvfs, fsync, mkdirat, open, openat, stat};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// How sure a change must be before it counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sync {
    /// Readers see it; a power cut may lose it.
    None,
    /// The data is on the medium.
    Data,
    /// Data and name are.
    #[default]
    Full,
}

/// How to open a root.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Make the root if it is missing.
    pub(crate) create: bool,
    /// As if `openat2` were missing. For tests.
    pub(crate) without_openat2: bool,
    /// As if there were no extended attributes. For tests.
    pub(crate) without_attributes: bool,
    /// As if `renameat2` were missing. For tests.
    pub(crate) without_noreplace: bool,
}

/// One root, opened. Several may share it, in one process or in many.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    pub(crate) tree: Tree,
    /// `None`: the root cannot be written.
    staging: Option<Staging>,
    locks: Option<KeyLocks>,
    pub(crate) sidecars: Option<Sidecars>,
    pub(crate) clock: Clock,
    pub(crate) probe: Probe,
    pub(crate) listings: Listings,
    closed: AtomicBool,
    /// Files that the sweep at start removed.
    pub(crate) swept: u64,
}

/// Space of the file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) used: u64,
    pub(crate) free: u64,
    pub(crate) total: u64,
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);
const MODE: Mode = Mode::RWXU.union(Mode::RWXG).union(Mode::RWXO);

impl Store {
    /// Opens a root: makes `objects`, `staging` and `locks` where they are missing, tries the file
    /// system, sweeps what dead processes left behind. A root that cannot be written can be read.
    pub(crate) fn open(path: &Path, options: Options) -> Outcome<Self> {
        // A later change of the working directory must not move the store.
        let path = std::path::absolute(path).map_err(|_| {
            Fault::new(
                FaultKind::BadArgument,
                "open root",
                "the root's path is empty",
            )
        })?;
        if options.create {
            make_root(&path)?;
        }
        let root = open(&path, DIRECTORY, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT => Fault::new(
                FaultKind::RootMissing,
                "open root",
                "the root does not exist",
            ),
            Errno::NOTDIR => Fault::new(
                FaultKind::RootMissing,
                "open root",
                "the root is not a directory",
            ),
            other => Fault::os("open root", other),
        })?;
        let objects = part(&root, "objects")?.ok_or_else(|| {
            Fault::new(
                FaultKind::RootMissing,
                "open root",
                "no objects here, and the root cannot be written",
            )
        })?;
        let staging = part(&root, "staging")?;
        let locks = part(&root, "locks")?;
        let tree_walk = !options.without_openat2 && has_openat2(&objects);
        let tree = Tree::new(objects, tree_walk);
        let staging = match staging {
            Some(fd) => {
                one_file_system(&tree, &fd)?;
                writable(Staging::claim(fd))?
            }
            None => None,
        };
        let locks = locks.filter(|_| staging.is_some()).map(KeyLocks::new);
        let mut answers = staging.as_ref().map_or(Ok(Probe::READ_ONLY), probe)?;
        if options.without_attributes {
            answers.attribute_bytes = None;
        }
        if options.without_noreplace && answers.create_only == super::probe::CreateOnly::Rename {
            answers.create_only = super::probe::CreateOnly::Link;
        }
        // Also where attributes work: the objects may have been written where they did not.
        let sidecars = if answers.attribute_bytes.is_none() && answers.time_step.is_some() {
            part(&root, "sidecars")?
        } else {
            openat(
                &root,
                "sidecars",
                DIRECTORY | OFlags::NOFOLLOW,
                Mode::empty(),
            )
            .ok()
        };
        let sidecars = sidecars.map(Sidecars::new);
        let mut swept = staging.as_ref().map_or(0, Staging::sweep);
        if let (Some(sidecars), Some(locks)) = (&sidecars, &locks) {
            swept += sidecars.sweep(&tree, locks);
        }
        let clock = Clock::new(answers.time_step.unwrap_or(1), random() as u8);
        let listings = Listings::default();
        let closed = AtomicBool::new(false);
        Ok(Self {
            path,
            tree,
            staging,
            locks,
            sidecars,
            clock,
            probe: answers,
            listings,
            closed,
            swept,
        })
    }

    /// Later calls fail; what runs may end.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.listings.clear();
    }

    /// Fails once the store is closed.
    pub(crate) fn usable(&self) -> Outcome<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Fault::new(
                FaultKind::Closed,
                "use store",
                "the store was shut down",
            ));
        }
        Ok(())
    }

    /// The root, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where to stage.
    pub(crate) fn staging(&self) -> Outcome<&Staging> {
        self.staging.as_ref().ok_or_else(read_only)
    }

    /// The locks on keys.
    pub(crate) fn locks(&self) -> Outcome<&KeyLocks> {
        self.locks.as_ref().ok_or_else(read_only)
    }

    /// Whether metadata goes to sidecars.
    pub(crate) fn writes_sidecars(&self) -> bool {
        self.probe.attribute_bytes.is_none() && self.sidecars.is_some()
    }

    /// Whether content type, headers, user metadata and checksums can be kept at all.
    pub(crate) fn keeps_metadata(&self) -> bool {
        self.probe.attribute_bytes.is_some() || self.sidecars.is_some()
    }

    /// The name of a version; `None` where file times are too coarse to tell versions apart.
    pub(crate) fn etag(&self, stamp: Stamp, size: u64) -> Option<String> {
        self.probe.time_step.map(|_| etag(stamp, size))
    }

    /// The fault for a name that is not there: the object is missing, or the whole root is.
    pub(crate) fn missing(&self, step: &'static str) -> Fault {
        match self.present() {
            Ok(()) => Fault::not_found(step),
            Err(fault) => fault,
        }
    }

    /// As [`Fault::os`], but tells a missing object from a missing root.
    pub(crate) fn os(&self, step: &'static str, errno: Errno) -> Fault {
        if errno == Errno::NOENT {
            self.missing(step)
        } else {
            Fault::os(step, errno)
        }
    }

    /// Fails when the root is not where it was opened: removed, moved away, or unmounted.
    pub(crate) fn present(&self) -> Outcome<()> {
        let gone = || {
            Fault::new(
                FaultKind::RootMissing,
                "look for root",
                "the root is gone or was replaced",
            )
        };
        let here = fstat(self.tree.root()).map_err(Fault::at("stat root"))?;
        match stat(self.path.join("objects")) {
            Ok(there) if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino) => Ok(()),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(gone()),
            Err(errno) => Err(Fault::os("look for root", errno)),
        }
    }

    /// Space of the file system under the root.
    pub(crate) fn space(&self) -> Outcome<Space> {
        self.usable()?;
        self.present()?;
        let facts = fstatvfs(self.tree.root()).map_err(Fault::at("statvfs"))?;
        let bytes = |blocks: u64| blocks.saturating_mul(facts.f_frsize);
        Ok(Space {
            used: bytes(facts.f_blocks.saturating_sub(facts.f_bfree)),
            free: bytes(facts.f_bavail),
            total: bytes(facts.f_blocks),
        })
    }
}

/// Makes the root and what is missing above it, names on the medium: a durable object below a
/// directory that a power cut takes away would not be durable.
fn make_root(path: &Path) -> Outcome<()> {
    let failed = |error: std::io::Error| {
        Fault::os(
            "make root",
            Errno::from_io_error(&error).unwrap_or(Errno::IO),
        )
    };
    let existing = path
        .ancestors()
        .position(|above| above.exists())
        .unwrap_or(0);
    std::fs::create_dir_all(path).map_err(failed)?;
    for above in path.ancestors().skip(1).take(existing) {
        open(above, DIRECTORY, Mode::empty())
            .and_then(fsync)
            .map_err(Fault::at("make root"))?;
    }
    Ok(())
}

/// Opens a directory of the root, made if it is missing; `None` where it is missing and the root
/// cannot be written.
fn part(root: &OwnedFd, name: &'static str) -> Outcome<Option<OwnedFd>> {
    match mkdirat(root, name, MODE) {
        Ok(()) => fsync(root).map_err(Fault::at("sync root"))?,
        Err(Errno::EXIST | Errno::ROFS | Errno::ACCESS | Errno::PERM) => {}
        Err(errno) => return Err(Fault::os("make a directory of the root", errno)),
    }
    match openat(root, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(Fault::os("open a directory of the root", errno)),
    }
}

/// Turns "not allowed to write" into "nothing".
fn writable<T>(claimed: Outcome<T>) -> Outcome<Option<T>> {
    match claimed {
        Ok(claimed) => Ok(Some(claimed)),
        Err(fault) if fault.kind == FaultKind::Denied => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn one_file_system(tree: &Tree, staging: &impl AsFd) -> Outcome<()> {
    let device = |fd: rustix::fd::BorrowedFd<'_>| {
        fstat(fd)
            .map(|stat| stat.st_dev)
            .map_err(Fault::at("stat root"))
    };
    if device(tree.root())? == device(staging.as_fd())? {
        return Ok(());
    }
    let why = "objects and staging lie on different file systems: an upload could not become visible in one step";
    Err(Fault::new(FaultKind::Unsupported, "open root", why))
}

fn read_only() -> Fault {
    Fault::new(FaultKind::Denied, "write", "the root cannot be written")
}
