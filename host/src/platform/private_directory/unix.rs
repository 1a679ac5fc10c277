//! A directory that only this user enters.

use std::io;
use std::path::Path;

/// A new directory for temporary files, removed with this value.
#[derive(Debug)]
pub(crate) struct PrivateDirectory(tempfile::TempDir);

impl PrivateDirectory {
    pub(crate) fn create() -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        tempfile::Builder::new()
            .prefix("holdall-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .map(Self)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}
