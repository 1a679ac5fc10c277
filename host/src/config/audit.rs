//! `[audit]`: where changes are recorded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdall_plugin_api::{Error, ErrorKind, Result};

use super::document::{Document, Table};
use super::file::missing;
use super::{Problem, ProblemCode, relative_to};
use crate::audit::{AuditFile, AuditLog};
use crate::ledger::Ledger;

/// `[audit]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditConfig {
    /// The file to which events are appended; `None`: the ledger.
    pub file: Option<PathBuf>,
    /// Whether an event is on the disk before its operation is answered.
    pub sync: bool,
}

impl AuditConfig {
    /// # Errors
    ///
    /// `ConfigInvalid`: the file cannot be opened, or there is no ledger that keeps events.
    pub(crate) fn open(&self, ledger: Option<&Arc<dyn Ledger>>) -> Result<Arc<dyn AuditLog>> {
        let Some(file) = &self.file else {
            let audit = ledger.and_then(|ledger| ledger.clone().audit());
            return audit.ok_or_else(|| {
                Error::new(ErrorKind::ConfigInvalid)
                    .with_message("the host has no ledger that keeps audit events")
                    .with_fact(
                        "fix",
                        "set ledger.url, or audit.file in place of audit.ledger",
                    )
            });
        };
        match AuditFile::open(file, self.sync) {
            Ok(file) => Ok(Arc::new(file)),
            Err(why) => Err(Error::new(ErrorKind::ConfigInvalid)
                .with_message("the audit file cannot be opened")
                .with_fact("file", file.display())
                .because(why)),
        }
    }
}

pub(super) fn read<'d>(
    document: &mut Document<'d>,
    mut section: Table<'d>,
    folder: Option<&Path>,
) -> Option<AuditConfig> {
    let before = document.problems.len();
    let file = document.string(&mut section, "file");
    let ledger = document.boolean(&mut section, "ledger").unwrap_or_default();
    let expected = "either a path or ledger = true";
    if document.problems.len() == before {
        match (&file, ledger) {
            (None, false) => document.problems.push(missing(&section, "file", expected)),
            (Some(file), true) => document.problems.push(Problem::new(
                ProblemCode::Contradiction,
                &*file.path,
                file.place.clone(),
                expected,
                "both",
            )),
            _ => {}
        }
    }
    let sync = document.boolean(&mut section, "sync").unwrap_or_default();
    document.finish(section, None);
    let file = file.map(|file| relative_to(folder, file.value));
    (file.is_some() || ledger).then_some(AuditConfig { file, sync })
}
