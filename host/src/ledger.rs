//! The ledger of quotas, as the host asks it. The crate `holdall-ledger` keeps one in SQLite or PostgreSQL.
//!
//! A write takes two steps: [`Ledger::reserve`] before the backend is called, [`Ledger::settle`] after it, by what
//! is stored then. What a process that ended has left between the two is found by [`Ledger::orphans`].

use crate::audit::AuditLog;
use crate::policy::Quota;
use futures_util::future::BoxFuture;
use holdall_plugin_api::Result;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// Counts who stores how much. All numbers are bytes. Every error is `Unavailable`, unless it says otherwise.
pub trait Ledger: Send + Sync + fmt::Debug + 'static {
    /// Sets bytes aside for a write to a key.
    ///
    /// # Errors
    ///
    /// `QuotaExceeded`, with the facts `scope`, `limit`, `used`, `reserved` and `requested`; `Unavailable`.
    fn reserve<'a>(&'a self, ask: &'a Reserve) -> BoxFuture<'a, Result<Reserved>>;

    /// Ends a reservation by what is stored now, or corrects the row of a key.
    ///
    /// # Errors
    ///
    /// `Unavailable`. The reservation stays.
    fn settle<'a>(&'a self, settle: &'a Settle) -> BoxFuture<'a, Result<Settled>>;

    /// Reservations of processes that have ended and of signed URLs that have expired.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    fn orphans<'a>(&'a self, backend: &'a str) -> BoxFuture<'a, Result<Vec<Orphan>>>;

    /// The object of a key.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    fn object<'a>(&'a self, backend: &'a str, key: &'a str) -> BoxFuture<'a, Result<Option<Row>>>;

    /// At most `limit` objects after a key, in one order.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    fn objects<'a>(
        &'a self,
        backend: &'a str,
        after: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Row>>>;

    /// Usage of a backend: by owner, by group and as a whole.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    fn usage<'a>(&'a self, backend: &'a str) -> BoxFuture<'a, Result<Vec<QuotaUsage>>>;

    /// Computes the counters of a backend from its rows; returns how many were wrong.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    fn recount<'a>(&'a self, backend: &'a str) -> BoxFuture<'a, Result<u64>>;

    /// The audit log in the same database, for `audit.ledger` of the configuration. `None`: it keeps none.
    fn audit(self: Arc<Self>) -> Option<Arc<dyn AuditLog>> {
        None
    }
}

/// Who is charged. The group may be empty: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// The owner.
    pub owner: String,
    /// The group, or nothing.
    pub group: String,
}

/// Bytes that a write needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// An object of this size.
    Known(u64),
    /// As many as there are, up to this.
    UpTo(u64),
    /// None: a delete. Whatever is stored afterwards stays charged as it is.
    Delete,
}

/// A request for bytes.
#[derive(Clone, Debug)]
pub struct Reserve {
    /// A number that no other reservation has.
    pub id: u64,
    /// Name of the backend.
    pub backend: String,
    /// The key that is written.
    pub key: String,
    /// Who is charged.
    pub charged: Charged,
    /// How much.
    pub bytes: Amount,
    /// What may not be exceeded.
    pub limits: Quota,
    /// The reservation of the signed URL by which this write comes: it ends in the same step.
    pub replaces: Option<u64>,
    /// A signed URL: when it expires, in seconds since 1970.
    pub expires: Option<u64>,
}

/// What was set aside.
#[derive(Clone, Debug)]
pub struct Reserved {
    /// Bytes that may be written.
    pub bytes: u64,
    /// `QuotaExceeded` for the body that is longer.
    pub excess: Option<holdall_plugin_api::Error>,
}

/// What is stored now.
#[derive(Clone, Debug)]
pub struct Settle {
    /// The reservation; `None` corrects a row.
    pub id: Option<u64>,
    /// Name of the backend.
    pub backend: String,
    /// The key.
    pub key: String,
    /// Size of the object; `None`: there is none.
    pub stored: Option<u64>,
    /// The backend has answered that this write is done. Otherwise an object of the old size stays with its owner.
    pub done: bool,
    /// The object was looked up after this many settlements of other writes to the key had happened; `None`: not
    /// looked up.
    pub looked_up: Option<u64>,
}

/// Outcome of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Booked.
    Done,
    /// Nothing was booked: other writes to the key run or have ended meanwhile. Look the object up and settle again
    /// with this number.
    Contested(u64),
}

/// A reservation that has no holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// Its number.
    pub id: u64,
    /// The key.
    pub key: String,
    /// Settlements of other writes to the key.
    pub contested: u64,
}

/// An object of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: String,
    /// Its size.
    pub size: u64,
    /// Who is charged.
    pub charged: Charged,
}

/// What reconciliations came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reconciled {
    /// Reconciliations.
    pub runs: u64,
    /// Objects that were listed.
    pub objects: u64,
    /// Objects that the ledger did not know.
    pub added: u64,
    /// Rows whose object had gone.
    pub removed: u64,
    /// Rows with another size.
    pub corrected: u64,
    /// Reservations of ended processes that were settled.
    pub released: u64,
    /// Counters that were not the sum of their rows.
    pub counters: u64,
}

impl Reconciled {
    pub(crate) fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.objects += other.objects;
        self.added += other.added;
        self.removed += other.removed;
        self.corrected += other.corrected;
        self.released += other.released;
        self.counters += other.counters;
    }
}

/// Usage of one owner, one group or a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QuotaUsage {
    /// `owner`, `group` or `backend`.
    pub scope: String,
    /// Name of the owner or group; empty for the backend.
    pub name: String,
    /// Bytes that are stored.
    pub used: u64,
    /// Bytes that are set aside for writes in progress and signed URLs.
    pub reserved: u64,
    /// Number of objects.
    pub objects: u64,
    /// Most bytes; `None`: no limit.
    pub limit: Option<u64>,
}

impl QuotaUsage {
    /// Usage without a limit.
    pub fn new(scope: &str, name: &str, used: u64, reserved: u64, objects: u64) -> Self {
        Self {
            scope: scope.to_owned(),
            name: name.to_owned(),
            used,
            reserved,
            objects,
            limit: None,
        }
    }
}
