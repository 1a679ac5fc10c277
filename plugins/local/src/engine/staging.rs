//! Staging of unfinished uploads, and the sweep of what killed processes left there.
//!
//! Each opened store has a directory of its own, `ROOT/staging/<id>`, and holds an exclusive `flock`
//! on `ROOT/staging/<id>.lock` for its whole life. The kernel releases that lock however a process
//! ends, so a process that can take it knows that the owner is dead, and may sweep. The lock file is
//! created and locked before the directory and removed after it: no directory is in use without a
//! held lock.

use super::fault::{Fault, FaultKind, Outcome, retry};
use super::tree::open_child_dir;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, Dir, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, openat, unlinkat,
};
use rustix::io::Errno;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// This store's part of `ROOT/staging`.
#[derive(Debug)]
pub(crate) struct Staging {
    /// `ROOT/staging`.
    all: OwnedFd,
    /// `ROOT/staging/<id>`.
    own: OwnedFd,
    id: String,
    next: AtomicU64,
    /// Held for its lock: closing it ends the claim.
    _lock: OwnedFd,
}

const LOCK_SUFFIX: &str = ".lock";
const LOCK_FILE: OFlags = OFlags::RDWR.union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
pub(crate) const FILE_MODE: Mode = Mode::RUSR
    .union(Mode::WUSR)
    .union(Mode::RGRP)
    .union(Mode::WGRP)
    .union(Mode::ROTH)
    .union(Mode::WOTH);

/// Mode of a lock file in `dir`: those who may write there, and no one who may only read. A reader
/// that can open a file can lock it.
pub(crate) fn lock_mode(dir: &OwnedFd) -> Mode {
    let writers = fstat(dir).map_or(0, |stat| stat.st_mode & 0o222);
    Mode::from_raw_mode(0o600 | writers | writers << 1)
}

/// A random number, for names that no other process draws.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Staging {
    /// Claims a directory below `ROOT/staging`.
    pub(crate) fn claim(all: OwnedFd) -> Outcome<Self> {
        for _ in 0..64 {
            let id = format!("{:016x}", random());
            let lock_name = format!("{id}{LOCK_SUFFIX}");
            let lock = match openat(
                &all,
                lock_name.as_str(),
                LOCK_FILE | OFlags::CREATE | OFlags::EXCL,
                lock_mode(&all),
            ) {
                Ok(lock) => lock,
                Err(Errno::EXIST | Errno::INTR) => continue,
                Err(errno) => return Err(Fault::own("create a lock file in staging")(errno)),
            };
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                // A sweeper took the lock first; it removes this file. Draw again.
                Err(Errno::WOULDBLOCK | Errno::INTR) => continue,
                other => other.map_err(Fault::own("lock a file in staging"))?,
            }
            if fstat(&lock).is_ok_and(|stat| stat.st_nlink == 0) {
                continue;
            }
            let made = mkdirat(&all, id.as_str(), Mode::RWXU)
                .map_err(Fault::own("create a directory in staging"));
            let opened = made.and_then(|()| {
                open_child_dir(all.as_fd(), &id).map_err(Fault::own("open a directory in staging"))
            });
            let own = opened.inspect_err(|_| {
                // A disk that is full may take an empty file and no directory.
                let _ = unlinkat(&all, id.as_str(), AtFlags::REMOVEDIR);
                let _ = unlinkat(&all, lock_name.as_str(), AtFlags::empty());
            })?;
            return Ok(Self {
                all,
                own,
                id,
                next: AtomicU64::new(0),
                _lock: lock,
            });
        }
        Err(Fault::new(
            FaultKind::Busy,
            "claim a directory in staging",
            "no staging directory after 64 attempts",
        ))
    }

    /// Name of this store's directory.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// This store's directory.
    pub(crate) fn dir(&self) -> &OwnedFd {
        &self.own
    }

    /// A name that is not in use there.
    pub(crate) fn name(&self) -> String {
        format!("{:x}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Removes what dead processes left behind, at most about `most` files. Returns how many.
    pub(crate) fn sweep(&self, most: usize) -> u64 {
        let Ok(entries) = Dir::read_from(&self.all) else {
            return 0;
        };
        let locks = entries.filter_map(Result::ok).filter_map(|entry| {
            let id = entry.file_name().to_str().ok()?.strip_suffix(LOCK_SUFFIX)?;
            (id != self.id).then(|| id.to_owned())
        });
        let dead: Vec<String> = locks.take(most).collect();
        let mut removed = 0;
        for id in dead {
            let left = most.saturating_sub(usize::try_from(removed).unwrap_or(usize::MAX));
            if left == 0 {
                break;
            }
            removed += self.sweep_one(&id, left);
        }
        removed
    }

    fn sweep_one(&self, id: &str, most: usize) -> u64 {
        let lock_name = format!("{id}{LOCK_SUFFIX}");
        let Ok(lock) = openat(&self.all, lock_name.as_str(), LOCK_FILE, Mode::empty()) else {
            return 0;
        };
        // Held by a living owner, or by another sweeper.
        if retry(|| flock(&lock, FlockOperation::NonBlockingLockExclusive)).is_err() {
            return 0;
        }
        let removed =
            open_child_dir(self.all.as_fd(), id).map_or(0, |dir| remove_files(&dir, most));
        match unlinkat(&self.all, id, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {
                let _ = unlinkat(&self.all, lock_name.as_str(), AtFlags::empty());
            }
            // Something in it could not be removed: the lock file stays, the next sweep tries again.
            Err(_) => {}
        }
        removed
    }
}

fn remove_files(dir: &OwnedFd, most: usize) -> u64 {
    let Ok(entries) = Dir::read_from(dir) else {
        return 0;
    };
    let names: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_owned())
        .collect();
    let dots = [c".", c".."];
    names
        .iter()
        .filter(|name| !dots.contains(&name.as_c_str()))
        .take(most)
        .filter(|name| unlinkat(dir, name.as_c_str(), AtFlags::empty()).is_ok())
        .count() as u64
}

impl Staging {
    /// Removes this store's directory and its lock file, unless an upload is staged there.
    ///
    /// The last job that holds the store would do so too, but may be later than the end of the
    /// process.
    pub(crate) fn release_if_empty(&self) {
        if unlinkat(&self.all, self.id.as_str(), AtFlags::REMOVEDIR).is_ok() {
            let _ = unlinkat(
                &self.all,
                format!("{}{LOCK_SUFFIX}", self.id).as_str(),
                AtFlags::empty(),
            );
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        remove_files(&self.own, usize::MAX);
        self.release_if_empty();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::open;
    use std::path::Path;

    fn claim(at: &Path) -> Staging {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Staging::claim(open(at, flags, Mode::empty()).unwrap()).unwrap()
    }

    fn names(at: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(at)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_leftovers_of_killed_processes_are_swept() {
        let root = tempfile::tempdir().unwrap();
        // As after kill -9: lock file and directory without a holder of the lock.
        std::fs::create_dir(root.path().join("0dead")).unwrap();
        std::fs::write(root.path().join("0dead/0"), "partial").unwrap();
        std::fs::write(root.path().join("0dead.lock"), "").unwrap();
        let living = claim(root.path());
        std::fs::write(root.path().join(&living.id).join("0"), "in work").unwrap();
        std::fs::write(root.path().join("README"), "of an operator").unwrap();

        let next = claim(root.path());
        assert_eq!(next.sweep(usize::MAX), 1);
        assert!(!root.path().join("0dead").exists() && !root.path().join("0dead.lock").exists());
        assert!(root.path().join(&living.id).join("0").exists());
        assert_eq!(next.sweep(usize::MAX), 0);
        drop((living, next));
        assert_eq!(names(root.path()), ["README"]);
    }

    #[test]
    fn a_released_store_leaves_no_lock_behind_though_a_job_holds_it() {
        let root = tempfile::tempdir().unwrap();
        let names = || std::fs::read_dir(root.path()).unwrap().count();
        let staging = claim(root.path());
        assert_eq!(names(), 2);
        staging.release_if_empty();
        assert_eq!(names(), 0);
        drop(staging);
        // Something is staged: the last holder removes it.
        let staging = claim(root.path());
        std::fs::write(root.path().join(staging.id()).join("0"), "").unwrap();
        staging.release_if_empty();
        assert_eq!(names(), 2);
        drop(staging);
        assert_eq!(names(), 0);
    }

    #[test]
    fn a_sweep_is_bounded() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("0dead")).unwrap();
        std::fs::write(root.path().join("0dead.lock"), "").unwrap();
        for number in 0..5 {
            std::fs::write(root.path().join(format!("0dead/{number}")), "").unwrap();
        }
        let staging = claim(root.path());
        assert_eq!([3, 3, 3].map(|most| staging.sweep(most)), [3, 2, 0]);
        assert!(!root.path().join("0dead.lock").exists());
    }

    #[test]
    fn sweepers_and_newcomers_race() {
        let root = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let staging = claim(root.path());
                        let name = staging.name();
                        let file = openat(
                            staging.dir(),
                            name.as_str(),
                            OFlags::CREATE | OFlags::WRONLY,
                            FILE_MODE,
                        );
                        drop(file.unwrap());
                        staging.sweep(usize::MAX);
                        unlinkat(staging.dir(), name.as_str(), AtFlags::empty()).unwrap();
                    }
                });
            }
        });
        assert_eq!(names(root.path()), Vec::<String>::new());
    }
}
