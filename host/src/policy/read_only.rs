//! No changes.

use super::Guards;
use holdall_plugin_api::{Error, Result};

impl Guards {
    /// Asked by every operation that changes something.
    ///
    /// # Errors
    ///
    /// `Unsupported`.
    pub(crate) fn may_write(&self) -> Result<()> {
        if self.read_only {
            let error = Error::unsupported("the backend is read-only");
            return Err(error.with_fact("policy", "read_only"));
        }
        Ok(())
    }
}
