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
mod image;
mod instance;
mod instance_body;
#[cfg(unix)]
mod lent_file;
mod map;
mod operations;
mod owned;
mod pool;
mod sealed_tables;
mod services;
mod spans;
mod unique;

pub(crate) use call::Call;
pub(crate) use image::Image;
pub(crate) use instance::Instance;
pub(crate) use services::{PluginCounters, identifier};
pub(crate) use spans::KeptSpan;

use crate::config::{Polling, Schema, Secrets};
use crate::platform::crumbs::{self, Inside};
use crate::plugin::fault::{Code, Fault};
use crate::plugin::inspect::{self, Spoken};
use gate::Gate;
use handshake::Checked;
use holdall_plugin_api::abi::tables::HostServices;
use holdall_plugin_api::descriptor::{Descriptor, Flags};
use holdall_plugin_api::{Operations, StaticPlugin};
use map::Mapping;
use pool::Share;
use services::Services;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// A plugin that passed every check. Never unmapped: its threads, thread-locals and wakers may
/// outlive every handle.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// The host's own copy of its tables, in read-only memory.
    checked: &'static Checked,
    descriptor: Descriptor,
    /// Of its configurations.
    schema: Schema,
    services: &'static Services,
    /// Its part of the pool, for a plugin that blocks or is polled there.
    share: Share,
    /// Its entrance, when it takes few operations at once.
    gate: Option<Gate>,
    /// `None` for a plugin that is linked in.
    mapping: Option<Mapping>,
    /// Signals whose handlers its constructors replaced.
    signals: Vec<&'static str>,
    /// Its number in crash records.
    crumb: u32,
}

/// A plugin that may be used, or all that speaks against it.
type Outcome = Result<Arc<Plugin>, Vec<Fault>>;

/// Outcomes of all that was mapped, by the hash of the bytes. The same bytes are not mapped twice:
/// their statics, and so their runtime, would be there twice. A refused library stays mapped too, so
/// a host that tries again gets the same answer and no second mapping. The lock is held for a look
/// only: a constructor that blocks holds up only those that want the same bytes.
static MAPPED: Mutex<BTreeMap<[u8; 32], Arc<OnceLock<Outcome>>>> = Mutex::new(BTreeMap::new());

/// Whether the bytes are mapped in this process already.
pub(crate) struct Mapped(pub(crate) bool);

fn warn_signals(descriptor: &Descriptor, taken: &[&str]) {
    tracing::warn!(
        target: "holdall",
        plugin = descriptor.about.name,
        signals = taken.join(", "),
        "the plugin replaced signal handlers; the program's were put back"
    );
}

impl Plugin {
    /// Checks a plugin that is linked into the program, exactly as a file.
    pub(crate) fn linked(plugin: &'static StaticPlugin) -> Outcome {
        let descriptor = inspect::judge_section(plugin.section)?;
        let table = (plugin.entry)();
        let checked = handshake::check(table, &descriptor, &handshake::Anywhere)?;
        let checked = sealed_tables::read_only(checked).map_err(|fault| vec![*fault])?;
        let crumb = crumb(&descriptor, None);
        let services = Services::leak(&descriptor.about.name, true, crumb);
        Ok(Arc::new(Plugin {
            checked,
            share: Share::new(),
            gate: Gate::of_linked(plugin.entry as usize, descriptor.max_in_flight),
            schema: descriptor.about.config_schema.clone().into(),
            descriptor,
            services,
            mapping: None,
            signals: Vec::new(),
            crumb,
        }))
    }

    /// Inspects, maps and checks the bytes of a file, which were read from `path`. Nothing is mapped
    /// that `admit` refuses.
    pub(crate) fn load(
        image: Image,
        path: &Path,
        admit: impl FnOnce(&Image, &Descriptor, Mapped) -> Result<(), Vec<Fault>>,
    ) -> Outcome {
        let hash = image.sha256();
        let once = {
            let mut mapped = MAPPED.lock().unwrap_or_else(PoisonError::into_inner);
            mapped.entry(hash).or_default().clone()
        };
        if let Some(outcome) = once.get() {
            let plugin = outcome.clone()?;
            // Mapped by another host of this process, perhaps, which is less strict.
            admit(&image, &plugin.descriptor, Mapped(true))?;
            return Ok(plugin);
        }
        let copy = image.reader().map_err(|cause| {
            let expected = "a copy of the file in memory";
            vec![load_fault(Code::MapFailed, expected, cause.to_string())]
        })?;
        // These very bytes are judged: the file may have changed since the scan. What is refused here
        // was not mapped, and is judged again the next time.
        let judged = inspect::judge_copy(copy, path)?;
        admit(&image, &judged.descriptor, Mapped(false))?;
        // Not an outcome of these bytes: another process may map them.
        unique::claim(hash, path, &judged.unique_symbols).map_err(|fault| vec![*fault])?;
        once.get_or_init(|| Self::mapped(image, path, judged.descriptor))
            .clone()
    }

    /// Files of a plugin that are mapped in this process.
    pub(crate) fn generations(name: &str) -> u64 {
        let mapped = MAPPED.lock().unwrap_or_else(PoisonError::into_inner);
        let outcomes = mapped.values().filter_map(|outcome| outcome.get());
        let plugins = outcomes.filter_map(|outcome| outcome.as_ref().ok());
        plugins
            .filter(|plugin| plugin.descriptor.about.name == name)
            .count() as u64
    }

    /// Maps the image, and checks what the constructors have left.
    fn mapped(image: Image, path: &Path, descriptor: Descriptor) -> Outcome {
        let crumb = crumb(&descriptor, Some(image.sha256()));
        let inside = Inside::new(crumb, "load", None);
        let _entered = inside.enter();
        let mapping = Mapping::new(image, path).map_err(|fault| vec![*fault])?;
        // A panic must not leave a mapping without an outcome: the next try would map it again.
        let checked = catch_unwind(AssertUnwindSafe(|| Self::checked(&mapping, &descriptor)));
        let taken = mapping.restore_signals();
        if !taken.is_empty() {
            warn_signals(&descriptor, &taken);
        }
        let checked = checked.unwrap_or_else(|_| {
            let expected = "tables as the ABI describes them";
            let found = "what its checks cannot read: they panicked";
            Err(vec![load_fault(Code::TableMalformed, expected, found)])
        })?;
        mapping
            .code()
            .iter()
            .for_each(|range| crumbs::code(crumb, range));
        let services = Services::leak(&descriptor.about.name, false, crumb);
        Ok(Arc::new(Plugin {
            checked,
            share: Share::new(),
            gate: Gate::new(descriptor.max_in_flight),
            schema: descriptor.about.config_schema.clone().into(),
            descriptor,
            services,
            mapping: Some(mapping),
            signals: taken,
            crumb,
        }))
    }

    /// The tables behind the entry function, when they pass every check.
    fn checked(mapping: &Mapping, descriptor: &Descriptor) -> Result<&'static Checked, Vec<Fault>> {
        let entry = mapping.entry(&descriptor.about.entry);
        let table = entry.map_err(|fault| vec![*fault])?();
        let checked = handshake::check(table, descriptor, mapping)?;
        sealed_tables::read_only(checked).map_err(|fault| vec![*fault])
    }

    /// Puts back signal handlers that this plugin has set since it was mapped.
    fn restore_signals(&self) {
        let taken = self.mapping.as_ref().map(Mapping::restore_own_signals);
        let taken = taken.unwrap_or_default();
        if !taken.is_empty() {
            warn_signals(&self.descriptor, &taken);
        }
    }

    /// What the plugin says of itself; the loaded facts equal the file's.
    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// What its configurations are judged by.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Signals whose handlers its constructors replaced; the program's were put back.
    pub(crate) fn signals(&self) -> &[&'static str] {
        &self.signals
    }

    /// Operations that it implements and its descriptor does not claim.
    pub(crate) fn unclaimed(&self) -> Operations {
        self.checked.unclaimed
    }

    /// Hash of the mapped bytes; `None` for a plugin that is linked in.
    pub(crate) fn sha256(&self) -> Option<[u8; 32]> {
        self.mapping.as_ref().map(Mapping::sha256)
    }

    /// The minor that both sides know.
    pub(crate) fn effective_minor(&self) -> u16 {
        // Judged before it was mapped, so that they speak.
        inspect::effective_minor(inspect::OURS, Spoken::from(&self.descriptor)).unwrap_or_default()
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
        polling: Polling,
    ) -> impl Future<Output = holdall_plugin_api::Result<Instance>> + Send {
        let terms = instance::Terms {
            max_wait,
            spawned: self.blocks() || polling == Polling::Spawned,
        };
        instance::open(self.clone(), backend.to_owned(), config_json, terms)
    }

    /// Takes these secrets out of whatever the plugin logs.
    pub(crate) fn hide(&self, secrets: &Secrets) {
        self.services.hide(secrets);
    }

    /// Whether it takes few operations at once, so that one must not wait for another.
    pub(crate) fn is_gated(&self) -> bool {
        self.gate.is_some()
    }

    fn share(&self) -> &Share {
        &self.share
    }

    /// Whether it declares that it blocks.
    fn blocks(&self) -> bool {
        self.descriptor.flags.has(Flags::BLOCKING)
    }

    fn host_table(&self) -> &'static HostServices {
        self.services.table()
    }
}

/// Names a plugin in crash records: `SHA256 NAME VERSION`.
fn crumb(descriptor: &Descriptor, sha256: Option<[u8; 32]>) -> u32 {
    let digest = sha256.map_or("-".to_owned(), |sha256| crate::config::hex(&sha256));
    let about = &descriptor.about;
    crumbs::plugin(&format!("{digest} {} {}", about.name, about.version))
}

fn load_fault(code: Code, expected: impl Into<String>, found: impl Into<String>) -> Fault {
    Fault::new(code).expected(expected).found(found)
}
