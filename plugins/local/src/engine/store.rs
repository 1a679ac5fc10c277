//! An opened root: its directories, and the capabilities of its file system.

use super::fault::{Fault, FaultKind, Outcome};
use super::list::Listings;
use super::lock::KeyLocks;
use super::platform::{
    self, Errno, Open, OwnedFd, Space, Stat, can_open_confined, identity, identity_of_path,
    keep_readers_out, make_dir_at, open_at, open_path, sync_dir,
};
use super::probe::{Probe, probe, probe_read_only};
use super::sidecar::Sidecars;
use super::staging::{Staging, random};
use super::stamp::{Clock, Stamp, etag};
use super::tree::Tree;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Durability of a change when the call returns.
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

/// Why a root takes no new objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwritable {
    /// The file system is mounted read-only.
    ReadOnly,
    /// This process may not write there.
    Denied,
    /// The file system, or a quota, is full.
    Full,
}

/// Options of [`LocalStore::open`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Create the root if it is missing.
    pub(crate) create: bool,
    /// Create, probe and remove nothing: the store opens as one that cannot be written.
    pub(crate) untouched: bool,
    /// Uploads in parts that nothing was added to for this time are removed; `None`: none is.
    pub(crate) upload_age: Option<Duration>,
    /// As if `openat2` were missing. For tests.
    pub(crate) without_openat2: bool,
    /// As if there were no extended attributes. For tests.
    pub(crate) without_attributes: bool,
    /// As if `renameat2` were missing. For tests.
    pub(crate) without_noreplace: bool,
}

/// One root, opened. Several may share it, in one process or in many.
#[derive(Debug)]
pub(crate) struct LocalStore {
    path: PathBuf,
    pub(crate) tree: Tree,
    /// Which directory `objects` is.
    objects_id: (u64, u64),
    /// `None`: the root takes no new objects.
    staging: Option<Staging>,
    unwritable: Option<Unwritable>,
    locks: Option<KeyLocks>,
    pub(crate) sidecars: Option<Sidecars>,
    pub(crate) clock: Clock,
    pub(crate) probe: Probe,
    pub(crate) listings: Listings,
    closed: AtomicBool,
    opened: Instant,
    /// Milliseconds after `opened` at which reads look for the root again.
    present_until: AtomicU64,
    upload_age: Option<Duration>,
    /// Milliseconds after `opened` at which abandoned uploads are looked for again.
    next_sweep: AtomicU64,
    /// Files of dead processes that were removed at opening.
    pub(crate) swept: u64,
}

/// Reads of objects that are found look for the root only this often, in milliseconds.
const PRESENT_MS: u64 = 1000;
/// Files of dead processes that one opening removes; the rest is left to the background.
const SWEPT_AT_OPEN: usize = 256;
/// Between two sweeps, in milliseconds.
const SWEEP_MS: u64 = 3_600_000;
/// Sidecars that one background sweep looks at.
const SIDECARS_PER_SWEEP: usize = 4096;

impl LocalStore {
    /// Opens a root: creates `objects`, `staging` and `locks` where they are missing, and probes the
    /// file system. A root that cannot be written, or is full, opens for reading and deleting.
    pub(crate) fn open(path: &Path, options: Options) -> Outcome<Self> {
        // A later change of the working directory must not move the store.
        let path = std::path::absolute(path).map_err(|_| {
            Fault::new(
                FaultKind::RootMissing,
                "open root",
                "the root's path is empty",
            )
        })?;
        let mut unwritable = None;
        let create = options.create && !options.untouched;
        let part = |root: &OwnedFd, name, unwritable: &mut Option<Unwritable>| {
            if options.untouched {
                return open_part(root, name);
            }
            part(root, name, unwritable)
        };
        if create {
            unless_unwritable(create_root(&path), &mut unwritable)?;
        }
        let root = open_path(&path).map_err(|errno| match errno {
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
            other => Fault::own("open root")(other),
        })?;
        let objects = match open_part(&root, "objects")? {
            Some(objects) => objects,
            // The directory of a mount point that is not mounted: nothing may be created in it.
            None if !create => {
                let why = "the root has no directory `objects`, and create_root is false";
                return Err(Fault::new(FaultKind::RootMissing, "open root", why));
            }
            None => part(&root, "objects", &mut unwritable)?.ok_or_else(|| {
                let why = "the root has no directory `objects`, and cannot be written";
                Fault::new(FaultKind::RootMissing, "open root", why)
            })?,
        };
        let staging = part(&root, "staging", &mut unwritable)?;
        let locks = part(&root, "locks", &mut unwritable)?;
        let objects_id = identity(&objects).map_err(Fault::own("stat objects"))?;
        let kernel_walk = !options.without_openat2 && can_open_confined(&objects);
        let mut tree = Tree::new(objects, kernel_walk);
        let mut writable = None;
        if let Some(all) = staging.filter(|_| !options.untouched) {
            let claimed = Staging::claim(all).and_then(|staging| {
                let answers = probe(&staging, &tree)?;
                Ok((staging, answers))
            });
            writable = unless_unwritable(claimed, &mut unwritable)?;
        }
        let (staging, mut answers) = match writable {
            Some((staging, answers)) => (Some(staging), answers),
            None => (None, probe_read_only(&root, &tree)),
        };
        if !answers.case_sensitive {
            tree.take_exact_names();
        }
        if answers.remembered {
            tree.take_fresh_facts();
        }
        if options.without_attributes {
            answers.attribute_bytes = None;
        }
        if options.without_noreplace && answers.create_only == super::probe::CreateOnly::Rename {
            answers.create_only = super::probe::CreateOnly::Link;
        }
        let wanted = answers.attribute_bytes.is_none() && answers.time_step.is_some();
        let sidecars = if staging.is_some() && wanted {
            part(&root, "sidecars", &mut unwritable)?
        } else {
            // Also where attributes work: the objects may have been written where they did not.
            open_part(&root, "sidecars").ok().flatten()
        };
        let unwritable = match (&staging, unwritable) {
            (Some(_), _) => None,
            (None, found) => Some(found.unwrap_or(Unwritable::Denied)),
        };
        // Bounded here, so that one command after a crash leaves nothing; the rest is for later.
        let swept = staging.as_ref().map_or(0, |own| own.sweep(SWEPT_AT_OPEN));
        Ok(Self {
            path,
            tree,
            objects_id,
            staging,
            unwritable,
            locks: locks.map(KeyLocks::new),
            sidecars: sidecars.map(Sidecars::new),
            clock: Clock::new(answers.time_step.unwrap_or(1), random() as u8),
            probe: answers,
            listings: Listings::default(),
            closed: AtomicBool::new(false),
            opened: Instant::now(),
            present_until: AtomicU64::new(PRESENT_MS),
            upload_age: options.upload_age,
            // One sweep comes with the opening.
            next_sweep: AtomicU64::new(0),
            swept,
        })
    }

    /// Removes what dead processes and other programs left behind. For a background job: returns the
    /// number of files, and ends early once the store is closed.
    pub(crate) fn sweep(&self) -> u64 {
        let stop = || self.closed.load(Ordering::Acquire);
        let mut swept = 0;
        while let Some(staging) = self.staging.as_ref().filter(|_| !stop()) {
            match staging.sweep(SWEPT_AT_OPEN) {
                0 => break,
                removed => swept += removed,
            }
        }
        if let (Some(_), Some(sidecars), Some(locks)) = (&self.staging, &self.sidecars, &self.locks)
        {
            swept += sidecars.sweep(&self.tree, locks, SIDECARS_PER_SWEEP, stop);
        }
        swept + self.sweep_uploads(stop)
    }

    /// Whether it is time for another [`LocalStore::sweep`]; says so once.
    pub(crate) fn sweep_is_due(&self) -> bool {
        let (due, now) = (self.next_sweep.load(Ordering::Relaxed), self.millis());
        let next = now.saturating_add(SWEEP_MS);
        let claim = || {
            self.next_sweep
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        now >= due && claim().is_ok()
    }

    /// How long an upload in parts is kept that nothing is added to.
    pub(crate) fn upload_age(&self) -> Option<Duration> {
        self.upload_age
    }

    /// Ends the sweep, and removes the staging directory unless an upload is staged there.
    pub(crate) fn release(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(staging) = &self.staging {
            staging.release_if_empty();
        }
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
        self.staging.as_ref().ok_or_else(|| self.refuses_writes())
    }

    /// Why the root takes no new objects, if it takes none.
    pub(crate) fn unwritable(&self) -> Option<Unwritable> {
        self.unwritable
    }

    /// The locks on keys.
    pub(crate) fn locks(&self) -> Outcome<&KeyLocks> {
        self.locks.as_ref().ok_or_else(|| self.refuses_writes())
    }

    /// A missing part of the root, or the whole root.
    pub(crate) fn part_or_root(&self, fault: Fault) -> Fault {
        match self.present() {
            Err(root) if fault.kind == FaultKind::PartMissing => root,
            _ => fault,
        }
    }

    /// Fails when `locks` or `sidecars` was removed since the root was opened.
    pub(crate) fn parts_present(&self) -> Outcome<()> {
        self.locks()?.present()?;
        if self.sidecars.as_ref().is_some_and(Sidecars::removed) {
            let why = "the directory `sidecars` of the root was removed";
            return Err(Fault::new(FaultKind::PartMissing, "look for sidecars", why));
        }
        Ok(())
    }

    fn refuses_writes(&self) -> Fault {
        let (kind, why) = match self.unwritable {
            Some(Unwritable::Full) => (FaultKind::Full, "the file system is full"),
            Some(Unwritable::ReadOnly) => (FaultKind::Denied, "the file system is read-only"),
            Some(Unwritable::Denied) | None => {
                (FaultKind::Denied, "this process may not write to the root")
            }
        };
        Fault::new(kind, "write", why)
    }

    /// Whether metadata goes to sidecars.
    pub(crate) fn writes_sidecars(&self) -> bool {
        self.probe.attribute_bytes.is_none() && self.sidecars.is_some()
    }

    /// Whether content type, headers, user metadata and checksums can be kept at all.
    pub(crate) fn keeps_metadata(&self) -> bool {
        self.probe.attribute_bytes.is_some() || self.sidecars.is_some()
    }

    /// The name of a version; `None` where file times do not tell versions apart.
    pub(crate) fn etag(&self, stamp: Stamp, changed: Stamp, size: u64) -> Option<String> {
        self.probe.time_step.map(|_| etag(stamp, changed, size))
    }

    /// The etag of a file that was just looked at.
    pub(crate) fn etag_of(&self, stat: &Stat) -> Option<String> {
        self.etag(stat.modified, stat.changed, stat.size)
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

    /// Fails when the root is no longer where it was opened: moved, removed, replaced, or below
    /// another mount. Asked before every change takes effect, and before an absence is reported.
    pub(crate) fn present(&self) -> Outcome<()> {
        let gone = || {
            Fault::new(
                FaultKind::RootMissing,
                "look for root",
                "the root was moved, removed, replaced or covered by a mount",
            )
        };
        match identity_of_path(&self.path.join("objects")) {
            Ok(there) if there == self.objects_id => Ok(()),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(gone()),
            Err(errno) => Err(Fault::own("look for root")(errno)),
        }
    }

    /// Whether reads may take the root for present without looking.
    pub(crate) fn lately_present(&self) -> bool {
        self.millis() < self.present_until.load(Ordering::Relaxed)
    }

    /// As [`LocalStore::present`], but looks only once a second: reads of objects that are there must not
    /// go on from a root that was moved away.
    pub(crate) fn present_to_readers(&self) -> Outcome<()> {
        if !self.lately_present() {
            self.present()?;
            let until = self.millis().saturating_add(PRESENT_MS);
            self.present_until.store(until, Ordering::Relaxed);
        }
        Ok(())
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Space of the file system under the root.
    pub(crate) fn space(&self) -> Outcome<Space> {
        self.usable()?;
        self.present()?;
        platform::space(self.tree.root()).map_err(Fault::own("statvfs"))
    }
}

/// Creates the root and what is missing above it, names on the medium: a durable object below a
/// directory that a power cut takes away would not be durable.
fn create_root(path: &Path) -> Outcome<()> {
    const STEP: &str = "create root";
    let failed =
        |error: std::io::Error| Fault::own(STEP)(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    let missing = path
        .ancestors()
        .position(|above| above.exists())
        .unwrap_or(0);
    std::fs::create_dir_all(path).map_err(failed)?;
    for above in path.ancestors().skip(1).take(missing) {
        open_path(above)
            .and_then(sync_dir)
            .map_err(Fault::own(STEP))?;
    }
    Ok(())
}

/// Opens a directory of the root, created if it is missing; `None` where that is not possible, with
/// the reason in `unwritable`.
fn part(
    root: &OwnedFd,
    name: &'static str,
    unwritable: &mut Option<Unwritable>,
) -> Outcome<Option<OwnedFd>> {
    let created = match make_dir_at(root, name) {
        Ok(()) => sync_dir(root),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    };
    let created = created.map_err(Fault::own("create a directory of the root"));
    unless_unwritable(created, unwritable)?;
    let opened = open_part(root, name)?;
    if let Some(fd) = opened.as_ref().filter(|_| name != "objects") {
        keep_readers_out(fd);
    }
    Ok(opened)
}

/// `None`: it is missing, or this process may not open it.
fn open_part(root: &OwnedFd, name: &'static str) -> Outcome<Option<OwnedFd>> {
    match open_at(root, name, Open::Directory) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(Fault::own("open a directory of the root")(errno)),
    }
}

/// Turns "cannot be written" into `None`, and keeps the first reason.
fn unless_unwritable<T>(
    outcome: Outcome<T>,
    reason: &mut Option<Unwritable>,
) -> Outcome<Option<T>> {
    let fault = match outcome {
        Ok(value) => return Ok(Some(value)),
        Err(fault) => fault,
    };
    let errno = fault.source.as_ref().and_then(std::io::Error::raw_os_error);
    let found = match fault.kind {
        FaultKind::Full => Unwritable::Full,
        FaultKind::Denied if errno == Some(Errno::ROFS.raw_os_error()) => Unwritable::ReadOnly,
        FaultKind::Denied => Unwritable::Denied,
        _ => return Err(fault),
    };
    reason.get_or_insert(found);
    Ok(None)
}
