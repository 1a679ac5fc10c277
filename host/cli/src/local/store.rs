//! The directory of a backend that keeps its objects on this machine.
//!
//! A store must not be copied into itself: each run would add a level.

use std::fs;
use std::path::{Path, PathBuf};

use holdall::Backend;

use crate::exit;
use crate::failure::{Failure, Result};
use crate::files::{self, Identity};

/// The root of a store, known from a `file:` URL in the description of its backend.
#[derive(Clone, Debug)]
pub(crate) struct StoreDirectory {
    backend: String,
    root: PathBuf,
    identity: Identity,
}

impl StoreDirectory {
    /// Returns `None` for a backend that keeps nothing in a directory of this machine.
    pub(crate) async fn of(backend: &Backend) -> Result<Option<Self>> {
        let description = backend.info().await?.description;
        let root = description.strip_prefix("file://");
        let root = root.and_then(|root| fs::canonicalize(root).ok());
        let identity = root.as_ref().and_then(|root| files::identity(root).ok());
        Ok(root.zip(identity).map(|(root, identity)| Self {
            backend: backend.name().to_owned(),
            root,
            identity,
        }))
    }

    /// Whether this is the root itself.
    pub(crate) fn is(&self, directory: &Path) -> bool {
        files::identity(directory).is_ok_and(|identity| identity == self.identity)
    }

    /// Whether both are the same directory.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Refuses a directory that lies within the store, or will once it is made.
    pub(crate) fn refuse(&self, directory: &Path) -> Result<()> {
        let existing = directory
            .ancestors()
            .map(|path| match path.as_os_str().is_empty() {
                true => Path::new("."),
                false => path,
            })
            .find_map(|path| fs::canonicalize(path).ok());
        if !existing.is_some_and(|existing| existing.starts_with(&self.root)) {
            return Ok(());
        }
        Err(Failure::refused(
            exit::BAD_INPUT,
            "within_store",
            format!(
                "{} lies within {}, the directory of backend \"{}\"",
                directory.display(),
                self.root.display(),
                self.backend
            ),
            "name a directory outside of the store",
        ))
    }

    /// One line for people.
    pub(crate) fn skipped(&self, directory: &Path) -> String {
        format!(
            "{} is the directory of backend \"{}\": left out",
            directory.display(),
            self.backend
        )
    }
}
