//! Removal of abandoned uploads.
//!
//! The age of an upload is the time since anything in its directory changed, so that one whose parts keep arriving is
//! never abandoned.

use super::{PendingUpload, ids, is_alive, remove};
use crate::engine::platform::{AsFd, Lock, OwnedFd, stat};
use crate::engine::stamp::Stamp;
use crate::engine::store::LocalStore;
use crate::engine::tree::open_child_dir;
use std::time::Duration;

/// Age of what is no upload yet, or none any more, such as a killed process leaves.
const GRACE: Duration = Duration::from_secs(600);

impl LocalStore {
    /// Removes uploads that nothing was added to for as long as they are kept. Returns how many; ends early once
    /// `stop` says so.
    pub(crate) fn sweep_uploads(&self, stop: impl Fn() -> bool) -> u64 {
        let Ok(Some(all)) = self.uploads() else {
            return 0;
        };
        let Ok(ids) = ids(&all) else { return 0 };
        // All names first: a directory is not changed while it is read.
        let ids: Vec<String> = ids.collect();
        let mut removed = 0;
        for id in ids {
            if stop() {
                break;
            }
            removed += u64::from(self.sweep_upload(&all, &id).is_some());
        }
        removed
    }

    fn sweep_upload(&self, all: &OwnedFd, id: &str) -> Option<()> {
        let dir = open_child_dir(all.as_fd(), id).ok()?;
        let kept = match is_alive(&dir).ok()? {
            true => self.upload_age()?,
            false => GRACE,
        };
        let is_old = || age(&dir).is_some_and(|age| age > kept);
        if !is_old() {
            return None;
        }
        // Not while a part is written or the upload is completed; a damaged one has neither.
        let _lock = match PendingUpload::open(all, id) {
            Ok(Some(upload)) => Some(upload.lock(Lock::Exclusive).ok()?),
            _ => None,
        };
        if self.present().is_err() || !is_old() {
            return None;
        }
        remove(all, id, &dir);
        Some(())
    }
}

/// Time since an entry of the directory changed; `None` when that is in the future.
fn age(dir: &OwnedFd) -> Option<Duration> {
    let changed = stat(dir).ok()?.modified;
    let age = Stamp::now().0.checked_sub(changed.0)?;
    u64::try_from(age).ok().map(Duration::from_nanos)
}
