//! QuotaLimits of what may be stored. The ledger counts; `operations/quota` asks it around each write.

use super::Guards;
use crate::ledger::QuotaLimits;

/// Default quota of each owner, in bytes.
pub const OWNER_QUOTA: u64 = 1 << 30;

/// Most bytes that may be stored, counted in the [ledger](crate::ledger).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Of each owner.
    pub owner: Option<u64>,
    /// Of each group.
    pub group: Option<u64>,
    /// Of the whole backend.
    pub backend: Option<u64>,
}

impl Default for Quota {
    /// 1 GiB for each owner.
    fn default() -> Self {
        Self {
            owner: Some(OWNER_QUOTA),
            group: None,
            backend: None,
        }
    }
}

impl Guards {
    /// The limits; `None` when nothing is counted.
    pub(crate) fn limits(&self) -> Option<QuotaLimits> {
        self.quota.as_ref().map(|quota| QuotaLimits {
            owner: quota.owner,
            group: quota.group,
            backend: quota.backend,
        })
    }
}
