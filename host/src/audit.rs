//! A record of every change: who did what, to which object, with which outcome.
//!
//! An event is written before the caller gets the answer, so that no answered operation is missing from the log when
//! the process is killed. Recorded are `upload`, `delete`, `copy`, `rename`, `custom`, each key of `delete_many` and
//! `delete_prefix`, and every URL that is signed. Reads are not.
//!
//! ```toml
//! [audit]
//! file = "/var/log/holdall/audit.jsonl"
//! sync = true                           # also on disk before the answer
//! ```
//!
//! `ledger = true` in place of `file` appends to the table `audit` of the [ledger](crate::ledger).

use futures_util::future::BoxFuture;
use holdall_plugin_api::{Error, ErrorKind, Result, Retry};
use serde::Serialize;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// One event. Serialised, it is one line of the file.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AuditEvent<'a> {
    /// When the operation ended, in milliseconds since 1970.
    pub time_ms: u64,
    /// Name of the backend.
    pub backend: &'a str,
    /// Name of the operation.
    pub operation: &'static str,
    /// The key, as the caller names it; of a copy or rename, the source.
    pub key: Option<&'a str>,
    /// Target of a copy or rename.
    pub to: Option<&'a str>,
    /// [`CallOptions::actor`](crate::CallOptions::actor).
    pub actor: Option<&'a str>,
    /// [`CallOptions::owner`](crate::CallOptions::owner), or `default`.
    pub owner: &'a str,
    /// [`CallOptions::group`](crate::CallOptions::group).
    pub group: Option<&'a str>,
    /// `ok`, the code of the error, or `dropped`: the caller went away and the outcome is unknown.
    pub outcome: &'a str,
    /// Payload bytes of an upload.
    pub bytes: u64,
    /// Name of the request.
    pub request_id: Option<&'a str>,
}

/// Where events go.
///
/// ```no_run
/// use holdall::audit::{AuditEvent, AuditLog};
///
/// #[derive(Debug)]
/// struct Printed;
///
/// impl AuditLog for Printed {
///     fn record(&self, event: &AuditEvent<'_>) -> std::io::Result<()> {
///         println!("{} {}: {}", event.backend, event.operation, event.outcome);
///         Ok(())
///     }
/// }
/// let builder = holdall::Host::builder().audit(std::sync::Arc::new(Printed));
/// ```
pub trait AuditLog: Send + Sync + fmt::Debug + 'static {
    /// Appends an event. It must survive the end of the process when this returns, except for a call that its caller
    /// dropped: its outcome is `dropped`, and nothing waits for its event.
    ///
    /// # Errors
    ///
    /// Why it may be lost. The operation then answers `Unavailable`, though it was done.
    fn record(&self, event: &AuditEvent<'_>) -> io::Result<()>;

    /// As [`record`](Self::record), for a log that waits for a server or a disk. The host calls this for every event
    /// that its operation waits for.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    fn append<'a>(&'a self, event: &'a AuditEvent<'a>) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(std::future::ready(self.record(event)))
    }
}

/// A file of one JSON object a line, to which is only appended.
#[derive(Debug)]
pub struct AuditFile {
    file: Mutex<File>,
    sync: bool,
}

impl AuditFile {
    /// Opens or creates the file, readable by its owner and group.
    ///
    /// With `sync` an event is on the disk before its operation is answered; without, it survives the end of the
    /// process but not that of the system.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub fn open(file: &Path, sync: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
        Ok(Self {
            file: Mutex::new(options.open(file)?),
            sync,
        })
    }
}

impl AuditLog for AuditFile {
    fn record(&self, event: &AuditEvent<'_>) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // One call for the whole line: a killed process leaves all of it or none.
        file.write_all(&line)?;
        match self.sync {
            true => file.sync_data(),
            false => Ok(()),
        }
    }
}

pub(crate) fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}

pub(crate) fn outcome<T>(outcome: &Result<T>) -> &str {
    match outcome {
        Ok(_) => "ok",
        Err(error) => error.code(),
    }
}

/// The answer in place of one whose event could not be written.
pub(crate) fn unrecorded(why: io::Error) -> Error {
    tracing::error!(target: "holdall", error = %why, "an audit event could not be written");
    Error::new(ErrorKind::Unavailable)
        .with_message("the operation was done, but its audit event could not be written")
        .with_retry(Retry::IfIdempotent)
        .because(why)
}
