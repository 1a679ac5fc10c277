//! A new configuration for a host that runs.

use crate::audit::AuditLog;
use crate::backend::handle::Slot;
use crate::config::{BackendConfig, Config, Schema};
use crate::gateway::Gateway;
use crate::host::{Host, check_ledger};
use holdall_plugin_api::{Error, ErrorKind, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// What a new configuration changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reconfigured {
    /// Backends that are new, or configured in another way, or whose secrets are others now.
    pub registered: Vec<String>,
    /// Backends that the configuration names no longer.
    pub removed: Vec<String>,
    /// Backends that stay as they were, with the instances that they have.
    pub unchanged: Vec<String>,
}

impl Host {
    /// Takes another configuration, without dropping an operation: what runs ends on the instance
    /// that it began with, and each backend whose configuration or secrets differ gets a new
    /// generation. Backends that a program registered itself stay. Plugin folders are scanned again.
    ///
    /// The audit log is opened anew. The folders themselves, the rules for single plugins, the ledger and the
    /// environment are those of the start.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`: every problem, or `[audit]` is missing that was there; nothing was changed then.
    pub fn reconfigure(&self, config: Config) -> Result<Reconfigured> {
        let context = self.context();
        // Two at once could leave the backends of one and the keys of the other.
        let mut current = self.lock_config();
        context.catalog.scan();
        self.check(&config).problems.into_result()?;
        check_ledger(&config, context.ledger.is_some())?;
        let gateway = match &config.gateway {
            Some(gateway) => Gateway::new(gateway, &context.environment, &context.secrets)?,
            None => Gateway::unconfigured(),
        };
        let audit = self.audit_of(&current, &config)?;
        context.gateway.store(Arc::new(gateway));
        if let Some(audit) = audit {
            context.audit.store(Some(Arc::new(audit)));
        }

        let mut outcome = Reconfigured::default();
        for (name, backend) in &config.backends {
            let slot = self.slot(name);
            let before = current.backends.get(name);
            if before.is_some_and(|before| self.is_unchanged(&slot, before, backend)) {
                outcome.unchanged.push(name.clone());
            } else {
                slot.register(backend.clone(), backend.plugin.as_str().into());
                outcome.registered.push(name.clone());
            }
        }
        for name in current.backends.keys() {
            if !config.backends.contains_key(name) && self.remove(name) {
                outcome.removed.push(name.clone());
            }
        }
        *current = Arc::new(config);
        Ok(outcome)
    }

    /// The audit log of the new configuration, opened anew, so that a file that was renamed is left. `None`: it stays
    /// as it is.
    ///
    /// # Errors
    ///
    /// `ConfigInvalid`: it cannot be opened, or the configuration names none any more.
    fn audit_of(&self, current: &Config, next: &Config) -> Result<Option<Arc<dyn AuditLog>>> {
        let context = self.context();
        match (&current.audit, &next.audit) {
            _ if context.audit_is_fixed => Ok(None),
            (_, Some(audit)) => audit.open(context.ledger.as_ref()).map(Some),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Error::new(ErrorKind::ConfigInvalid)
                .with_message("[audit] is missing; it is not ended while the host runs")
                .with_fact("fix", "add [audit], or restart")),
        }
    }

    /// Whether an instance of the new configuration would be the one that there is.
    fn is_unchanged(&self, slot: &Slot, before: &BackendConfig, after: &BackendConfig) -> bool {
        let Some(generation) = slot.current() else {
            return false;
        };
        if !before.is_as_written(after) || !generation.config.is_as_written(before) {
            return false;
        }
        // Written alike, a secret that it refers to may have changed.
        let Some(live) = generation.live() else {
            return true;
        };
        let context = self.context();
        let schema = live.instance.plugin().schema();
        let resolved = after.resolve(schema, &context.environment, &context.secrets);
        resolved.is_ok_and(|resolved| resolved.fingerprint == live.fingerprint)
    }

    /// Validates another configuration with the plugins that there are.
    pub(crate) fn check(&self, config: &Config) -> crate::config::Report {
        let mut schemas = BTreeMap::new();
        for plugin in self.context().catalog.candidates() {
            let about = &plugin.descriptor.about;
            let schema = Schema::from(about.config_schema.clone());
            for name in about.schemes.iter().chain([&about.name]) {
                schemas.insert(name.clone(), schema.clone());
            }
        }
        crate::config::check(config, &schemas, &self.context().secrets)
    }

    fn lock_config(&self) -> std::sync::MutexGuard<'_, Arc<Config>> {
        let config = self.config_cell().lock();
        config.unwrap_or_else(PoisonError::into_inner)
    }
}
