//! What all backends of one host share.

use crate::catalog::Catalog;
use crate::config::{Environment, Secrets};
use crate::gateway::Gateway;
use crate::spool::SpoolSettings;
use arc_swap::ArcSwap;
use holdall_plugin_api::Error;

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) catalog: Catalog,
    pub(crate) environment: Environment,
    pub(crate) secrets: Secrets,
    /// Replaced as a whole by a new configuration.
    pub(crate) gateway: ArcSwap<Gateway>,
    pub(crate) spool: SpoolSettings,
}

impl Context {
    /// Takes every known secret out of every text of an error.
    pub(crate) fn redact(&self, error: Error) -> Error {
        error.map_texts(|text| self.secrets.redact(text).into_owned())
    }
}
