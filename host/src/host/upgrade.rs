//! Upgrade of plugins in place: another file of a loaded plugin is put into service without a restart.

use super::Host;
use super::status::ErrorStatus;
use crate::backend::generation::Generation;
use crate::backend::handle::Slot;
use crate::plugin::catalog::Candidate;
use crate::plugin::load::{Call, Instance, Plugin};
use holdall_plugin_api::{Error, ErrorKind, Key, Operation, Result};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// The longest wait for an answer of an instance that is not in service yet.
const ANSWER: Duration = Duration::from_secs(30);

/// What became of another file of a loaded plugin.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Upgraded {
    /// Name of the plugin.
    pub plugin: String,
    /// The version that was in service.
    pub from: String,
    /// The version of the other file.
    pub to: String,
    /// Backends that were switched to it.
    pub backends: Vec<String>,
    /// Why it is not in service; `None` when it is.
    pub error: Option<ErrorStatus>,
}

impl Host {
    /// Puts other files of loaded plugins into service, without dropping an operation.
    ///
    /// The plugin directories are scanned. A loaded plugin whose winning file holds other bytes than the
    /// mapped ones is judged, tried and mapped beside the old one, and opened with the configuration of
    /// each backend that uses it. Each new instance answers for its health and for a random key. Only then
    /// all backends of the plugin are switched, each in one step: operations and bodies that run end on the
    /// old instance. When anything fails, the old one stays in service and no caller sees it. Old code is
    /// never unmapped; [`PluginStatus::generations`](crate::PluginStatus::generations) counts it.
    ///
    /// ```no_run
    /// # async fn example(host: holdall::Host) {
    /// for upgraded in host.upgrade_plugins().await {
    ///     println!("{} {} -> {}", upgraded.plugin, upgraded.from, upgraded.to);
    /// }
    /// # }
    /// ```
    pub async fn upgrade_plugins(&self) -> Vec<Upgraded> {
        let context = self.context().clone();
        let found = tokio::task::spawn_blocking(move || context.catalog.upgrades()).await;
        let mut all = Vec::new();
        for (old, new) in found.unwrap_or_default() {
            let outcome = self.upgrade(&old, &new).await;
            let mut upgraded = Upgraded {
                plugin: old.name().to_owned(),
                from: old.descriptor.about.version.clone(),
                to: new.descriptor.about.version.clone(),
                backends: Vec::new(),
                error: None,
            };
            match outcome {
                Ok(backends) => upgraded.backends = backends,
                Err(error) => upgraded.error = Some(ErrorStatus::from(&error)),
            }
            all.push(upgraded);
        }
        all
    }

    async fn upgrade(&self, old: &Candidate, new: &Arc<Candidate>) -> Result<Vec<String>> {
        let (name, context) = (old.name(), self.context());
        let most = self.config().upgrade.generations;
        if Plugin::generations(name) >= most {
            return Err(Error::new(ErrorKind::PluginLoad)
                .with_message("too many files of the plugin are mapped; restart the process")
                .with_fact("generations", most));
        }
        let schemes = &old.descriptor.about.schemes;
        let uses = |slot: &Slot| {
            let generation = slot.current()?;
            let asked = generation.plugin.name()?;
            let is_meant = asked == name || schemes.iter().any(|scheme| scheme == asked);
            is_meant.then_some(generation)
        };
        let slots = self.all();
        let mut prepared = Vec::new();
        for slot in &slots {
            let Some(current) = uses(slot) else {
                continue;
            };
            let next = current.upgraded(new.clone());
            // A backend that is not open has no one to switch; its next open takes the new file.
            if current.live().is_some() {
                let opened = next.open(context, &slot.counters).await?;
                asked(&opened.instance).await?;
            }
            prepared.push((slot, current, next));
        }
        if prepared.is_empty() {
            let (candidate, live) = (new.clone(), ANSWER);
            let loading = tokio::task::spawn_blocking(move || candidate.load());
            let loaded = tokio::time::timeout(live, loading).await;
            loaded.map_err(late)?.map_err(|ended| {
                Error::new(ErrorKind::Cancelled)
                    .with_message("loading the plugin was cut off")
                    .because(ended)
            })??;
        }
        context.catalog.replace(new);
        let mut switched = Vec::new();
        for (slot, current, next) in prepared {
            // Registered anew meanwhile: that registration opens the new file itself.
            if slot.switch(&current, next) {
                switched.push(slot.name.clone());
            }
        }
        Ok(switched)
    }
}

fn late(_: tokio::time::error::Elapsed) -> Error {
    Error::new(ErrorKind::Timeout).with_message("the plugin did not answer in time")
}

/// Whether an instance answers. Changes nothing in its store.
async fn asked(instance: &Arc<Instance>) -> Result<()> {
    let answers = async {
        if instance.operations().has(Operation::Health) {
            instance.health(Call::default()).await?;
        }
        let key = format!("holdall-upgrade-{}", std::process::id());
        instance.exists(Key::new(&key), Call::default()).await
    };
    let answered = tokio::time::timeout(ANSWER, answers).await;
    answered.map_err(late)?.map(drop)
}

impl Generation {
    /// This registration, served by another file.
    fn upgraded(&self, candidate: Arc<Candidate>) -> Arc<Generation> {
        let (config, plugin) = (self.config.clone(), self.plugin.clone());
        Generation::of_candidate(self.number + 1, config, plugin, Some(candidate))
    }
}
