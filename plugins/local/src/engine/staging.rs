//! Staging of unfinished uploads, and the sweep of what killed processes left there.
//!
//! Each opened store has a directory of its own, `ROOT/staging/<id>`, and holds an exclusive lock
//! on `ROOT/staging/<id>.lock` for its whole life. The kernel releases that lock however a process
//! ends, so a process that can take it knows that the owner is dead, and may sweep. The lock file is
//! created and locked before the directory and removed after it: no directory is in use without a
//! held lock.

use super::fault::{Fault, FaultKind, Outcome};
use super::platform::{
    AsFd, Errno, Lock, LockFile, OwnedFd, entries, make_private_dir_at, open_lock, remove_dir_at,
    remove_entry_at, remove_file_at, retry, stat, try_lock,
};
use super::tree::open_child_dir;
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
            let lock = match open_lock(&all, &lock_name, LockFile::New) {
                Ok(lock) => lock,
                Err(Errno::EXIST | Errno::INTR) => continue,
                Err(errno) => return Err(Fault::own("create a lock file in staging")(errno)),
            };
            match try_lock(&lock, Lock::Exclusive) {
                // A sweeper took the lock first; it removes this file. Draw again.
                Err(Errno::WOULDBLOCK | Errno::INTR) => continue,
                other => other.map_err(Fault::own("lock a file in staging"))?,
            }
            if stat(&lock).is_ok_and(|stat| stat.links == 0) {
                continue;
            }
            let made =
                make_private_dir_at(&all, &id).map_err(Fault::own("create a directory in staging"));
            let opened = made.and_then(|()| {
                open_child_dir(all.as_fd(), &id).map_err(Fault::own("open a directory in staging"))
            });
            let own = opened.inspect_err(|_| {
                // A disk that is full may take an empty file and no directory.
                let _ = remove_dir_at(&all, &id);
                let _ = remove_file_at(&all, &lock_name);
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

    /// `ROOT/staging`, which all processes share.
    pub(crate) fn shared(&self) -> &OwnedFd {
        &self.all
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
        let Ok(entries) = entries(&self.all) else {
            return 0;
        };
        let locks = entries.filter_map(Result::ok).filter_map(|entry| {
            let name = std::str::from_utf8(&entry.name).ok()?;
            let id = name.strip_suffix(LOCK_SUFFIX)?;
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
        let Ok(lock) = open_lock(&self.all, &lock_name, LockFile::Existing) else {
            return 0;
        };
        // Held by a living owner, or by another sweeper.
        if retry(|| try_lock(&lock, Lock::Exclusive)).is_err() {
            return 0;
        }
        let removed =
            open_child_dir(self.all.as_fd(), id).map_or(0, |dir| remove_files(&dir, most));
        match remove_dir_at(&self.all, id) {
            Ok(()) | Err(Errno::NOENT) => {
                let _ = remove_file_at(&self.all, &lock_name);
            }
            // Something in it could not be removed: the lock file stays, the next sweep tries again.
            Err(_) => {}
        }
        removed
    }
}

pub(super) fn remove_files(dir: &OwnedFd, most: usize) -> u64 {
    let Ok(entries) = entries(dir) else {
        return 0;
    };
    // All names first: a directory is not changed while it is read.
    let names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.name)).collect();
    names
        .iter()
        .take(most)
        .filter(|name| remove_entry_at(dir, name).is_ok())
        .count() as u64
}

impl Staging {
    /// Removes this store's directory and its lock file, unless an upload is staged there.
    ///
    /// The last job that holds the store would do so too, but may be later than the end of the
    /// process.
    pub(crate) fn release_if_empty(&self) {
        if remove_dir_at(&self.all, &self.id).is_ok() {
            let _ = remove_file_at(&self.all, &format!("{}{LOCK_SUFFIX}", self.id));
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
    use crate::engine::platform::{create_at, open_path, replaces_what_is_open};
    use std::path::Path;

    fn claim(at: &Path) -> Staging {
        Staging::claim(open_path(at).unwrap()).unwrap()
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

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_swept_too() {
        use std::os::unix::ffi::OsStrExt;
        let root = tempfile::tempdir().unwrap();
        let dead = root.path().join("0dead");
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
        std::fs::write(root.path().join("0dead.lock"), "").unwrap();
        let staging = claim(root.path());
        assert_eq!(staging.sweep(usize::MAX), 1);
        assert!(!dead.exists());
    }

    #[test]
    fn a_released_store_leaves_no_lock_behind_though_a_job_holds_it() {
        if !replaces_what_is_open("a_released_store_leaves_no_lock_behind_though_a_job_holds_it") {
            return;
        }
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
                        drop(create_at(staging.dir(), &name).unwrap());
                        staging.sweep(usize::MAX);
                        remove_file_at(staging.dir(), &name).unwrap();
                    }
                });
            }
        });
        assert_eq!(names(root.path()), Vec::<String>::new());
    }
}
