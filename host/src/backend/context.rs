//! What all backends of one host share.

use crate::audit::AuditLog;
use crate::config::{Environment, Secrets};
use crate::gateway::Gateway;
use crate::ledger::Ledger;
use crate::plugin::catalog::Catalog;
use arc_swap::{ArcSwap, ArcSwapOption};
use holdall_plugin_api::Error;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) catalog: Catalog,
    pub(crate) environment: Environment,
    pub(crate) secrets: Secrets,
    /// Replaced as a whole by a new configuration.
    pub(crate) gateway: ArcSwap<Gateway>,
    pub(crate) spool: SpoolSettings,
    /// Opened anew with a new configuration.
    pub(crate) audit: ArcSwapOption<Arc<dyn AuditLog>>,
    /// The program brought the log: the configuration does not replace it.
    pub(crate) audit_is_fixed: bool,
    pub(crate) ledger: Option<Arc<dyn Ledger>>,
}

impl Context {
    /// Takes every known secret out of every text of an error.
    pub(crate) fn redact(&self, error: Error) -> Error {
        error.map_texts(|text| self.secrets.redact(text).into_owned())
    }
}

/// Limit and folder of the temporary files of uploads.
#[derive(Clone, Debug)]
pub(crate) struct SpoolSettings {
    /// Most bytes of one upload.
    pub(crate) limit: u64,
    pub(crate) dir: Option<PathBuf>,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            limit: 1 << 30,
            dir: None,
        }
    }
}
