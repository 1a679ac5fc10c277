//! What a server's disk holds of uploads.

use holdall_conformance::{DirectAccess, FolderStore};
use std::time::{Duration, Instant};

/// Waits until so many files are staged.
///
/// # Panics
///
/// When it takes longer than a minute.
pub fn wait_for_staged(store: &FolderStore, count: usize) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let found = store.leftovers();
        if found.len() == count {
            return;
        }
        assert!(
            Instant::now() < until,
            "{count} staged files are expected, found {found:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
