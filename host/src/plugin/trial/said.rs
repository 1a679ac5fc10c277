//! What parent and child say to each other: one line of JSON each.

use crate::plugin::fault::{Code, Fault};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the child is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) cpu_secs: u64,
    pub(super) memory: u64,
    pub(super) descriptors: u64,
    pub(super) open: Option<Opening>,
}

/// The backend that needs the plugin.
#[derive(Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) backend: String,
    /// With its secrets.
    pub(crate) config: String,
    pub(crate) max_wait_ms: u64,
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.config);
    }
}

/// One step of the child.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said {
    /// Its limit of address space, in bytes.
    Limit(u64),
    /// The loader or the handshake refused the plugin.
    Refused(Vec<Told>),
    /// Threads that constructors have started.
    Threads(u64),
    /// Signals whose handlers were replaced.
    Signals(Vec<String>),
    /// Descriptors below 10 that are closed now.
    Closed(Vec<i32>),
    /// Constructors have made another process.
    Forked,
    /// Constructors and handshake are done.
    Mapped,
    /// Open, health and `exists` have answered.
    Opened,
    /// One of them has answered with an error.
    NotOpened(String),
    /// A signal that ends the process, and its address space in pages. Written by a signal handler.
    Crashed(i32, u64),
    /// The end of the trial.
    Done,
}

/// A fault, between processes and in the state directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    code: String,
    expected: String,
    found: String,
    location: String,
}

impl From<&Fault> for Told {
    fn from(fault: &Fault) -> Self {
        Self {
            code: fault.code.name().to_owned(),
            expected: fault.expected.clone(),
            found: fault.found.clone(),
            location: fault.location.clone(),
        }
    }
}

impl Told {
    /// The fault; `None` for a code that this version does not know.
    pub(super) fn fault(self) -> Option<Fault> {
        let code = Code::ALL.iter().find(|code| code.name() == self.code)?;
        let fault = Fault::new(*code).expected(self.expected).found(self.found);
        Some(fault.location(self.location))
    }
}
