//! Limits of what may be stored. The ledger counts; `operations/quota` asks it around each write.

use serde::Serialize;

/// Default quota of each owner, in bytes.
pub const OWNER_QUOTA: u64 = 1 << 30;

/// Most bytes that may be stored, counted in the [ledger](crate::ledger). `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Quota {
    /// Of each owner.
    pub owner: Option<u64>,
    /// Of each group.
    pub group: Option<u64>,
    /// Of the whole backend.
    pub backend: Option<u64>,
}

impl Quota {
    /// No limit: what is stored is counted and not refused.
    pub const UNLIMITED: Quota = Quota {
        owner: None,
        group: None,
        backend: None,
    };
}

impl Default for Quota {
    /// 1 GiB for each owner.
    fn default() -> Self {
        Self {
            owner: Some(OWNER_QUOTA),
            ..Self::UNLIMITED
        }
    }
}
