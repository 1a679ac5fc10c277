//! A file that waits for its publication: in the store's own staging directory, or in an upload in parts.

use super::fault::Outcome;
use super::platform::{Errno, OwnedFd, remove_file_at, rename_at};
use super::staging::Staging;
use super::store::LocalStore;
use super::uploads;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A file that has no name among the objects yet.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(super) store: Arc<LocalStore>,
    place: Place,
    /// It has another name by now, or none.
    gone: AtomicBool,
}

/// Where a file waits for its publication.
#[derive(Debug)]
pub(super) enum Place {
    /// Under this name in the store's own staging directory, from which it is removed at the latest when it is
    /// dropped.
    Own(String),
    /// In this directory of an upload in parts, where it stays when it is not published.
    Upload(OwnedFd),
}

impl Staged {
    pub(super) fn new(store: &Arc<LocalStore>, place: Place) -> Self {
        Self {
            store: Arc::clone(store),
            place,
            gone: AtomicBool::new(false),
        }
    }

    pub(super) fn is_of_upload(&self) -> bool {
        matches!(self.place, Place::Upload(_))
    }

    /// Its directory.
    pub(super) fn dir(&self) -> Outcome<&OwnedFd> {
        match &self.place {
            Place::Own(_) => self.store.staging().map(Staging::dir),
            Place::Upload(dir) => Ok(dir),
        }
    }

    /// Its name there.
    pub(super) fn name(&self) -> &str {
        match &self.place {
            Place::Own(name) => name,
            Place::Upload(_) => uploads::DATA,
        }
    }

    /// Removes a name of its own; the file lives on while it is open.
    pub(crate) fn discard(&self) {
        if matches!(self.place, Place::Own(_)) {
            self.remove();
        }
    }

    /// After the file was given its name among the objects: nothing is left to remove.
    pub(super) fn published(&self) {
        self.gone.store(true, Ordering::Release);
    }

    /// Removes the name, wherever it is.
    pub(super) fn remove(&self) {
        if !self.gone.swap(true, Ordering::AcqRel)
            && let Ok(dir) = self.dir()
        {
            let _ = remove_file_at(dir, self.name());
        }
    }

    /// Gives the file a name in another directory of the store's own, in place of what has it.
    pub(super) fn move_to(&self, dir: &OwnedFd, name: &str) -> Outcome<Result<(), Errno>> {
        let renamed = rename_at(self.dir()?, self.name(), dir, name);
        if renamed.is_ok() {
            self.published();
        }
        Ok(renamed)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        self.discard();
    }
}
