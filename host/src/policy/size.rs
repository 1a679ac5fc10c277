//! The size limit. The bytes are counted with the rest of the body's checks.

use super::Guards;

impl Guards {
    /// The smaller of the request's bound and the backend's.
    pub(crate) fn bound(&self, asked: Option<u64>) -> Option<u64> {
        match (asked, self.max_size) {
            (Some(asked), Some(most)) => Some(asked.min(most)),
            (asked, most) => asked.or(most),
        }
    }
}
