//! From bytes to a plugin that can be called: inspect, map, handshake, adapter.
//!
//! The only place of the host that touches foreign code. The rules that its `SAFETY` notes cite are
//! numbered in [`holdall_plugin_api::abi`].

mod blocking;
mod call;
mod caller;
mod config_text;
mod gate;
mod handshake;
mod instance;
mod instance_body;
mod map;
mod owned;
mod pool;
mod sealed_tables;
mod services;

pub(crate) use call::Call;
pub(crate) use instance::Instance;
pub(crate) use services::PluginCounters;

use crate::config::{Schema, Secrets};
use crate::plugin::fault::{Code, Fault};
use crate::plugin::inspect::{self, Spoken};
use gate::Gate;
use handshake::Checked;
use holdall_plugin_api::Result;
use holdall_plugin_api::StaticPlugin;
use holdall_plugin_api::abi::VERSION;
use holdall_plugin_api::abi::tables::HostServices;
use holdall_plugin_api::descriptor::{Descriptor, Flags};
use map::Mapping;
use pool::Share;
use services::Services;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A plugin that passed every check. Never unmapped: its threads, thread-locals and wakers may
/// outlive every handle.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// The host's own copy of its tables, which nobody can write.
    checked: &'static Checked,
    descriptor: Descriptor,
    /// Of its configurations.
    schema: Schema,
    services: &'static Services,
    /// Its part of the pool, when it blocks.
    share: Option<Share>,
    /// Its entrance, when it takes few operations at once.
    gate: Option<Gate>,
    /// `None` for a plugin that is linked in.
    mapping: Option<Mapping>,
}

/// A plugin that may be used, or all that speaks against it.
type Outcome = std::result::Result<Arc<Plugin>, Vec<Fault>>;

/// What came of all that is mapped, by the hash of its bytes. The same bytes are not mapped twice:
/// their statics, and so their runtime, would be there twice. What was refused stays mapped too, so
/// a host that tries again gets the same answer and no second mapping.
static MAPPED: Mutex<Option<HashMap<[u8; 32], Outcome>>> = Mutex::new(None);

impl Plugin {
    /// Checks a plugin that is linked into the program, exactly as a file.
    pub(crate) fn linked(plugin: &'static StaticPlugin) -> Outcome {
        let descriptor = inspect::judge_section(plugin.section)?;
        let table = (plugin.entry)();
        let checked = handshake::check(table, &descriptor, &handshake::Anywhere)?;
        let checked = sealed_tables::read_only(checked).map_err(|fault| vec![*fault])?;
        let services = Services::leak(&descriptor.about.name, true);
        Ok(Arc::new(Plugin {
            checked,
            share: share(&descriptor),
            gate: Gate::of_linked(plugin.entry as usize, descriptor.max_in_flight),
            schema: descriptor.about.config_schema.clone().into(),
            descriptor,
            services,
            mapping: None,
        }))
    }

    /// Copies, inspects, maps and checks a file. Reads it whole; takes milliseconds.
    pub(crate) fn load(path: &Path) -> Outcome {
        let bytes = inspect::read_whole(path)?;
        // These very bytes are judged again: the file may have changed since the scan.
        let descriptor = inspect::judge_bytes(&bytes, path)?;
        let hash = map::sha256(&bytes);
        let mut mapped = MAPPED.lock().unwrap_or_else(PoisonError::into_inner);
        let mapped = mapped.get_or_insert_default();
        if let Some(outcome) = mapped.get(&hash) {
            return outcome.clone();
        }
        let mapping =
            Mapping::new(&bytes, hash, &descriptor.about.name).map_err(|fault| vec![*fault])?;
        let outcome = Self::mapped(mapping, descriptor);
        mapped.insert(hash, outcome.clone());
        outcome
    }

    /// Checks what the constructors have left.
    fn mapped(mapping: Mapping, descriptor: Descriptor) -> Outcome {
        let entry = mapping
            .entry(&descriptor.about.entry)
            .map_err(|fault| vec![*fault])?;
        let table = entry();
        let checked = handshake::check(table, &descriptor, &mapping)?;
        let checked = sealed_tables::read_only(checked).map_err(|fault| vec![*fault])?;
        let services = Services::leak(&descriptor.about.name, false);
        Ok(Arc::new(Plugin {
            checked,
            share: share(&descriptor),
            gate: Gate::new(descriptor.max_in_flight),
            schema: descriptor.about.config_schema.clone().into(),
            descriptor,
            services,
            mapping: Some(mapping),
        }))
    }

    /// What the plugin says of itself; the loaded facts equal the file's.
    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// What its configurations are judged by.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Hash of the mapped bytes; `None` for a plugin that is linked in.
    pub(crate) fn sha256(&self) -> Option<[u8; 32]> {
        self.mapping.as_ref().map(Mapping::sha256)
    }

    /// The minor that both sides know.
    pub(crate) fn effective_minor(&self) -> u16 {
        // Judged before it was mapped, so that they speak.
        inspect::effective_minor(VERSION, Spoken::from(&self.descriptor)).unwrap_or_default()
    }

    /// What went wrong in it so far.
    pub(crate) fn counters(&self) -> &'static PluginCounters {
        self.services.counters()
    }

    /// Opens a backend. The configuration is wiped as soon as the plugin has read it. `max_wait` is
    /// for its operations too: how long one waits for its turn where the plugin takes few at once.
    pub(crate) fn open(
        self: &Arc<Self>,
        backend: &str,
        config_json: String,
        max_wait: Duration,
    ) -> impl Future<Output = Result<Instance>> + Send {
        instance::open(self.clone(), backend.to_owned(), config_json, max_wait)
    }

    /// Takes these secrets out of whatever the plugin logs.
    pub(crate) fn hide(&self, secrets: &Secrets) {
        self.services.hide(secrets);
    }

    /// Whether it takes few operations at once, so that one must not wait for another.
    pub(crate) fn is_gated(&self) -> bool {
        self.gate.is_some()
    }

    fn share(&self) -> Option<&Share> {
        self.share.as_ref()
    }

    fn host_table(&self) -> &'static HostServices {
        self.services.table()
    }
}

fn share(descriptor: &Descriptor) -> Option<Share> {
    descriptor.flags.has(Flags::BLOCKING).then(Share::new)
}

fn load_fault(code: Code, expected: impl Into<String>, found: impl Into<String>) -> Fault {
    Fault::new(code).expected(expected).found(found)
}
