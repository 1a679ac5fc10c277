//! Locks on keys, across threads and processes.
//!
//! A conditional write needs a check and a rename without another writer in between. It takes
//! `ROOT/locks/<nnn>` exclusively, where `nnn` is twelve bits of the key's hash, so at most 4096
//! empty files ever exist and none is removed again (removing a lock file races with its next user).
//! All other writers of the key take the same lock shared, but only if the file exists: a store
//! without conditional writers pays one failed look-up for each put.
//!
//! One race remains: the first conditional write of a hash creates the file, and a plain put that
//! looked for it just before does not wait. That put then counts as the earlier of the two.
//!
//! A lock is waited for here only for moments, because the wait holds a thread of the pool. After
//! that the fault is `Locked`, nothing has changed, and the caller waits without a thread.

use super::fault::{Fault, FaultKind, Outcome};
use super::platform::{Errno, Lock, LockFile, OwnedFd, open_lock, stat, try_lock};
use std::time::{Duration, Instant};

/// `ROOT/locks`.
#[derive(Debug)]
pub(crate) struct KeyLocks(OwnedFd);

/// Held until dropped.
#[derive(Debug)]
pub(crate) struct KeyLock(
    #[expect(dead_code, reason = "held for its lock, which ends when it is closed")] OwnedFd,
);

/// The longest wait on a thread of the pool. Holders need microseconds.
const WAIT: Duration = Duration::from_millis(2);

/// The hash that names locks and sidecars. Stored on disk, so it must never change.
pub(crate) fn key_hash(key: &str) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, key.as_bytes())
}

fn file_name(key: &str) -> String {
    format!("{:03x}", key_hash(key) & 0xfff)
}

impl KeyLocks {
    pub(crate) fn new(dir: OwnedFd) -> Self {
        Self(dir)
    }

    /// Waits until no other writer changes keys of this hash.
    pub(crate) fn exclusive(&self, key: &str) -> Outcome<KeyLock> {
        take(self.make(key)?, Lock::Exclusive, WAIT)
    }

    /// As [`KeyLocks::exclusive`], but gives up at once.
    pub(crate) fn try_exclusive(&self, key: &str) -> Outcome<KeyLock> {
        take(self.make(key)?, Lock::Exclusive, Duration::ZERO)
    }

    fn make(&self, key: &str) -> Outcome<OwnedFd> {
        let opened = open_lock(&self.0, &file_name(key), LockFile::Any);
        opened.map_err(|errno| match errno {
            Errno::NOENT => removed(),
            other => Fault::own("open a lock file")(other),
        })
    }

    /// Fails when the directory was removed: other processes use another one by now.
    pub(crate) fn present(&self) -> Outcome<()> {
        match stat(&self.0) {
            Ok(stat) if stat.links > 0 => Ok(()),
            _ => Err(removed()),
        }
    }

    /// Waits for conditional writers of this hash, if there were any.
    pub(crate) fn shared_if_used(&self, key: &str) -> Outcome<Option<KeyLock>> {
        match open_lock(&self.0, &file_name(key), LockFile::Existing) {
            Ok(file) => take(file, Lock::Shared, WAIT).map(Some),
            Err(Errno::NOENT) => self.present().map(|()| None),
            Err(errno) => Err(Fault::own("open a lock file")(errno)),
        }
    }

    /// Locks for a change of two keys, always in the same order, and once where they share a file.
    pub(crate) fn pair(&self, one: &str, other: &str, exclusive: bool) -> Outcome<Vec<KeyLock>> {
        let mut keys = [one, other];
        keys.sort_by_key(|key| file_name(key));
        let count = if file_name(one) == file_name(other) {
            1
        } else {
            2
        };
        let mut locks = Vec::with_capacity(count);
        for key in &keys[..count] {
            if exclusive {
                locks.push(self.exclusive(key)?);
            } else {
                locks.extend(self.shared_if_used(key)?);
            }
        }
        Ok(locks)
    }
}

fn removed() -> Fault {
    Fault::new(
        FaultKind::PartMissing,
        "open a lock file",
        "the directory `locks` of the root was removed",
    )
}

fn take(file: OwnedFd, lock: Lock, patience: Duration) -> Outcome<KeyLock> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_micros(20);
    loop {
        match try_lock(&file, lock) {
            Ok(()) => return Ok(KeyLock(file)),
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => {
                std::thread::sleep(pause)
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => {
                return Err(Fault::new(
                    FaultKind::Locked,
                    "lock a key",
                    "another writer holds the key",
                ));
            }
            Err(errno) => return Err(Fault::own("lock a key")(errno)),
        }
        pause = (pause * 2).min(Duration::from_micros(500));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::platform::open_path;

    #[test]
    fn a_shared_lock_waits_only_for_an_exclusive_one() {
        let root = tempfile::tempdir().unwrap();
        let locks = KeyLocks::new(open_path(root.path()).unwrap());
        assert!(locks.shared_if_used("a").unwrap().is_none());
        drop(locks.exclusive("a").unwrap());
        let shared = locks.shared_if_used("a").unwrap();
        assert!(shared.is_some());
        assert_eq!(
            locks.try_exclusive("a").unwrap_err().kind,
            FaultKind::Locked
        );
        drop(shared);
        assert!(locks.try_exclusive("a").is_ok());
        assert_eq!(locks.pair("a", "a", true).unwrap().len(), 1);
        assert_eq!(locks.pair("a", "b", true).unwrap().len(), 2);
    }

    #[test]
    fn the_hash_on_disk_never_changes() {
        // The check value of CRC-64/NVME.
        assert_eq!(key_hash("123456789"), 0xae8b_1486_0a79_9888);
    }
}
